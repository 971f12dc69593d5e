"""Cost of a network as its score: a baseline for the other scorers."""

import time
from dataclasses import dataclass

from ...search_space import Architecture, cost
from . import EvaluationContext, Score


@dataclass(frozen=True)
class CostScorer:
    """MACs, parameters or depth in closed form; a larger network scores higher."""

    name: str

    def score(self, architecture: Architecture, seed: int) -> Score:
        start = time.process_time()
        value = float(getattr(cost(architecture), self.name))
        return Score(value, time.process_time() - start)


def make(name: str, context: EvaluationContext) -> CostScorer:
    return CostScorer(name)
