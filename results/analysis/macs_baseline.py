"""The rule that every search must beat: take the largest network by MACs within the limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...evaluate import Goals, short_count
from ...evaluate.statistics.rank_correlation import bootstrap, spearman
from ..store.trial import Record
from ..text.seed_noise import estimate_text
from .front_posterior import Certainty, most_accurate
from .seed_noise import Estimate

LEAST_NETWORKS = 4


@dataclass(frozen=True)
class MacsRule:
    """What the rule would have given, among the networks that were judged.

    Attributes:
        agreement: Spearman of MACs and accuracy over all of them, with its 95% bootstrap interval.
        networks: how many they are; the limits hold for all.
        largest: what the rule takes.
        best: the most accurate of the front.
        ahead: how much more accurate the best truly is; None where the noise is not known.
    """

    agreement: Estimate
    networks: int
    largest: Record
    best: Record
    ahead: Estimate | None

    @property
    def sentences(self) -> str:
        """For people."""
        told = (
            "Taking the largest network by MACs within the limits instead: MACs alone rank the "
            f"{self.networks} judged networks by accuracy with Spearman {estimate_text(self.agreement)}"
        )
        largest = f"trial {self.largest.trial} ({short_count(self.largest.cost.macs)} MACs)"
        if self.largest.key == self.best.key:
            return f"{told}, and the largest of them, {largest}, is the best found."
        has = f"the largest of them, {largest}, has {100 * self.largest.top1:.1f}%"
        best = f"the best found, trial {self.best.trial}, {100 * self.best.top1:.1f}%"
        if self.ahead is None:
            return f"{told}; {has}, {best}; the noise is not known, so this may be chance."
        ahead = self.ahead
        value, low, high = (f"{100 * share:.1f}" for share in (ahead.value, ahead.low, ahead.high))
        verdict = "more than chance" if ahead.low > 0 else "which may be chance"
        return f"{told}; {has}, {best}: truly {value} points more ({low} to {high}), {verdict}."

    @property
    def as_dict(self) -> dict[str, Any]:
        """For programs; shares, not points."""
        ahead = self.ahead
        return {
            "networks": self.networks,
            "spearman": self.agreement.value,
            "spearman_low": self.agreement.low,
            "spearman_high": self.agreement.high,
            "largest_trial": self.largest.trial,
            "best_trial": self.best.trial,
            "best_ahead": ahead.value if ahead else None,
            "best_ahead_low": ahead.low if ahead else None,
            "best_ahead_high": ahead.high if ahead else None,
        }


def macs_rule(
    judged: Sequence[Record], front: Sequence[Record], certainty: Certainty | None, goals: Goals
) -> MacsRule | None:
    """The rule held against what was found; None where too few networks of different size were judged.

    None too where the reward is the objective: the largest network is not what it asks for.
    """
    if goals.reward:
        return None
    trained = [record for record in judged if record.trainings]
    best = most_accurate(front)
    macs = np.array([record.cost.macs for record in trained], dtype=np.float64)
    accuracy = np.array([record.top1 for record in trained])
    if best is None or len(trained) < LEAST_NETWORKS or np.ptp(macs) == 0 or np.ptp(accuracy) == 0:
        return None
    low, high = bootstrap(
        lambda rows: spearman(macs[rows], accuracy[rows]), len(trained), np.random.default_rng(0)
    )
    largest = max(trained, key=lambda record: (record.cost.macs, record.top1))
    agreement = Estimate(spearman(macs, accuracy), low, high)
    ahead = certainty.ahead(best, largest) if certainty else None
    return MacsRule(agreement, len(trained), largest, best, ahead)
