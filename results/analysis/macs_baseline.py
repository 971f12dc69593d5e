"""Baseline that a search must beat: take the largest feasible network by MACs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...evaluate import Goals
from ...evaluate.statistics.estimate import Estimate
from ...evaluate.statistics.rank_correlation import bootstrap_ci95, spearman
from ..store.trial import Record
from .front_posterior import FrontPosterior, most_accurate

MIN_NETWORKS = 4


@dataclass(frozen=True)
class MacsBaseline:
    """The baseline among the completed networks of a run.

    Attributes:
        spearman_estimate: Spearman(MACs, accuracy) with its 95% bootstrap interval.
        networks: number of completed networks; all satisfy the constraints.
        largest: the network with most MACs.
        best: the most accurate network of the front.
        accuracy_advantage: posterior of the accuracy of `best` minus that of `largest`; None if the seed
            noise is unknown.
    """

    spearman_estimate: Estimate
    networks: int
    largest: Record
    best: Record
    accuracy_advantage: Estimate | None

    @property
    def as_dict(self) -> dict[str, Any]:
        """For JSON; accuracies as fractions."""
        accuracy_advantage = self.accuracy_advantage
        return {
            "networks": self.networks,
            "spearman": self.spearman_estimate.value,
            "spearman_low": self.spearman_estimate.low,
            "spearman_high": self.spearman_estimate.high,
            "largest_trial": self.largest.trial,
            "best_trial": self.best.trial,
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
    largest = max(trained, key=lambda record: (record.cost.macs, record.top1))
    spearman_estimate = Estimate(spearman(macs, accuracy), low, high)
    accuracy_advantage = front_posterior.accuracy_advantage(best, largest) if front_posterior else None
    return MacsBaseline(spearman_estimate, len(trained), largest, best, accuracy_advantage)
