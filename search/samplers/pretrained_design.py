"""The first networks of a search over pretrained networks, chosen by what is known before any training."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

import numpy as np

from ...evaluate import Goals
from ...evaluate.statistics.multi_objective import hypervolume
from ...evaluate.surrogate.encoder import Candidate, Encoder, Observation
from ...search_space import Cost, PretrainedSpace, training_macs
from ...search_space.architecture import Tuned
from .expected_accuracy import ExpectedAccuracy

REFERENCE_MARGIN = np.array([1.0, 0.1])  # of the hypervolume, in ranges of accuracy and log cost
MACS_PER_LAYER = 0.65e6  # that take as long as a layer by itself, onnxruntime on a CPU core
MIN_TIMED = 3  # networks from which both are fitted


@dataclass(frozen=True)
class PretrainedDesign:
    """Networks that are expected to make the front, in the order of what each adds to its hypervolume.

    The expected latency is linear in depth and MACs, scaled by the latencies that are known.
    """

    encoder: Encoder
    space: PretrainedSpace
    goals: Goals

    def next(
        self, candidates: Sequence[Candidate], tried: Sequence[Observation], max_latency_ms: float = math.inf
    ) -> Candidate | None:
        """The candidate that adds most to the expected hypervolume of those tried; None without any.

        The one with the highest expected accuracy if there is no other objective.

        Args:
            tried: evaluated and pending networks, and others whose latency is known.
        """
        latency_of = latency_model([(each.candidate.cost, each.latency_ms) for each in tried])
        feasible = [each.candidate for each in tried if each.feasible]
        if max_latency_ms < math.inf and all(each.latency_ms is None for each in tried):
            max_latency_ms = max((latency_of(each.cost) for each in feasible), default=math.inf)
        cost_of = self._cost(latency_of)
        fast = [each for each in candidates if latency_of(each.cost) <= max_latency_ms]
        front = self._expected_front(fast, cost_of, Counter(map(_tuned, feasible)))
        if not front:
            return None
        if all(each.quantity == "accuracy" for each in self.goals.objectives):
            return front[-1]

        def losses(candidate: Candidate) -> tuple[float, float]:
            return -self._expected_accuracy(candidate.architecture), math.log(cost_of(candidate.cost))

        expected, known = np.array(list(map(losses, front))), list(map(losses, feasible))
        reference = expected.max(0) + REFERENCE_MARGIN * np.ptp(expected, axis=0)
        gains = [hypervolume(np.array([*known, each]), reference) for each in expected]
        return front[gains.index(max(gains))]

    def _expected_front(
        self,
        candidates: Sequence[Candidate],
        cost_of: Callable[[Cost], float],
        n_tried: Mapping[Tuned, int],
    ) -> list[Candidate]:
        """Each more accurate than all that cost less, in ascending order of cost.

        Of equal ones that whose tuned part was tried less often is taken, then that with less training.
        """
        expected = {each: self._expected_accuracy(each.architecture) for each in candidates}

        def order(each: Candidate) -> tuple[float, float, int, int]:
            macs = training_macs(each.architecture)
            return cost_of(each.cost), -expected[each], n_tried[_tuned(each)], macs

        front: list[Candidate] = []
        for each in sorted(candidates, key=order):
            if not front or expected[each] > expected[front[-1]]:
                front.append(each)
        return front

    def _cost(self, latency_of: Callable[[Cost], float]) -> Callable[[Cost], float]:
        """The first objective that is a cost, or the target of one; MACs without any."""
        others = [each.target or each for each in self.goals.objectives if each.quantity != "accuracy"]
        quantity = others[0].quantity if others else "macs"
        return latency_of if quantity == "latency" else lambda cost: float(getattr(cost, quantity))

    @cached_property
    def _expected_accuracy(self) -> ExpectedAccuracy:
        return ExpectedAccuracy(self.space)


def _tuned(candidate: Candidate) -> Tuned:
    tuning = candidate.architecture.fine_tuning
    assert tuning
    return tuning.tuned


def latency_model(timed: Sequence[tuple[Cost, float | None]]) -> Callable[[Cost], float]:
    """Milliseconds of a network by its depth and MACs; in unknown units without any latency."""
    known = {cost: ms for cost, ms in timed if ms}
    if len(known) < MIN_TIMED:
        logs = [math.log(ms / (cost.depth + cost.macs / MACS_PER_LAYER)) for cost, ms in known.items()]
        scale = math.exp(fmean(logs or [0.0]))
        return lambda cost: scale * (cost.depth + cost.macs / MACS_PER_LAYER)
    from scipy.optimize import nnls

    rows = [(cost.depth / ms, cost.macs / ms) for cost, ms in known.items()]
    (per_layer, per_mac), _ = nnls(np.array(rows), np.ones(len(rows)))
    return lambda cost: float(per_layer * cost.depth + per_mac * cost.macs)
