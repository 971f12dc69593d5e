"""How long the training of a network takes, predicted from a few timed steps and from former trainings."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from ...results import Record
from ...search_space import Architecture, training_macs

RECENT_TRAININGS = 20  # whose pace is averaged: other programs change it


@dataclass(frozen=True)
class TrainingTime:
    """Seconds of a training, linear in `training_macs` and times the pace of the latest trainings.

    Without timed steps all trainings are taken to be equally long.

    Attributes:
        fixed: seconds of a training that do not depend on the network; 1 without timed steps.
        per_mac: further seconds for each of its `training_macs`.
        is_timed: whether both are known from timed steps.
    """

    fixed: float = 1.0
    per_mac: float = 0.0
    is_timed: bool = False

    @classmethod
    def fit(cls, timed: Mapping[Architecture, float]) -> "TrainingTime":
        """From the seconds of trainings, at least one, by least squares of the relative errors."""
        import numpy as np
        from scipy.optimize import nnls

        rows = [(1 / seconds, training_macs(network) / seconds) for network, seconds in timed.items()]
        (fixed, per_mac), _ = nnls(np.array(rows), np.ones(len(rows)))
        return cls(float(fixed), float(per_mac), is_timed=True)

    def times(self, epochs: float) -> "TrainingTime":
        """Of that many trainings in a row."""
        return replace(self, fixed=epochs * self.fixed, per_mac=epochs * self.per_mac)

    def seconds(self, network: Architecture, trained: Sequence[Record] = ()) -> float:
        """Predicted seconds of a training; 0 while nothing is known.

        Args:
            trained: networks that were trained, the latest last.
        """
        return self._pace(trained) * self._relative(network)

    def max_training_macs(self, seconds: float, trained: Sequence[Record] = ()) -> float:
        """`training_macs` of the largest training that fits; 0 if none does, infinite if all do."""
        pace = self._pace(trained)
        if seconds <= 0:
            return 0.0
        if pace == 0 or seconds == math.inf:
            return math.inf
        rest = seconds / pace - self.fixed
        if self.per_mac == 0:
            return math.inf if rest >= 0 else 0.0
        return max(0.0, rest / self.per_mac)

    def _relative(self, network: Architecture) -> float:
        return self.fixed + self.per_mac * training_macs(network)

    def _pace(self, trained: Sequence[Record]) -> float:
        ratios = [
            each.accuracy.seconds / self._relative(each.architecture)
            for each in (record.at_lowest_fidelity for record in trained[-RECENT_TRAININGS:])
            if each.accuracy
        ]
        return fmean(ratios) if ratios else float(self.is_timed)
