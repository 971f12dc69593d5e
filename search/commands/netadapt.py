"""`bneck netadapt`."""

from ..resolve.training_requests import NetAdaptRequest
from .expand import Given
from .options import JsonOption, ResumeOption, WorkersOption

RESUMABLE = ("network", "resume", "workers", "as_json")


def netadapt(
    request: NetAdaptRequest,
    given: Given,
    workers: WorkersOption = None,
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Prune a trained network down to a limit (NetAdapt).

    bneck netadapt runs/mobile-photos-1#best --max-latency 5ms

    The recipe is by default that of the network's own training.
    """
    from ..jobs.netadapt_run import netadapt_and_report

    if resume:
        given.require_resumable(*RESUMABLE, "data", "latency_backend")
    if request.latency_predictor:
        given.exclude_from_predictor(request)
    netadapt_and_report(
        request, workers=workers, resume=resume, confirmed=given.confirmed(request), as_json=as_json
    )
