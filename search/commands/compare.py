"""`bneck compare`."""

from ...search_space import GoalError
from ..resolve.training_requests import ComparisonRequest
from .options import JsonOption, PngOption, ResumeOption, WorkersOption


def compare(
    request: ComparisonRequest,
    workers: WorkersOption = None,
    png: PngOption = False,
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compare networks trained with the same recipe and seeds.

    bneck compare mobilenet_v3_small mobilenet_v2 --data fashion-mnist --seeds 3

    With --resume, repeat the options of the comparison.
    """
    from ..jobs.comparison import compare_and_report

    if resume and request.out is None:
        raise GoalError("--resume needs --out DIR, the folder of the comparison")
    if request.augments and len(request.archs) > 1:
        raise GoalError("augmentations are compared on one network; give one ARCH or one --augment")
    compare_and_report(request, workers=workers, resume=resume, png=png, as_json=as_json)
