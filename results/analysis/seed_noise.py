"""What trainings with several seeds tell: how noisy they are, and whether a search is worth its time."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from ...evaluate.statistics.rank_correlation import bootstrap, over_seeds, spearman
from ...evaluate.statistics.reliability import (
    Array,
    Rows,
    Smooth,
    Variances,
    complete_part,
    expected_maximum,
    icc,
    smooth_fit,
    tellable_difference,
    trainings_for,
    variances,
    variances_beyond,
)
from ..store.seed_study import Trained

Name = Literal["accuracy", "loss", "score"]
Verdict = Literal["search", "largest", "unclear", "noise"]

LEAST_NETWORKS, LEAST_SEEDS = 6, 2
TOLD = (1, 2, 4)
ENOUGH = 0.8
_MOST_TRAININGS = 8
_BOOTSTRAP_SEED = 0


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Quantity:
    """One thing that trainings are judged by.

    Attributes:
        table: `n x k`, complete, at least 6 networks and 2 seeds; higher is better but for `loss`.
        macs: `n`.
    """

    name: Name
    table: Array
    macs: Array

    @cached_property
    def overall(self) -> Variances:
        return variances(self.table)

    @cached_property
    def beyond(self) -> Variances:
        """Of what MACs do not explain."""
        return variances_beyond(self.table, self.macs)

    @cached_property
    def fit(self) -> Smooth:
        """Of the means over the seeds, on MACs."""
        return smooth_fit(self.macs, self.table.mean(1))

    @property
    def deviation(self) -> float:
        """Of one training, the seeds' own effect removed."""
        return math.sqrt(self.overall.error)

    def tellable(self, trainings: int) -> float:
        """How far apart two networks with so many trainings each must be (95%)."""
        return tellable_difference(self.deviation, trainings, self.overall.error_freedom)

    @property
    def best_macs(self) -> float:
        """The size that the fit holds for the best: the largest unless it is told to fall before it."""
        sizes = np.geomspace(self.macs.min(), self.macs.max(), 101)
        heights = self.fit(sizes)
        if heights.max() - heights[-1] < self.tellable(TOLD[-1]):
            return float(sizes[-1])
        return float(sizes[heights.argmax()])

    @property
    def explained(self) -> Estimate:
        """Share of the true variance between networks that MACs explain; 0 where there is none."""
        whole = self.overall.true
        low, high = self.beyond.true_interval
        left = [min(1.0, each / whole) if whole > 0 else 1.0 for each in (self.beyond.true, low, high)]
        return Estimate(1 - left[0], 1 - left[2], 1 - left[1])

    def gain(self, networks: int, trainings: int = 1) -> Estimate:
        """How far the best of so many networks of one size lies above their mean, by their true values.

        It is chosen by the mean of so many trainings, so that noise takes its part:
        deviation x expected maximum of as many normals x root of the reliability.
        """

        def of(true: float) -> float:
            reliable = true / (true + self.beyond.error / trainings) if true > 0 else 0.0
            return math.sqrt(true * reliable) * expected_maximum(networks)

        low, high = self.beyond.true_interval
        return Estimate(of(self.beyond.true), of(low), of(high))

    def better_use(self, budget: int) -> tuple[int, int]:
        """Networks, and trainings of each, that gain most for the computing of `budget` trainings."""
        part = self.beyond if self.beyond.true > 0 else self.overall
        choices = [(budget // each, each) for each in range(1, min(_MOST_TRAININGS, budget // 2 or 1) + 1)]
        return max(choices, key=lambda each: expected_maximum(each[0]) * math.sqrt(part.reliability(each[1])))

    @cached_property
    def seeds_agree(self) -> Estimate:
        """Spearman of two seeds, on the mean over their pairs."""
        return self._sampled(lambda rows: over_seeds(self.table[rows]))

    @cached_property
    def macs_agree(self) -> Estimate:
        """Spearman of MACs with the mean over the seeds; of a good judge it is negative for the loss."""
        means = self.table.mean(1)
        return self._sampled(lambda rows: spearman(means[rows], self.macs[rows]))

    def _sampled(self, statistic: Callable[[Rows], float]) -> Estimate:
        count = len(self.macs)
        low, high = bootstrap(statistic, count, np.random.default_rng(_BOOTSTRAP_SEED))
        return Estimate(statistic(np.arange(count)), low, high)


@dataclass(frozen=True)
class NoiseReport:
    """All that is told.

    Attributes:
        quantities: the first is what the verdict is of.
        keys: of the networks in the tables, by rows.
        trainings: that ended with a number.
        left_out: of these, in no table.
        failed: that came to no number.
        cpu_seconds: of one training, on the mean.
        trials: networks that a search would judge.
    """

    quantities: tuple[Quantity, ...]
    keys: tuple[str, ...]
    trainings: int
    left_out: int
    failed: int
    cpu_seconds: float
    trials: int

    @property
    def main(self) -> Quantity:
        return self.quantities[0]

    @property
    def networks(self) -> int:
        return len(self.keys)

    @property
    def seeds(self) -> int:
        return self.main.overall.seeds

    @property
    def enough(self) -> int | None:
        """Trainings of a network after which the reliability is 0.8; None where there is none at all."""
        return trainings_for(self.main.overall.reliability(), ENOUGH)

    @cached_property
    def more_reliable(self) -> Name | None:
        """Accuracy or loss, where these networks can tell."""
        if len(self.quantities) < 2:
            return None
        one, other = self.quantities

        def apart(rows: Rows) -> float:
            return icc(one.table[rows]) - icc(other.table[rows])

        low, high = bootstrap(apart, self.networks, np.random.default_rng(_BOOTSTRAP_SEED))
        return one.name if low > 0 else other.name if high < 0 else None

    @property
    def verdict(self) -> Verdict:
        """Whether a search is worth its time (see `decide`)."""
        main = self.main
        told = main.overall.interval()[0] > 0
        gain, share = main.gain(self.trials), main.explained.value
        return decide(told, gain, share, in_search=main.tellable(1), confirmed=main.tellable(TOLD[-1]))


def decide(told: bool, gain: Estimate, share: float, *, in_search: float, confirmed: float) -> Verdict:
    """Whether a search is worth its time.

    `noise`: the networks are not told apart at all. `search`: there is something beyond MACs, and the
    gain is one that four trainings each can tell. `largest`: it is not, MACs explain more than half,
    and at most the gain is less than what the single trainings of a search can tell. Else `unclear`.

    Args:
        told: whether the networks are told apart.
        gain: of a search among networks of one size.
        share: of the true variance that MACs explain.
        in_search, confirmed: differences that one training each can tell, and four.
    """
    if not told:
        return "noise"
    if gain.low > 0 and gain.value >= confirmed:
        return "search"
    if share > 0.5 and gain.value < confirmed and gain.high < in_search:
        return "largest"
    return "unclear"


def analyse(trainings: Iterable[Trained], trials: int) -> NoiseReport | None:
    """The statistics of the largest part without gaps; None where that is below 6 networks x 2 seeds."""
    rows = list(trainings)
    known = [each for each in rows if not math.isnan(each.value)]
    keys = list(dict.fromkeys(each.network for each in known))
    seeds = sorted({each.seed for each in known})
    place = {(each.network, each.seed): each for each in known}

    def table(attribute: str) -> Array:
        return np.array(
            [
                [getattr(place[key, seed], attribute) if (key, seed) in place else math.nan for seed in seeds]
                for key in keys
            ],
            dtype=np.float64,
        ).reshape(len(keys), len(seeds))

    networks, columns = complete_part(table("value"))
    if len(networks) < LEAST_NETWORKS or len(columns) < LEAST_SEEDS:
        return None
    macs = {each.network: each.macs for each in known}
    chosen = tuple(keys[number] for number in networks)
    sizes = np.array([macs[key] for key in chosen], dtype=np.float64)
    part = np.ix_(networks, columns)
    judged = not any(math.isnan(each.accuracy) for each in known)
    named: Sequence[tuple[Name, str]] = (
        (("accuracy", "accuracy"), ("loss", "loss")) if judged else (("score", "value"),)
    )
    return NoiseReport(
        quantities=tuple(Quantity(name, table(attribute)[part], sizes) for name, attribute in named),
        keys=chosen,
        trainings=len(known),
        left_out=len(known) - len(networks) * len(columns),
        failed=len(rows) - len(known),
        cpu_seconds=float(np.mean([each.cpu_seconds for each in known])),
        trials=trials,
    )
