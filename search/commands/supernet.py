"""`bneck supernet`."""

from ...search_space import GoalError
from ..resolve.requests import SupernetRequest
from .expand import Given
from .options import JsonOption, ResumeOption

RESUMABLE = ("file", "resume", "data_root", "download", "device", "as_json")


def supernet(
    request: SupernetRequest, given: Given, resume: ResumeOption = False, as_json: JsonOption = False
) -> None:
    """Train a supernet that contains all networks of a space.

    bneck supernet tiny --data digits --minutes 3 --max-macs 2M --file tiny.safetensors

    Search with it by --evaluator supernet:FILE, about a second per network.
    """
    from ..jobs.supernet import train_and_report

    if not request.space and not resume:
        raise GoalError("a supernet needs a SPACE: bneck supernet SPACE --file FILE")
    if request.minutes is not None:
        given.exclude("--minutes", "epochs", reason="a training has one budget")
    if not request.space:
        given.require_resumable(*RESUMABLE, "data")
    train_and_report(request, resume=resume, data=given.confirmed(request).get("data"), as_json=as_json)
