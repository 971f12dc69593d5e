"""One trial as a value, read from the Optuna study, which is the one store of truth."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from ...evaluate import Accuracy, Epoch, Latency, Objective, wilson_half_width
from ...evaluate.statistics.seed_noise import MIN_DEGREES_OF_FREEDOM, estimate_seed_noise, seed_effects
from ...search_space import Architecture, Cost, SearchSpace, cost

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

State = Literal[
    "complete", "stopped", "infeasible", "duplicate", "failed", "interrupted", "running", "enqueued"
]


@dataclass(frozen=True)
class Record:
    """What is known of one trial.

    Attributes:
        trial: Optuna's number.
        source: `sampler`, or the name of the published network it was enqueued as.
        state: `judged` is trained to the end and within the limits; `stopped` is trained to a lower rung
            so far; `infeasible` broke a limit, mostly before training; `repeat` had been judged before;
            `failed` gave no result.
        violations: by limit, at most 0 where it holds; a limit that was not reached repeats the
            violation that stopped the trial.
        seconds: from the proposal to the verdict.
        accuracy: of the first training, whose weights are kept; of one that was stopped, so far.
        replicates: trainings of the same network with other seeds.
        seed_effects: what seeds do to all networks of the run alike, where that is told.
        rung_accuracies: the accuracies of the first training by its epochs, where the best alone go on.
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
    replicates: tuple[Accuracy, ...] = ()
    seed_effects: Mapping[int, float] = field(default_factory=dict)
    rung_accuracies: Mapping[int, Accuracy] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.architecture.key

    @property
    def is_evaluated(self) -> bool:
        """Whether it is one of the networks that a run was to judge: trained, to the end or not."""
        return self.state in ("complete", "stopped")

    @property
    def epochs(self) -> int:
        """The highest rung that it reached; 0 where every network is trained in full."""
        return max(self.rung_accuracies, default=0)

    @property
    def at_lowest_fidelity(self) -> "Record":
        """As the study was told of it: as it was at the lowest rung, where there are rungs."""
        return self.at_fidelity(min(self.rung_accuracies)) if self.rung_accuracies else self

    def at_fidelity(self, epochs: int) -> "Record":
        """As if the epochs to a rung that it reached were all."""
        accuracy = self.rung_accuracies[epochs]
        return replace(self, state="complete", accuracy=accuracy, replicates=())

    @property
    def trainings(self) -> tuple[Accuracy, ...]:
        """The first, then the repeats; none of a network that was not trained."""
        return (self.accuracy, *self.replicates) if self.accuracy else ()

    @property
    def top1(self) -> float:
        """The mean accuracy of all trainings, without what their seeds do to all networks alike.

        Raises:
            ValueError: it was not trained.
        """
        if not self.trainings:
            raise ValueError(f"trial {self.trial} has no accuracy")
        return fmean(each.top1 - self.seed_effects.get(each.seed, 0.0) for each in self.trainings)

    @property
    def image_sampling_ci95(self) -> float:
        """Half the 95% interval of `top1` that so many validation images leave; not that of the seeds.

        Raises:
            ValueError: it was not trained.
        """
        return wilson_half_width(min(max(self.top1, 0.0), 1.0), self.trainings[0].images)

    def value(self, objective: Objective) -> float:
        """What an objective looks at.

        Raises:
            ValueError: it was not measured.
        """
        if (
            objective.depends_on_accuracy
            and (accuracy_factor := objective.accuracy_factor(self.cost, self.latency)) is not None
        ):
            return self.top1 * accuracy_factor
        if objective.quantity == "latency" and self.latency is not None:
            return self.latency.latency_ms
        if objective.quantity in ("macs", "params"):
            return float(getattr(self.cost, objective.quantity))
        raise ValueError(f"trial {self.trial} has no {objective.quantity}")


def record_from_trial(trial: "FrozenTrial", space: SearchSpace) -> Record | None:
    """The record of a trial; None for one that waits and has no genes yet."""
    genes = trial.params or trial.system_attrs.get("fixed_params", {})
    if set(genes) != {gene.name for gene in space.genes}:
        return None
    attrs = trial.user_attrs
    architecture = space.decode(genes)
    state_names: dict[str, State] = {"WAITING": "enqueued", "RUNNING": "running"}
    return Record(
        trial=trial.number,
        source=attrs.get("source", "sampler"),
        state=attrs.get("state", state_names.get(trial.state.name, "interrupted")),
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


def accuracies_by_seed(records: Iterable[Record]) -> dict[str, dict[int, float]]:
    """The accuracies of networks by key and seed."""
    trained = (record for record in records if record.trainings)
    return {record.key: {each.seed: each.top1 for each in record.trainings} for record in trained}


def seed_noise_std(records: Iterable[Record]) -> float | None:
    """Deviation of an accuracy of one training; None while too few networks were trained again."""
    noise = estimate_seed_noise(accuracies_by_seed(records))
    return noise.std if noise and noise.degrees_of_freedom >= MIN_DEGREES_OF_FREEDOM else None


def with_replicates(
    records: Iterable[Record], replicates: Mapping[str, tuple[Accuracy, ...]]
) -> list[Record]:
    """The records with all trainings of their networks, told comparable across seeds."""
    all_records = list(records)
    if not replicates:
        return all_records
    with_all_seeds = [
        replace(record, replicates=replicates.get(record.key, ()) if record.state == "complete" else ())
        for record in all_records
    ]
    effects = seed_effects(
        accuracies_by_seed(record for record in with_all_seeds if record.state == "complete")
    )
    return [replace(record, seed_effects=effects) for record in with_all_seeds]


def with_rung_result(record: Record, epochs: int, outcome: Accuracy | str, max_epochs: int) -> Record:
    """The record with what came of training on to a rung: an accuracy, or why there is none.

    Args:
        max_epochs: the highest rung.
    """
    if isinstance(outcome, str):
        return replace(record, error=outcome)
    rung_results = {**record.rung_accuracies, epochs: outcome}
    state: State = "complete" if epochs == max_epochs else "stopped"
    return replace(record, state=state, accuracy=outcome, rung_accuracies=rung_results)
