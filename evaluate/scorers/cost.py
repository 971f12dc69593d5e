"""The cost of a network as its score: the baseline of every other scorer."""

import time
from dataclasses import dataclass

from ...search_space import Architecture, cost
from . import EvaluationContext, Score


@dataclass(frozen=True)
class CostScorer:
    """MACs, parameters or depth in closed form; larger is better."""

    name: str

    def score(self, architecture: Architecture, seed: int) -> Score:
        start = time.process_time()
        value = float(getattr(cost(architecture), self.name))
        return Score(value, time.process_time() - start)


def make(name: str, context: EvaluationContext) -> CostScorer:
    return CostScorer(name)
