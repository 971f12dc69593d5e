"""An evaluator: accuracy from a formula instead of a training."""

import math

from bneck.search_space import Architecture, cost


def evaluate(architecture: Architecture, seed: int) -> float:
    """Top-1 accuracy that grows with log MACs and varies a little with the seed."""
    return min(0.99, 0.05 * math.log10(cost(architecture).macs) + 0.5 + 0.001 * (seed % 3))
