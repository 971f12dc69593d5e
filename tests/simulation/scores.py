"""What a report of a simulated search says, against the truth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bneck.evaluate.statistics.arrays import Array
from bneck.evaluate.statistics.multi_objective import is_dominated
from bneck.results import Record, pareto_front
from bneck.results.analysis.front_posterior import FrontPosterior, most_accurate
from bneck.results.analysis.macs_baseline import macs_baseline

from .adaptive_search import SimulatedRun, report

DECILES = 10


@dataclass(frozen=True)
class Scores:
    """One search; accuracies in points.

    Attributes:
        front_covered: how many of the front's 95% intervals hold the truth, and of how many.
        front_bias, front_raw_bias: mean of said minus true accuracy over the front; the same for the front
            and the means that one would report without the posterior.
        best_covered, best_bias, best_raw_bias: of the most accurate network.
        difference_covered: as `front_covered`, for the differences of the best network from the front.
        said, true: P(Pareto) of every network, and whether it is Pareto-optimal.
        noise_ratio: estimated over true standard deviation of the seed noise.
        distinguished: whether the best network is said to be significantly better than the largest ones.
    """

    front_covered: tuple[int, int]
    front_bias: float
    front_raw_bias: float
    best_covered: bool
    best_bias: float
    best_raw_bias: float
    difference_covered: tuple[int, int]
    said: tuple[float, ...]
    true: tuple[bool, ...]
    noise_ratio: float
    distinguished: bool


def scores_of(run: SimulatedRun) -> Scores:
    records, posterior = report(run)
    front = pareto_front(records, run.goals.objectives)
    best = most_accurate(front)
    raw_front = pareto_front([replace(record, posterior=None) for record in records], run.goals.objectives)
    raw_best = most_accurate(raw_front)
    assert best is not None and raw_best is not None
    baseline = macs_baseline(records, front, posterior, run.goals)
    assert baseline is not None and baseline.accuracy_advantage is not None
    truth = np.array([run.true_accuracy(record) for record in records])
    macs = np.array([record.cost.macs for record in records], dtype=np.float64)
    differences = [
        advantage.low <= run.true_accuracy(best) - run.true_accuracy(other) <= advantage.high
        for other in front
        if other.key != best.key
        for advantage in [posterior.accuracy_advantage(best, other)]
    ]
    in_front = [_covered(run, posterior, record) for record in front]
    return Scores(
        front_covered=(sum(in_front), len(in_front)),
        front_bias=float(np.mean([_bias(run, posterior, record) for record in front])),
        front_raw_bias=100
        * float(np.mean([record.top1 - run.true_accuracy(record) for record in raw_front])),
        best_covered=_covered(run, posterior, best),
        best_bias=_bias(run, posterior, best),
        best_raw_bias=100 * (raw_best.top1 - run.true_accuracy(raw_best)),
        difference_covered=(sum(differences), len(differences)),
        said=tuple(posterior.pareto_probability(record) for record in records),
        true=tuple((~is_dominated(np.column_stack([-truth, macs]))).tolist()),
        noise_ratio=posterior.noise.std / (run.world.setting.noise / 100),
        distinguished=baseline.accuracy_advantage.low > 0,
    )


def _covered(run: SimulatedRun, posterior: FrontPosterior, record: Record) -> bool:
    low, high = posterior.interval(record)
    return low <= run.true_accuracy(record) <= high


def _bias(run: SimulatedRun, posterior: FrontPosterior, record: Record) -> float:
    return 100 * (posterior.estimate(record).value - run.true_accuracy(record))


@dataclass(frozen=True)
class Share:
    """A share of cases of several searches, with its standard error between searches."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ± {self.error:.3f}"

    @classmethod
    def of(cls, counts: Sequence[tuple[int, int]]) -> "Share":
        hits, cases = np.array(counts, dtype=np.float64).T
        value = hits.sum() / max(cases.sum(), 1)
        deviations = hits - value * cases
        return cls(float(value), float(np.sqrt((deviations**2).sum()) / max(cases.sum(), 1)))


def calibration(scores: Sequence[Scores]) -> list[tuple[float, float, float, int]]:
    """For every decile of P(Pareto): mean said, share that is true, its standard error, number of networks.

    The error is that between searches, whose networks compete for the same front.
    """
    rows = []
    for decile in range(DECILES):
        sums: list[Array] = []
        for each in scores:
            said = np.array(each.said)
            chosen = np.minimum((said * DECILES).astype(int), DECILES - 1) == decile
            sums.append(np.array([said[chosen].sum(), np.array(each.true)[chosen].sum(), chosen.sum()]))
        table = np.array(sums, dtype=np.float64)
        said_sum, true_sum, count = table.sum(0)
        if count:
            deviations = table[:, 1] - true_sum / count * table[:, 2]
            error = float(np.sqrt((deviations**2).sum()) / count)
            rows.append((said_sum / count, true_sum / count, error, int(count)))
    return rows
