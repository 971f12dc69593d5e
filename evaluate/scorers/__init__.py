"""Ways of telling how good a network is, from a formula to a training.

Each is a `Scorer`, found by its name; what it needs is imported when it is chosen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from ...search_space import Architecture, UnknownNameError
from ..plugins import is_object_label
from ..training.accuracy import Accuracy
from ..training.recipe import Recipe

if TYPE_CHECKING:
    from ...search_space.network import Network
    from ..data.dataset import Data


@dataclass(frozen=True, eq=False)
class Score:
    """What a scorer says of a network.

    Attributes:
        value: higher is better; compares networks of one scorer, and has no unit.
        cpu_seconds: that it took, in this process.
        accuracy: where the scorer tells one.
        network: the one that was judged, with its weights; None where there is none worth keeping.
    """

    value: float
    cpu_seconds: float
    accuracy: Accuracy | None = None
    network: "Network | None" = None


class Scorer(Protocol):
    """A judge of networks."""

    @property
    def name(self) -> str:
        """As `evaluator` takes it: `train`, `supernet:FILE`."""

    def score(self, architecture: Architecture, seed: int) -> Score:
        """Judge one network; the same seed gives the same value on one machine.

        Raises:
            ScorerError: this scorer cannot judge this network; says why.
            NonFiniteLossError: the loss is no longer a number.
        """


@dataclass(frozen=True)
class EvaluationContext:
    """What scorers judge by.

    Attributes:
        data: for the training and validation images; the test images are never looked at.
        recipe: of trainings.
        device: `cpu` or `cuda`.
    """

    data: "Data"
    recipe: Recipe
    device: str = "cpu"


COSTS = ("macs", "params", "depth")
ZERO_COST = ("naswot", "synflow", "zico", "jacob_cov", "grad_norm", "snip")
_MODULES = {
    "train": "training",
    "supernet": "supernet",
    "inherit": "finetuned_supernet",
    "table": "table",
    **dict.fromkeys(ZERO_COST, "zero_cost"),
    **dict.fromkeys(COSTS, "cost"),
}
_NEEDS_FILE = ("supernet", "inherit", "table")
SCORER_NAMES = tuple(f"{name}:FILE" if name in _NEEDS_FILE else name for name in _MODULES)


def scorer_kind(name: str) -> str:
    """What a scorer's name says before its file: `supernet` of `supernet:FILE`.

    Raises:
        UnknownNameError: no such scorer, or its file is left out.
    """
    if is_object_label(name):
        return "object"
    kind, _, file = name.partition(":")
    complete = bool(file) if kind in _NEEDS_FILE else name == kind
    if kind not in _MODULES or not complete:
        raise UnknownNameError("evaluator", name, SCORER_NAMES)
    return kind


def depends_on_seed(name: str) -> bool:
    """Whether a network judged again with another seed may get another score."""
    return scorer_kind(name) not in ("supernet", "table", *COSTS)


def evaluator(name: str, context: EvaluationContext) -> Scorer:
    """A scorer by its name, such as `train`, `naswot` or `supernet:FILE`.

    Raises:
        UnknownNameError: no such scorer.
        BneckError: its file is missing, damaged, or of another space or other data.
    """
    kind = scorer_kind(name)
    make: Callable[[str, EvaluationContext], Scorer] = import_module(f".{_MODULES[kind]}", __package__).make
    return make(name, context)
