"""How long the parts of a search take, estimated from those that have ended."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from ...evaluate import usable_cores
from ...evaluate.training.recipe import load_recipe
from ...evaluate.training.step_timing import StepTiming
from ...results import Record, Run, RunSettings, pareto_front
from ...results.store.pretrained_baseline import is_pretrained
from ...results.text.formatting import duration
from ...search_space import Architecture, cost
from ..resolve.recipes import FINE_TUNING
from ..samplers.training_time import TrainingTime

REPORT_SECONDS = 15.0
REPORT_SHARE = 0.1  # of a short time limit
BASELINE_SHARE = 0.25  # of the time limit that is kept free for baselines, at most
PROCESS_SECONDS = 5.0  # start of a worker process
FORWARD_SHARE = 1 / 3  # of the time of a training step
FIRST_NETWORKS_SHARE = 0.25  # of a time limit, for the pretrained networks that are tuned first
FIRST_NETWORK_SHARE = 0.5  # for the only one
QUICK_SECONDS = 10.0  # a training that takes less needs no estimate
MACS_PER_SECOND = 15e9  # of training on a CPU core; small networks reach less


def measurement_seconds(records: Sequence[Record]) -> float:
    """Mean duration of a latency measurement; 0 without any."""
    latencies = [each.latency for each in records if each.latency]
    seconds = [each.seconds for each in latencies if each.source == "measured"]
    return fmean(seconds) if seconds else 0.0


def epoch_seconds(records: Sequence[Record]) -> float:
    """Mean duration of an epoch; 0 without any."""
    trained = [each.accuracy for each in records if each.accuracy and each.accuracy.curve]
    return fmean(each.seconds / len(each.curve) for each in trained) if trained else 0.0


def baseline_seconds(run: Run, name: str, records: Sequence[Record]) -> float:
    """Estimate for a baseline, at the pace of the network with the most MACs so far.

    Small networks take longer per MAC, so that the estimate is rather too long.
    """
    trained = [each.at_lowest_fidelity for each in records if each.accuracy]
    if not trained:
        return 0.0
    largest = max(trained, key=lambda record: record.cost.macs)
    assert largest.accuracy
    scale = cost(run.settings.published_architecture(name)).macs / max(1, largest.cost.macs)
    trained_epochs = run.settings.rungs.first if run.settings.rungs else run.settings.recipe.epochs
    epochs = baseline_epochs(run.settings, name) / trained_epochs
    return measurement_seconds(records) + largest.accuracy.seconds * scale * epochs


def baseline_epochs(settings: RunSettings, name: str) -> int:
    """Epochs of a baseline: those of the search, or of the recipe that a pretrained network is tuned by."""
    return load_recipe(FINE_TUNING).epochs if is_pretrained(name) else settings.recipe.epochs


def missing_baselines(run: Run) -> list[str]:
    """Names of the baselines that are not evaluated yet; none if the evaluator saves no weights."""
    if not run.settings.saves_weights:
        return []
    done = {baseline.name for baseline in run.baselines()}
    return [name for name in run.settings.baselines if name not in done]


def verification_seconds(run: Run, records: Sequence[Record], workers: int) -> float:
    """Estimate for the verification of the front of these records."""
    front = pareto_front(records, run.settings.goals.objectives)
    measured = len(front) + len(run.settings.latency.panel.networks)
    test = sum(map(evaluation_seconds, front)) / workers if run.settings.saves_weights else 0.0
    return PROCESS_SECONDS + measured * measurement_seconds(records) + test


def evaluation_seconds(record: Record) -> float:
    """Estimate for an evaluation on the test images, taken as twice as many as the validation images."""
    accuracy = record.accuracy
    if accuracy is None or not accuracy.images_seen:
        return 0.0
    return FORWARD_SHARE * accuracy.seconds * 2 * accuracy.images / accuracy.images_seen


@dataclass(frozen=True)
class TimeEstimate:
    """How long the trials of a search take, from a few timed training steps.

    Attributes:
        shortest, longest: seconds of a training of the smallest and of the largest network.
        mean: seconds of a training, over the networks that may be proposed.
        trainings: number of trainings still to come.
        memory_bytes: of one process.
        to_first_result: time of a training, with rungs to the lowest one.
        baselines: seconds of all baselines.
    """

    shortest: float
    longest: float
    mean: float
    trainings: int
    workers: int
    memory_bytes: int
    to_first_result: TrainingTime
    baselines: float = 0.0

    @classmethod
    def of(
        cls,
        run: Run,
        timings: Mapping[Architecture, StepTiming],
        networks: Sequence[Architecture],
        train_images: int,
        workers: int,
    ) -> "TimeEstimate":
        """Seconds per image are linear in `training_macs` through the networks that were timed.

        Args:
            networks: that may be proposed.
            train_images: per epoch.
        """
        settings = run.settings
        epoch = TrainingTime.fit(
            {each: train_images * timing.seconds_per_image for each, timing in timings.items()}
        )
        epochs = mean_epochs(settings)
        seconds = [epochs * epoch.seconds(network) for network in networks]
        baselines = sum(
            baseline_epochs(settings, name) * epoch.seconds(settings.published_architecture(name))
            for name in missing_baselines(run)
        )
        first_epochs = settings.rungs.first if settings.rungs else settings.recipe.epochs
        evaluated = sum(record.is_evaluated for record in run.records())
        trainings = max(0, settings.n_trials - evaluated) + settings.replicates
        memory = max(timing.memory_bytes for timing in timings.values())
        values = min(seconds), max(seconds), fmean(seconds)
        return cls(*values, trainings, workers, memory, epoch.times(first_epochs), baselines)

    @property
    def seconds(self) -> float:
        """Of all trainings, baselines included."""
        return (self.mean * self.trainings + self.baselines) / self.workers

    def text(self, limit_minutes: float | None) -> str:
        """One line: time of a network and of all, memory, and what a time limit leaves."""
        processes = f"{self.workers} processes" if self.workers > 1 else "1 process"
        text = (
            f"training takes about {duration(self.shortest)} to {duration(self.longest)} a network; "
            f"{self.trainings} trainings{' and the baselines' if self.baselines else ''} on {processes}: "
            f"about {duration(self.seconds)}, "
            f"{self.workers} x {self.memory_bytes / 1e9:.1f} GB of memory"
        )
        if limit_minutes and 60 * limit_minutes < self.seconds:
            fitting = int(60 * limit_minutes * self.workers / self.mean)
            text += f"; the time limit of {limit_minutes:g} min is enough for about {fitting}"
        return text


def least_training_seconds(network: Architecture, train_images: int, settings: RunSettings) -> float:
    """Lower bound of a training on a CPU core: three times the MACs of a forward pass for each image."""
    return 3 * cost(network).macs * train_images * mean_epochs(settings) / MACS_PER_SECOND


def affordable_baselines(
    networks: Sequence[Architecture], train_images: int, settings: RunSettings, minutes: float
) -> Sequence[Architecture]:
    """The networks, in their order, whose trainings take up to `FIRST_NETWORKS_SHARE` of a time limit.

    If none does, the shortest, unless it takes more than `FIRST_NETWORK_SHARE`. Each core trains a network,
    and takes at least `least_training_seconds`.
    """
    limit = 60 * minutes * usable_cores()
    seconds = {each: least_training_seconds(each, train_images, settings) for each in networks}
    chosen: list[Architecture] = []
    for each in networks:
        if sum(map(seconds.__getitem__, [*chosen, each])) <= FIRST_NETWORKS_SHARE * limit:
            chosen.append(each)
    shortest = min(networks, key=seconds.__getitem__, default=None)
    if shortest and not chosen and seconds[shortest] <= FIRST_NETWORK_SHARE * limit:
        return [shortest]
    return chosen


def mean_epochs(settings: RunSettings) -> float:
    """Expected epochs of a network: with rungs, 1 in `reduction_factor` goes on at each."""
    if settings.rungs is None:
        return settings.recipe.epochs
    share, epochs = 1.0, float(settings.rungs.first)
    for low, high in settings.rungs.steps:
        share /= settings.rungs.reduction_factor
        epochs += share * (high - low)
    return epochs


@dataclass
class EndReserve:
    """Seconds that the phases after the trials need, estimated anew after every evaluated network.

    Args:
        evaluated: the evaluated networks of now.
        limit_seconds: of the whole search.
        with_baselines: whether they are still to come.
    """

    run: Run
    evaluated: Callable[[], Sequence[Record]]
    workers: int
    limit_seconds: float
    with_baselines: bool = True
    known: tuple[int, float] = (-1, 0.0)

    def __call__(self) -> float:
        records = self.evaluated()
        if self.known[0] != len(records):
            self.known = len(records), self._estimate(records)
        return self.known[1]

    def _estimate(self, records: Sequence[Record]) -> float:
        if not records:
            return 0.0
        completed = [each for each in records if each.state == "complete"]
        seconds = report_seconds(self.limit_seconds)
        seconds += verification_seconds(self.run, completed or records[:1], self.workers)
        if (rungs := self.run.settings.rungs) and not completed:
            seconds += (rungs.last - max(each.epochs for each in records)) * epoch_seconds(records)
        if self.with_baselines:
            estimates = [baseline_seconds(self.run, name, records) for name in missing_baselines(self.run)]
            longest = max(estimates, default=0.0)
            baselines = max(longest, sum(estimates) / self.workers)
            seconds += min(baselines, BASELINE_SHARE * self.limit_seconds)
        return seconds


def report_seconds(limit_seconds: float) -> float:
    return min(REPORT_SECONDS, REPORT_SHARE * limit_seconds)
