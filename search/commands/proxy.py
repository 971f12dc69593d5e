"""`bneck proxy`."""

from ...search_space import GoalError
from ..resolve.requests import ProxyRequest
from .expand import Given
from .options import JsonOption

_TRAINING = ("train", "finetuned-supernet")


def proxy(request: ProxyRequest, given: Given, as_json: JsonOption = False) -> None:
    """Rank networks by a zero-cost proxy or an evaluator.

    bneck proxy mobilenet_v3_small mobilenet_v2 --evaluator naswot --seeds 3
    """
    from ...evaluate.scorers import scorer_kind
    from ..jobs.proxy_scores import proxy_and_report

    kind = scorer_kind(request.evaluator)
    for name in ("recipe", "epochs"):
        if name in given and kind not in _TRAINING:
            raise GoalError(f"--{name} needs an evaluator that trains ({', '.join(_TRAINING)}), got {kind}")
    proxy_and_report(request, as_json=as_json)
