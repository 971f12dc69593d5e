"""Options that repeat a setting of a resumed experiment, so that its file is not trusted for it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...search_space import GoalError
from ...search_space.urls import without_secrets

if TYPE_CHECKING:
    from ...evaluate import LatencySetup
    from ...evaluate.latency.predictor import LatencyPredictor
    from ...results.store.experiment import Experiment

CONFIRMABLE = ("data", "latency_backend", "evaluator", "sampler", "storage")


def predictor_setup(predictor: "LatencyPredictor", backend: str) -> "LatencySetup":
    """The setup of a predictor that was read from a file, with a backend that may be used.

    Args:
        backend: that of the request; a command or `module:attribute` there must be the predictor's.
    Raises:
        GoalError: it is another one.
        TrustError: only the file names it.
    """
    from ...evaluate.trust import is_active, require_trusted

    setup = predictor.setup
    if is_active("latency backend", backend) and backend != setup.backend:
        raise GoalError(
            f"--latency-backend must be that of --latency-predictor, '{setup.backend}'; leave it out"
        )
    require_trusted(setup.backend)
    return setup


def _data_kind(name: str) -> str:
    from ...evaluate.data.dataset import absolute_name

    return absolute_name(name).partition(":")[0]


def require_same(experiment: "Experiment[Any]", confirmed: Mapping[str, str]) -> None:
    """Check settings that the user repeats.

    Args:
        confirmed: values by their parameter, of `CONFIRMABLE`.
    Raises:
        GoalError: one differs from the setting that the experiment was started with.
    """
    named = experiment.named_values.items()
    recorded = {kind.removesuffix(" set").replace(" ", "_"): value for kind, value in named}
    for name, value in confirmed.items():
        if name == "data" and {_data_kind(value), _data_kind(recorded.get(name, ""))} == {"folder"}:
            continue  # it may have moved; `reopen_data` compares the images
        own = without_secrets(recorded.get(name, ""))
        if without_secrets(value) != own:
            raise GoalError(f"{name} cannot change when {experiment.folder} is resumed; it is '{own}'")
