"""The cost of a network as its score: what every other scorer must beat."""

import time
from dataclasses import dataclass

from ...search_space import Architecture, cost
from . import EvaluationContext, Score


@dataclass(frozen=True)
class CostScorer:
    """MACs, parameters or depth in closed form: the larger network is held to be the better one."""

    name: str

    def score(self, architecture: Architecture, seed: int) -> Score:
        start = time.process_time()
        value = float(getattr(cost(architecture), self.name))
        return Score(value, time.process_time() - start)


def make(name: str, context: EvaluationContext) -> CostScorer:
    return CostScorer(name)
