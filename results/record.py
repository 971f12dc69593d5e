"""One trial as a value, read from the Optuna study, which is the one store of truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..evaluate import Accuracy, Epoch, Latency, Objective
from ..search_space import Architecture, Cost, SearchSpace, cost

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

State = Literal["judged", "infeasible", "repeat", "failed", "interrupted", "running", "waiting"]


@dataclass(frozen=True)
class Record:
    """What is known of one trial.

    Attributes:
        trial: Optuna's number.
        source: `sampler`, or the name of the published network it was enqueued as.
        state: `judged` is trained and within the limits; `infeasible` broke a limit, mostly
            before training; `repeat` had been judged before; `failed` gave no result.
        violations: by limit, at most 0 where it holds; a limit that was not reached repeats the
            violation that stopped the trial.
        seconds: from the proposal to the verdict.
    """

    trial: int
    source: str
    state: State
    architecture: Architecture
    cost: Cost
    latency: Latency | None = None
    accuracy: Accuracy | None = None
    violations: Mapping[str, float] | None = None
    seconds: float = 0.0
    error: str = ""

    @property
    def key(self) -> str:
        return self.architecture.key

    def value(self, objective: Objective) -> float:
        """What an objective looks at.

        Raises:
            ValueError: it was not measured.
        """
        if objective.quantity == "accuracy" and self.accuracy is not None:
            return self.accuracy.top1
        if objective.quantity == "latency" and self.latency is not None:
            return self.latency.latency_ms
        if objective.quantity in ("macs", "params"):
            return float(getattr(self.cost, objective.quantity))
        raise ValueError(f"trial {self.trial} has no {objective.quantity}")


def record_of(trial: "FrozenTrial", space: SearchSpace) -> Record | None:
    """The record of a trial; None for one that waits and has no genes yet."""
    genes = trial.params or trial.system_attrs.get("fixed_params", {})
    if set(genes) != {gene.name for gene in space.genes}:
        return None
    attrs = trial.user_attrs
    architecture = space.decode(genes)
    untold: dict[str, State] = {"WAITING": "waiting", "RUNNING": "running"}
    return Record(
        trial=trial.number,
        source=attrs.get("source", "sampler"),
        state=attrs.get("state", untold.get(trial.state.name, "interrupted")),
        architecture=architecture,
        cost=cost(architecture),
        latency=Latency(**attrs["latency"]) if "latency" in attrs else None,
        accuracy=accuracy_from(attrs["accuracy"]) if "accuracy" in attrs else None,
        violations=dict(trial.constraints),
        seconds=trial.duration.total_seconds() if trial.duration else 0.0,
        error=attrs.get("error", ""),
    )


def accuracy_from(attribute: Mapping[str, Any]) -> Accuracy:
    """An `Accuracy` from its plain form."""
    fields = dict(attribute)
    fields["curve"] = tuple(Epoch(**point) for point in fields["curve"])
    return Accuracy(**fields)
