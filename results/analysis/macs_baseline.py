"""Baseline that a search must beat: take any of the largest feasible networks by MACs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from ...evaluate import Goals
from ...evaluate.statistics.estimate import Estimate
from ...evaluate.statistics.rank_correlation import bootstrap_ci95, spearman
from ..store.trial import Record
from .front_posterior import FrontPosterior, largest_by_macs, most_accurate

MIN_NETWORKS = 4


@dataclass(frozen=True)
class MacsBaseline:
    """The baseline among the completed networks of a run.

    Attributes:
        spearman_estimate: Spearman(MACs, accuracy) with its 95% bootstrap interval.
        networks: number of completed networks; all satisfy the constraints.
        largest: the tenth of the networks with most MACs, at least 3 from 6 networks on. A search chose
            them, so their mean is rather better than that of random networks of that size.
        best: the most accurate network of the front.
        accuracy_advantage: accuracy of `best` minus the mean of networks like `largest`; its interval
            includes the spread between them. None if the seed noise is unknown.
    """

    spearman_estimate: Estimate
    networks: int
    largest: tuple[Record, ...]
    best: Record
    accuracy_advantage: Estimate | None

    @property
    def largest_top1(self) -> float:
        """Mean estimated accuracy of the largest networks, a fraction."""
        return fmean(record.estimated_accuracy.value for record in self.largest)

    @property
    def as_dict(self) -> dict[str, Any]:
        """For JSON; accuracies as fractions."""
        accuracy_advantage = self.accuracy_advantage
        return {
            "networks": self.networks,
            "spearman": self.spearman_estimate.value,
            "spearman_low": self.spearman_estimate.low,
            "spearman_high": self.spearman_estimate.high,
            "largest_trials": [record.label for record in self.largest],
            "largest_top1": self.largest_top1,
            "best_trial": self.best.label,
            "best_advantage": accuracy_advantage.value if accuracy_advantage else None,
            "best_advantage_low": accuracy_advantage.low if accuracy_advantage else None,
            "best_advantage_high": accuracy_advantage.high if accuracy_advantage else None,
        }


def macs_baseline(
    completed: Sequence[Record], front: Sequence[Record], front_posterior: FrontPosterior | None, goals: Goals
) -> MacsBaseline | None:
    """The baseline and the best network; None for fewer than `MIN_NETWORKS` networks or without variation.

    Also None if the objective is the reward, which does not favor the largest network.
    """
    if goals.reward:
        return None
    trained = [record for record in completed if record.trainings]
    best = most_accurate(front)
    macs = np.array([record.cost.macs for record in trained], dtype=np.float64)
    accuracy = np.array([record.top1 for record in trained])
    if best is None or len(trained) < MIN_NETWORKS or np.ptp(macs) == 0 or np.ptp(accuracy) == 0:
        return None
    low, high = bootstrap_ci95(
        lambda rows: spearman(macs[rows], accuracy[rows]), len(trained), np.random.default_rng(0)
    )
    largest = largest_by_macs(trained)
    spearman_estimate = Estimate(spearman(macs, accuracy), low, high)
    advantage = _advantage(best, largest, front_posterior) if front_posterior else None
    return MacsBaseline(spearman_estimate, len(trained), largest, best, advantage)


def _advantage(best: Record, largest: Sequence[Record], front_posterior: FrontPosterior) -> Estimate:
    """Posterior of the accuracy of `best` minus the mean of the population that `largest` are drawn from.

    Given the true accuracies of the `k` networks, that mean has a t distribution with `k - 1` degrees of
    freedom (flat priors of mean and log deviation).
    """
    draws = front_posterior.draws_of([best, *largest])
    of_best, of_largest = draws[:, 0], draws[:, 1:]
    count = len(largest)
    scale = of_largest.std(1, ddof=1) / math.sqrt(count)
    t = np.random.default_rng(0).standard_t(count - 1, len(draws))
    differences = of_best - of_largest.mean(1) + scale * t
    low, high = np.quantile(differences, (0.025, 0.975))
    return Estimate(float((of_best - of_largest.mean(1)).mean()), float(low), float(high))
