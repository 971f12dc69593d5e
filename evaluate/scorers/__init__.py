"""Evaluators: how the accuracy of a network is obtained, from a closed formula to a full training.

Each implements `Scorer` and is selected by name, as `module:attribute` or by an entry point of the group
`bneck.evaluators`. Its module is imported when it is selected. `bneck.testing` has contract tests.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from ...search_space import Architecture, Parent, UnknownNameError
from ..plugins import installed_names, is_object_label, is_reference, object_label, resolve
from ..training.accuracy import Accuracy
from ..training.recipe import Recipe
from ..trust import require_trusted

if TYPE_CHECKING:
    from ...search_space.network import Network
    from ..data.dataset import Data
    from ..training.distillation import Distillation


@dataclass(frozen=True, eq=False)
class Score:
    """Result of an evaluation.

    Attributes:
        value: higher is better; dimensionless, comparable between networks of one scorer only.
        cpu_seconds: CPU time spent in this process.
        accuracy: validation accuracy; None for proxies and costs.
        network: the evaluated network with its weights; None if there are no weights to store.
    """

    value: float
    cpu_seconds: float
    accuracy: Accuracy | None = None
    network: "Network | None" = None


class Scorer(Protocol):
    """Evaluator of networks."""

    @property
    def name(self) -> str:
        """Name as accepted by `evaluator`, such as `train` or `supernet:FILE`."""

    def score(self, architecture: Architecture, seed: int) -> Score:
        """Evaluate one network; equal seeds give equal values on one machine.

        Raises:
            ScorerError: this scorer cannot evaluate this network; names the reason.
            NonFiniteLossError: the loss is NaN or infinite.
        """


@dataclass(frozen=True)
class EvaluationContext:
    """Data, recipe and device of evaluations.

    Attributes:
        data: training and validation images are used, test images never.
        recipe: training recipe.
        device: `cpu` or `cuda`.
        parents: pretrained networks by name, for architectures that start from one.
        distillation: teacher of all trainings; None for the labels alone.
    """

    data: "Data"
    recipe: Recipe
    device: str = "cpu"
    parents: Mapping[str, Parent] = field(default_factory=dict)
    distillation: "Distillation | None" = None


ENTRY_POINT_GROUP = "bneck.evaluators"
COSTS = ("macs", "params", "depth")
ZERO_COST = ("naswot", "synflow", "zico", "jacob_cov", "grad_norm", "snip")
_MODULES = {
    "train": "training",
    "supernet": "supernet",
    "finetuned-supernet": "finetuned_supernet",
    "table": "table",
    **dict.fromkeys(ZERO_COST, "zero_cost"),
    **dict.fromkeys(COSTS, "cost"),
}
_NEEDS_FILE = ("supernet", "finetuned-supernet", "table")
SCORER_NAMES = tuple(f"{kind}:FILE" if kind in _NEEDS_FILE else kind for kind in _MODULES)


def scorer_kind(name: str) -> str:
    """Kind of a scorer: the name without its file, `plugin`, or `object` for the label of an object.

    Raises:
        UnknownNameError: no such scorer, or its file is missing from the name.
    """
    if is_object_label(name):
        return "object"
    kind, _, file = name.partition(":")
    if kind in _MODULES:
        if bool(file) if kind in _NEEDS_FILE else name == kind:
            return kind
    elif is_reference(name) or name in installed_names(ENTRY_POINT_GROUP):
        return "plugin"
    raise UnknownNameError(
        "evaluator", name, [*SCORER_NAMES, *installed_names(ENTRY_POINT_GROUP), "module:attribute"]
    )


def depends_on_seed(name: str) -> bool:
    """Whether the score depends on the seed."""
    return scorer_kind(name) not in ("supernet", "table", *COSTS)


def evaluator(source: Any, context: EvaluationContext) -> Scorer:
    """The scorer for a name or an object.

    Args:
        source: one of `SCORER_NAMES`, a name of the entry-point group `bneck.evaluators`,
            `module:attribute`, or an object as in `function.adapt`.
    Raises:
        UnknownNameError: no such scorer.
        PluginError: a plug-in cannot be imported, or is not an evaluator.
        TrustError: a `module:attribute` that only a file names.
        BneckError: a file is missing or damaged, or belongs to another space or other data.
    """
    from .function import adapt

    if not isinstance(source, str):
        return adapt(object_label(source), source, context)
    kind = scorer_kind(source)
    if kind == "plugin":
        require_trusted(source)
        return adapt(source, resolve("evaluator", source, ENTRY_POINT_GROUP, {}), context)
    make: Callable[[str, EvaluationContext], Scorer] = import_module(f".{_MODULES[kind]}", __package__).make
    return make(source, context)
