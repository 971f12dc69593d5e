"""One trial as a value, read from the Optuna study."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from ...evaluate import Accuracy, Epoch, Latency, Objective, wilson_interval
from ...evaluate.statistics.arrays import evenly_spaced
from ...evaluate.statistics.estimate import Estimate
from ...evaluate.statistics.outcomes import ALL_IMAGES, MAX_NETWORKS, ImageSampling
from ...evaluate.statistics.seed_noise import MIN_DEGREES_OF_FREEDOM
from ...evaluate.statistics.true_accuracies import TrueAccuracies
from ...search_space import Architecture, CandidateSpace, Cost, cost

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_ROUNDING_STD = 0.29  # deviation of a value that was rounded to whole steps

BASELINE_SOURCE = "baseline: highest resolution within the limits"

State = Literal[
    "complete", "stopped", "infeasible", "duplicate", "failed", "interrupted", "running", "enqueued"
]


@dataclass(frozen=True)
class Record:
    """One trial of a search.

    Attributes:
        trial: Optuna's number.
        source: `sampler`, or what was enqueued: the name of a published network, `BASELINE_SOURCE` for a
            pretrained one, `transfer`, `random feasible`.
        state: `complete`: trained in full and feasible; `stopped`: trained to a lower rung so far;
            `infeasible`: violates a limit, mostly found before training; `duplicate`: evaluated in an
            earlier trial; `failed`: no result; `interrupted`, `running`, `enqueued`.
        violations: by limit, at most 0 if satisfied; a limit that was not evaluated repeats the violation
            that stopped the trial.
        seconds: duration of the trial.
        accuracy: of the first training, whose weights are stored; of a stopped one, at its highest rung.
        replicates: trainings of the same network with other seeds.
        rung_accuracies: accuracies of the first training by epochs, with early stopping.
        run: folder of the search, in a front over several; empty otherwise.
        posterior: estimate of the true accuracy, see `with_posteriors`; None while the seed noise is unknown,
            and for networks that are not complete.
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
    rung_accuracies: Mapping[int, Accuracy] = field(default_factory=dict)
    posterior: Estimate | None = None
    run: str = ""

    @property
    def label(self) -> int | str:
        """The number of the trial, or `RUN#TRIAL` in a front over several searches."""
        return f"{self.run}#{self.trial}" if self.run else self.trial

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
        return replace(self, state="complete", accuracy=accuracy, replicates=(), posterior=None)

    @property
    def trainings(self) -> tuple[Accuracy, ...]:
        """The first training, then the replicates; empty for an untrained network."""
        return (self.accuracy, *self.replicates) if self.accuracy else ()

    @property
    def top1(self) -> float:
        """Mean accuracy of all trainings, a fraction.

        Raises:
            ValueError: the network was not trained.
        """
        if not self.trainings:
            raise ValueError(f"trial {self.trial} has no accuracy")
        return fmean(each.top1 for each in self.trainings)

    @property
    def estimated_accuracy(self) -> Estimate:
        """The accuracy that networks are compared by, with its 95% interval.

        The posterior where it is known. It corrects for selection: the highest of many mean accuracies is
        mostly a lucky one. Otherwise the mean accuracy, with Wilson's interval for the number of images.

        Raises:
            ValueError: the network was not trained.
        """
        if self.posterior is not None:
            return self.posterior
        top1 = self.top1
        return Estimate(top1, *wilson_interval(top1, self.trainings[0].images))

    def value(self, objective: Objective) -> float:
        """The value of an objective: estimated accuracy as a fraction, latency in ms.

        Raises:
            ValueError: it was not measured.
        """
        if (
            objective.depends_on_accuracy
            and (accuracy_factor := objective.accuracy_factor(self.cost, self.latency)) is not None
        ):
            return self.estimated_accuracy.value * accuracy_factor
        if objective.quantity == "latency" and self.latency is not None:
            return self.latency.latency_ms
        if objective.quantity in ("macs", "params"):
            return float(getattr(self.cost, objective.quantity))
        raise ValueError(f"trial {self.trial} has no {objective.quantity}")


def record_from_trial(trial: "FrozenTrial", space: CandidateSpace) -> Record | None:
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


def true_accuracies(records: Sequence[Record]) -> TrueAccuracies | None:
    """Posterior of the accuracies of trained records on unseen images; None without replicates."""
    return _true_accuracies(records, image_sampling(records)) if _has_replicates(records) else None


def image_sampling(records: Sequence[Record]) -> ImageSampling:
    """How the accuracies of trained records vary with the sample of validation images."""
    images = max(record.trainings[0].images for record in records)
    sample = evenly_spaced(records, MAX_NETWORKS)
    sample += evenly_spaced([record for record in records if record.replicates], MAX_NETWORKS)
    known = {
        record.label: [
            correct
            for each in record.trainings
            if each.images == images and (correct := each.correct) is not None
        ]
        for record in sample
    }
    return ImageSampling.of(list(known.values()), images)


def _has_replicates(records: Iterable[Record]) -> bool:
    return any(record.replicates for record in records)


def _true_accuracies(records: Sequence[Record], images: ImageSampling) -> TrueAccuracies | None:
    return TrueAccuracies.of(
        [[each.top1 for each in record.trainings] for record in records],
        [record.cost.macs for record in records],
        min_std=_ROUNDING_STD / max(record.trainings[0].images for record in records),
        images=images,
    )


def seed_noise_std(records: Iterable[Record]) -> float | None:
    """Standard deviation of the accuracy over seeds; None with too few replicates."""
    trained = [record for record in records if record.trainings]
    if sum(len(record.replicates) for record in trained) < MIN_DEGREES_OF_FREEDOM:
        return None
    posterior = _true_accuracies(trained, ALL_IMAGES)
    return posterior.noise.std if posterior else None


def with_posteriors(records: Sequence[Record]) -> list[Record]:
    """The records, those that are complete with the posterior of their accuracy, where the noise is known."""
    completed = [record for record in records if record.state == "complete" and record.trainings]
    posterior = true_accuracies(completed)
    if posterior is None:
        return list(records)
    estimates = {record.label: each for record, each in zip(completed, posterior.estimates(), strict=True)}
    return [replace(record, posterior=estimates.get(record.label)) for record in records]


def with_replicates(
    records: Iterable[Record], replicates: Mapping[str, tuple[Accuracy, ...]]
) -> list[Record]:
    """The records with their replicates; those that are not complete have none."""
    return [
        replace(record, replicates=replicates.get(record.key, ())) if record.state == "complete" else record
        for record in records
    ]


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
