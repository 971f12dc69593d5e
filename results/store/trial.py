"""One trial as a value, read from the Optuna study."""

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
    """One trial of a search.

    Attributes:
        trial: Optuna's number.
        source: `sampler`, or the name of the published network that was enqueued.
        state: `complete`: trained in full and feasible; `stopped`: trained to a lower rung so far;
            `infeasible`: violates a limit, mostly found before training; `duplicate`: evaluated in an
            earlier trial; `failed`: no result; `interrupted`, `running`, `enqueued`.
        violations: by limit, at most 0 if satisfied; a limit that was not evaluated repeats the violation
            that stopped the trial.
        seconds: duration of the trial.
        accuracy: of the first training, whose weights are stored; of a stopped one, at its highest rung.
        replicates: trainings of the same network with other seeds.
        seed_effects: additive effect of each seed on the accuracies of all networks; empty while unknown.
        rung_accuracies: accuracies of the first training by epochs, with early stopping.
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
        """Whether the trial counts towards `n_trials`: trained, in full or not."""
        return self.state in ("complete", "stopped")

    @property
    def epochs(self) -> int:
        """The highest rung reached; 0 without early stopping."""
        return max(self.rung_accuracies, default=0)

    @property
    def at_lowest_fidelity(self) -> "Record":
        """The record at the lowest rung, as reported to the study; unchanged without rungs."""
        return self.at_fidelity(min(self.rung_accuracies)) if self.rung_accuracies else self

    def at_fidelity(self, epochs: int) -> "Record":
        """The record as if a rung that it reached were a full training."""
        accuracy = self.rung_accuracies[epochs]
        return replace(self, state="complete", accuracy=accuracy, replicates=())

    @property
    def trainings(self) -> tuple[Accuracy, ...]:
        """The first training, then the replicates; empty for an untrained network."""
        return (self.accuracy, *self.replicates) if self.accuracy else ()

    @property
    def top1(self) -> float:
        """Mean accuracy of all trainings, corrected for seed effects; a fraction.

        Raises:
            ValueError: the network was not trained.
        """
        if not self.trainings:
            raise ValueError(f"trial {self.trial} has no accuracy")
        return fmean(each.top1 - self.seed_effects.get(each.seed, 0.0) for each in self.trainings)

    @property
    def image_sampling_ci95(self) -> float:
        """Half the width of the 95% confidence interval due to the number of images, without seed variance.

        Raises:
            ValueError: the network was not trained.
        """
        return wilson_half_width(min(max(self.top1, 0.0), 1.0), self.trainings[0].images)

    def value(self, objective: Objective) -> float:
        """The value of an objective: accuracy as a fraction, latency in ms.

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
    """The record of an Optuna trial; None if it has no genes yet."""
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
    """An `Accuracy` from a study attribute."""
    fields = dict(attribute)
    fields["curve"] = tuple(Epoch(**point) for point in fields["curve"])
    return Accuracy(**fields)


def accuracies_by_seed(records: Iterable[Record]) -> dict[str, dict[int, float]]:
    """Accuracies by network key and seed."""
    trained = (record for record in records if record.trainings)
    return {record.key: {each.seed: each.top1 for each in record.trainings} for record in trained}


def seed_noise_std(records: Iterable[Record]) -> float | None:
    """Standard deviation of the accuracy over seeds; None with too few replicates."""
    noise = estimate_seed_noise(accuracies_by_seed(records))
    return noise.std if noise and noise.degrees_of_freedom >= MIN_DEGREES_OF_FREEDOM else None


def with_replicates(
    records: Iterable[Record], replicates: Mapping[str, tuple[Accuracy, ...]]
) -> list[Record]:
    """The records with their replicates and the seed effects estimated from them."""
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
    """The record with the result of a promotion: an accuracy, or an error.

    Args:
        max_epochs: the highest rung.
    """
    if isinstance(outcome, str):
        return replace(record, error=outcome)
    rung_results = {**record.rung_accuracies, epochs: outcome}
    state: State = "complete" if epochs == max_epochs else "stopped"
    return replace(record, state=state, accuracy=outcome, rung_accuracies=rung_results)
