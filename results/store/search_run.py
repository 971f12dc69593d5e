"""A search run: settings, Optuna study, checkpoints, exported architectures and report."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ...evaluate import Accuracy, Goals, Latency
from ...evaluate.trust import Kind, require_trusted
from ...search_space import Architecture, BneckError, Cost, RunError, cost
from ...search_space.errors import MachineError, first_line
from ...search_space.faults import explained_faults
from ...search_space.urls import redact
from .experiment import RUN_FILE, Experiment
from .fidelities import EpochsSpent, count_epochs_spent, rung_correlations
from .new_folder import Place
from .pareto import knee, pareto_front
from .settings import RunSettings, load_settings, settings_yaml
from .storage import Access, open_storage, public_url, resume_hint, sqlite_url
from .trial import (
    Record,
    accuracy_from,
    record_from_trial,
    with_posteriors,
    with_replicates,
    with_rung_result,
)

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class Verification:
    """Re-measured latency and test accuracy of a network on the front.

    Attributes:
        latency: from two fresh processes; None if the device was not available.
        ratio_upper: 95% upper confidence bound of the latency ratio.
        test_top1: test accuracy of the first training, a fraction; None if the evaluator stores no weights.
    """

    latency: Latency | None
    ratio_upper: float | None
    test_top1: float | None = None
    test_loss: float | None = None
    test_images: int = 0

    def satisfies_limits(self, goals: Goals) -> bool:
        """Whether the 95% upper confidence bound satisfies the latency limits; True without a latency."""
        if self.latency is None or self.ratio_upper is None:
            return True
        upper_ms = self.latency.latency_ms * self.ratio_upper / self.latency.ratio
        return all(
            limit.violation(self.ratio_upper if limit.unit == "x" else upper_ms) <= 0
            for limit in goals.constraints
            if limit.quantity == "latency"
        )


@dataclass(frozen=True)
class Baseline:
    """A published network, trained and measured like the networks of the search."""

    name: str
    architecture: Architecture
    latency: Latency
    accuracy: Accuracy
    test_top1: float
    test_images: int

    @property
    def cost(self) -> Cost:
        return cost(self.architecture)


class SearchRun(Experiment[RunSettings]):
    """A search run: its Optuna study, checkpoints and exported architectures."""

    SETTINGS_NAME = RUN_FILE
    COMMAND = "bneck search"
    SUBFOLDERS = ("checkpoints", "architectures")

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker process opens the study itself.
        return type(self), (self.folder, self.settings)

    _access: ClassVar[Access] = "read"

    @classmethod
    def create(cls, place: Place, settings: RunSettings, fill: Callable[[Self], None] | None = None) -> Self:
        """As in the base; the study, which `fill` creates, can be written."""
        return super().create(place, settings, fill).writable()

    @property
    def runs(self) -> "tuple[SearchRun, ...]":
        """The searches whose networks this is: itself."""
        return (self,)

    @property
    def resume_command(self) -> str:
        return super().resume_command + resume_hint(self.settings.storage)

    @property
    def named_values(self) -> Mapping[Kind, str]:
        settings = self.settings
        return {
            "storage": settings.storage,
            "data set": settings.data.name,
            "latency backend": settings.latency.backend,
            "evaluator": settings.evaluator,
            "sampler": settings.sampler,
        }

    @classmethod
    def _read_settings(cls, path: Path) -> RunSettings:
        return load_settings(path)

    def _settings_yaml(self) -> str:
        return settings_yaml(self.settings)

    def checkpoint(self, architecture: Architecture) -> Path:
        """Weights of a trained network."""
        return self.folder / "checkpoints" / f"{architecture.key}.safetensors"

    def partial_checkpoint(self, architecture: Architecture) -> Path:
        """Weights and optimizer state of a training that is paused at a rung."""
        return self.folder / "checkpoints" / f"{architecture.key}.paused.safetensors"

    def partial_checkpoints(self) -> list[Path]:
        return sorted((self.folder / "checkpoints").glob("*.paused.safetensors"))

    @property
    def latency_predictor_file(self) -> Path:
        return self.folder / "latency-predictor.json"

    @property
    def storage_url(self) -> str:
        """The URL of the study's database; it may hold a password that the user gave in this process."""
        return self.settings.storage or sqlite_url(self.folder / "study.db")

    @cached_property
    def study(self) -> "Study":
        """The Optuna study; read-only in a run that was opened, see `writable`.

        Raises:
            RunError: it is missing, or of another space.
            TrustError: it is in a database that only `run.yaml` names.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        require_trusted(self.settings.storage)
        url, place = self.storage_url, public_url(self.storage_url)
        try:
            study = optuna.load_study(study_name=self.settings.study, storage=open_storage(url, self._access))
        except KeyError:
            raise RunError(f"{self.folder}: study {self.settings.study} is not in {place}") from None
        except RunError:
            raise
        except Exception as error:
            cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
            raise RunError(f"{self.folder}: cannot open {place}: {redact(first_line(cause), url)}") from None
        with self._named_damage():
            self.require_same_space(study)
        return study

    def writable(self) -> Self:
        """This run; its study will be opened for writing, as in a run that this process created."""
        vars(self)["_access"] = "write"
        vars(self).pop("study", None)
        return self

    def require_same_space(self, study: "Study") -> None:
        known = {gene.name: list(gene.choices) for gene in self.settings.space.genes}
        study_genes = study.user_attrs.get("genes", known)
        if study_genes != known:
            name = self.settings.space.name
            raise RunError(
                f"{self.folder}: the genes of the study differ from those of space {name} in run.yaml"
            )

    def records(self) -> list[Record]:
        """All trials in order, each with its replicates and its estimated accuracy.

        Raises:
            MachineError: the database cannot be read.
            RunError: it is damaged.
        """
        with self._named_damage():
            trials = self.study.get_trials(deepcopy=False)
            parsed = (self._parsed(trial) for trial in trials)
            with_rungs = self._with_rungs([record for record in parsed if record is not None])
            return with_posteriors(with_replicates(with_rungs, self.replicates()))

    @contextmanager
    def _named_damage(self) -> Iterator[None]:
        """Name the database in the error of one that cannot be read, or that holds broken values."""
        place = public_url(self.settings.storage) or self.folder / "study.db"
        try:
            with explained_faults():
                yield
        except MachineError as error:
            known = str(place) in str(error)
            raise (error if known else MachineError(f"{place}: {error}")) from error.__cause__
        except BneckError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            cause = f"{type(error).__name__}: {first_line(error)}"
            raise RunError(f"{place}: damaged, restore it from a backup ({cause})") from error

    def _parsed(self, trial: "FrozenTrial") -> Record | None:
        """The record of a trial; that of a finished one, which cannot change, is kept."""
        if not trial.state.is_finished():
            return record_from_trial(trial, self.settings.space)
        if trial.number not in self._finished:
            self._finished[trial.number] = record_from_trial(trial, self.settings.space)
        return self._finished[trial.number]

    @cached_property
    def _finished(self) -> dict[int, Record | None]:
        return {}

    def minutes_at_completion(self) -> dict[int, float]:
        """By trial: minutes from the start of the search to its end, interruptions included."""
        trials = self.study.get_trials(deepcopy=False)
        starts = [trial.datetime_start for trial in trials if trial.datetime_start]
        return {
            trial.number: (trial.datetime_complete - min(starts)).total_seconds() / 60
            for trial in trials
            if trial.datetime_complete and starts
        }

    def completed_records(self) -> list[Record]:
        """The completed trials, without those that failed verification."""
        failed_verification = self.failed_verification()
        return [
            each
            for each in self.records()
            if each.state == "complete" and each.key not in failed_verification
        ]

    def front(self) -> list[Record]:
        """The Pareto front of the completed records."""
        return pareto_front(self.completed_records(), self.settings.goals.objectives)

    def failed_verification(self) -> set[str]:
        """Keys of networks whose re-measured latency may violate a limit; they are not on the front."""
        return {
            key
            for key, verification in self.verifications().items()
            if not verification.satisfies_limits(self.settings.goals)
        }

    def record(self, trial: int | str) -> Record:
        """One trial by its number, `best` or `knee`.

        Raises:
            RunError: there is no such trial.
        """
        if trial == "best":
            return self.best()
        if trial == "knee":
            return self.knee()
        numbers = {str(record.trial): record for record in self.records()}
        if str(trial) not in numbers:
            known = f"give best, knee or a number from `bneck front {self.folder}`"
            raise RunError(f"{self.folder} has no trial '{trial}'; {known}")
        return numbers[str(trial)]

    def records_named(self, trial: str) -> list[Record]:
        """One trial, see `record`, or all of the front by `front`.

        Raises:
            RunError: there is no such trial, or the front is empty.
        """
        if trial != "front":
            return [self.record(trial)]
        if front := self.front():
            return front
        raise self.nothing_complete()

    def best(self) -> Record:
        """The completed record of the highest estimated accuracy, or reward if that is the objective.

        Raises:
            RunError: no trial is complete.
        """
        completed = [record for record in self.completed_records() if record.trainings]
        if not completed:
            raise self.nothing_complete()
        return max(completed, key=lambda record: record.value(self.settings.goals.ranking_objective))

    def knee(self) -> Record:
        """The network at the knee of the front, see `pareto.knee`.

        Raises:
            RunError: no trial is complete.
        """
        front = self.front()
        if not front:
            raise self.nothing_complete()
        return knee(front, self.settings.goals.objectives)

    def nothing_complete(self) -> RunError:
        """The error of a request that needs a completed trial."""
        return RunError(f"{self.folder}: no trial is complete yet; {self.resume_command}")

    def replicates(self) -> dict[str, tuple[Accuracy, ...]]:
        """Replicates by the key of their network, in the order of their seeds."""
        by_key: dict[str, tuple[Accuracy, ...]] = {}
        with self._named_damage():
            for (key, _), attribute in sorted(self._replicate_attributes().items()):
                if "error" not in attribute:
                    by_key[key] = (*by_key.get(key, ()), accuracy_from(attribute))
        return by_key

    def failed_replicates(self) -> dict[tuple[str, int], str]:
        """Errors of failed replicates by key and seed."""
        return {
            place: each["error"] for place, each in self._replicate_attributes().items() if "error" in each
        }

    def store_replicate(self, key: str, seed: int, outcome: Accuracy | str) -> None:
        """Store a replicate or its error in the study: Optuna rejects new attributes of a finished trial."""
        attribute = {"error": outcome} if isinstance(outcome, str) else asdict(outcome)
        self.study.set_user_attr(f"replicate:{key}:{seed}", attribute)

    def store_rung_result(self, key: str, epochs: int, outcome: Accuracy | str) -> None:
        """Store the result of a promotion, or its error."""
        attribute = {"error": outcome} if isinstance(outcome, str) else asdict(outcome)
        self.study.set_user_attr(f"rung:{key}:{epochs}", attribute)

    def epochs_spent(self) -> EpochsSpent | None:
        """The epochs spent with early stopping; None if all networks are trained in full."""
        rungs = self.settings.rungs
        if rungs is None:
            return None
        records = self.records()
        return replace(count_epochs_spent(records, rungs), correlations=rung_correlations(records, rungs))

    def verifications(self) -> dict[str, Verification]:
        """Verifications of networks by key."""
        with self._named_damage():
            return {
                name.removeprefix("verification:"): Verification(
                    **attribute | {"latency": _latency_from(attribute["latency"])}
                )
                for name, attribute in self._attributes("verification:").items()
            }

    def baselines(self) -> list[Baseline]:
        """The published networks that were evaluated for comparison."""
        with self._named_damage():
            return [
                Baseline(
                    name=(name := attribute_name.removeprefix("baseline:")),
                    architecture=self.settings.published_architecture(name),
                    latency=Latency(**attribute["latency"]),
                    accuracy=accuracy_from(attribute["accuracy"]),
                    test_top1=attribute["test_top1"],
                    test_images=attribute["test_images"],
                )
                for attribute_name, attribute in self._attributes("baseline:").items()
            ]

    def _replicate_attributes(self) -> dict[tuple[str, int], Mapping[str, Any]]:
        places = ((name.split(":"), each) for name, each in self._attributes("replicate:").items())
        return {(key, int(seed)): each for (_, key, seed), each in places}

    def _with_rungs(self, records: list[Record]) -> list[Record]:
        rungs = self.settings.rungs
        if rungs is None:
            return records
        attributes, updated = self._attributes("rung:"), []
        for record in records:
            if record.state == "stopped" and record.accuracy:
                record = with_rung_result(record, rungs.first, record.accuracy, rungs.last)
                for _, epochs in rungs.steps:
                    if each := attributes.get(f"rung:{record.key}:{epochs}"):
                        outcome = each["error"] if "error" in each else accuracy_from(each)
                        record = with_rung_result(record, epochs, outcome, rungs.last)
            updated.append(record)
        return updated

    def _attributes(self, prefix: str) -> Mapping[str, Any]:
        with self._named_damage():
            attributes = self.study.user_attrs
        return {name: value for name, value in attributes.items() if name.startswith(prefix)}


def _latency_from(attribute: Mapping[str, Any] | None) -> Latency | None:
    return Latency(**attribute) if attribute else None
