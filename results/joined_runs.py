"""Several searches as one: their networks on one Pareto front."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..evaluate import Goals
from ..search_space import Architecture, RunError
from .run import Run
from .store.fidelities import EpochsSpent
from .store.search_run import Baseline, Verification
from .store.trial import Record, with_posteriors

if TYPE_CHECKING:
    from ..search_space.network import Network


@dataclass(frozen=True, repr=False)
class JoinedRuns(Run):
    """Searches with the same objectives on the same images and device, as one run that is only read.

    Records have the folder of their search in `run`, and are named `RUN#TRIAL`. A network that several
    searches have counts once, in the first of them.

    Attributes:
        settings: those of the first search, with the limits that all have.
        joined: the searches.

    Example:
        >>> from bneck.results import JoinedRuns
        >>> one = JoinedRuns.of(["runs/pretrained-photos-1", "runs/mobile-32-photos-1"])  # doctest: +SKIP
        >>> one.front(), one.plot_pareto()  # doctest: +SKIP
    """

    joined: tuple[Run, ...] = ()

    @classmethod
    def of(cls, runs: Iterable["Run | str | Path"]) -> "JoinedRuns":
        """Join searches, given as objects or folders.

        Raises:
            RunError: fewer than two, the same twice, or they cannot be compared.
        """
        opened = tuple(each if isinstance(each, Run) else Run.open(each) for each in runs)
        if len({each.folder.resolve() for each in opened}) < max(2, len(opened)):
            raise RunError("one front over several searches needs at least two different ones")
        first, *others = opened
        for other in others:
            _require_comparable(first, other)
        constraints = first.settings.goals.constraints
        common = [
            each for each in constraints if all(each in other.settings.goals.constraints for other in others)
        ]
        goals = Goals(first.settings.goals.objectives, tuple(common))
        return cls(first.folder, replace(first.settings, goals=goals), opened)

    @property
    def runs(self) -> tuple[Run, ...]:
        return self.joined

    def records(self) -> list[Record]:
        """The trials of all searches in order, with accuracies estimated over all of them."""
        reference_ms, known, found = self.settings.latency.reference_ms, set[str](), list[Record]()
        for run in self.joined:
            records = run.records()
            for record in records:
                if record.key in known:
                    continue
                latency = record.latency
                if latency is not None:  # calibrations of one device differ a little
                    latency = replace(latency, latency_ms=latency.ratio * reference_ms)
                found.append(replace(record, run=str(run.folder), latency=latency, posterior=None))
            known |= {record.key for record in records if record.state == "complete"}
        return with_posteriors(found)

    def record(self, trial: int | str) -> Record:
        """One trial by its name `RUN#TRIAL`, `best` or `knee`.

        Raises:
            RunError: there is no such trial.
        """
        if trial == "best":
            return self.best()
        if trial == "knee":
            return self.knee()
        names = {str(record.label): record for record in self.records()}
        if str(trial) not in names:
            raise RunError(f"no search has trial '{trial}'; name it RUN#TRIAL, as in the front")
        return names[str(trial)]

    def checkpoint(self, architecture: Architecture) -> Path:
        """Weights of a trained network, in the first search that has them."""
        paths = [run.checkpoint(architecture) for run in self.joined]
        return next((path for path in paths if path.is_file()), paths[0])

    def network(self, trial: int | str = "best") -> "Network":
        run, number = self._place(trial)
        return run.network(number)

    def export(
        self, trial: int | str = "best", formats: Iterable[str] = ("config",), folder: Path | str = "exported"
    ) -> list[Path]:
        names = [record.label for record in self.front()] if trial == "front" else [trial]
        places = [self._place(name) for name in names]
        return [path for run, number in places for path in run.export(number, formats, folder)]

    def _place(self, trial: int | str) -> tuple[Run, int]:
        record = self.record(trial)
        return next(run for run in self.joined if str(run.folder) == record.run), record.trial

    def failed_verification(self) -> set[str]:
        return {key for run in self.joined for key in run.failed_verification()}

    def verifications(self) -> dict[str, Verification]:
        return {key: each for run in self.joined for key, each in run.verifications().items()}

    def baselines(self) -> list[Baseline]:
        return list({each.name: each for run in self.joined for each in run.baselines()}.values())

    def epochs_spent(self) -> EpochsSpent | None:
        """None: epochs are those of each search."""
        return None


def _require_comparable(first: Run, other: Run) -> None:
    """Raise `RunError` with the first difference that makes accuracies or costs incomparable."""
    one, two = first.settings, other.settings
    same: Sequence[tuple[str, object, object]] = (
        ("objectives", one.goals.objectives, two.goals.objectives),
        ("classes", one.data.class_names, two.data.class_names),
        ("images", one.data.fingerprint, two.data.fingerprint),
        ("limits of validation images", one.data.validation_images, two.data.validation_images),
        ("latency backends", one.latency.backend, two.latency.backend),
        ("devices", one.latency.device, two.latency.device),
        # the others of the panel have the resolution of the space; a ratio is to the reference alone
        ("reference models", one.latency.panel.reference_network, two.latency.panel.reference_network),
    )
    for name, value, others in same:
        if value != others:
            raise RunError(
                f"{first.folder} and {other.folder} have no common front: {name} differ; "
                "start a search with the settings of the other"
            )
