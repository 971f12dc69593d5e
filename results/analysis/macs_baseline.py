"""The rule that every search must beat: take the largest network by MACs within the limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...evaluate import Goals, format_count
from ...evaluate.statistics.rank_correlation import bootstrap_ci95, spearman
from ..store.trial import Record
from ..text.seed_noise import estimate_text
from .front_posterior import FrontPosterior, most_accurate
from .seed_noise import Estimate

MIN_NETWORKS = 4


@dataclass(frozen=True)
class MacsBaseline:
    """What the rule would have given, among the networks that were judged.

    Attributes:
        spearman_estimate: Spearman of MACs and accuracy over all of them, with its 95% bootstrap interval.
        networks: how many they are; the limits hold for all.
        largest: what the rule takes.
        best: the most accurate of the front.
        accuracy_advantage: how much more accurate the best truly is; None where the noise is not known.
    """

    spearman_estimate: Estimate
    networks: int
    largest: Record
    best: Record
    accuracy_advantage: Estimate | None

    @property
    def sentences(self) -> str:
        """For people."""
        text = (
            "Taking the largest network by MACs within the limits instead: "
            f"MACs alone rank the {self.networks} judged networks by accuracy "
            f"with Spearman {estimate_text(self.spearman_estimate)}"
        )
        largest = f"trial {self.largest.trial} ({format_count(self.largest.cost.macs)} MACs)"
        if self.largest.key == self.best.key:
            return f"{text}, and the largest of them, {largest}, is the best found."
        largest_text = f"the largest of them, {largest}, has {100 * self.largest.top1:.1f}%"
        best = f"the best found, trial {self.best.trial}, {100 * self.best.top1:.1f}%"
        if self.accuracy_advantage is None:
            return f"{text}; {largest_text}, {best}; the noise is not known, so this may be chance."
        accuracy_advantage = self.accuracy_advantage
        value, low, high = (
            f"{100 * share:.1f}"
            for share in (accuracy_advantage.value, accuracy_advantage.low, accuracy_advantage.high)
        )
        verdict = "more than chance" if accuracy_advantage.low > 0 else "which may be chance"
        return f"{text}; {largest_text}, {best}: truly {value} points more ({low} to {high}), {verdict}."

    @property
    def as_dict(self) -> dict[str, Any]:
        """For programs; shares, not points."""
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
    """The rule held against what was found; None where too few networks of different size were judged.

    None too where the reward is the objective: the largest network is not what it asks for.
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
