"""Accuracy after a full training, estimated from shorter ones."""

import numpy as np
from numpy.typing import NDArray

from .arrays import Array

_PRIOR_ROWS = 2.0  # weight of "one step adds the same to every network" in observations


def final_accuracies(accuracies: Array, log_macs: Array) -> Array:
    """Estimated accuracies at the last rung.

    From rung to rung, the gain is regressed (ridge) on the accuracy at the rung and on log MACs: large
    networks gain more. Networks were promoted by their accuracy at the rung, which is among the inputs, so
    that this selection does not bias the regression.

    Args:
        accuracies: `n x k` at rungs in increasing order, NaN beyond the highest rung that a network reached.
        log_macs: `n`.
    Returns:
        `n`: the accuracy at the last rung where it is known; NaN for a network without any.
    """
    estimates = accuracies.copy()
    for rung in range(accuracies.shape[1] - 1):
        before, after = estimates[:, rung], accuracies[:, rung + 1]
        both = ~np.isnan(before) & ~np.isnan(after)
        if both.any():
            gains = _ridge(np.column_stack([before, log_macs]), after - before, both)
        else:
            gains = np.zeros(len(before))
        estimates[:, rung + 1] = np.where(np.isnan(after), before + gains, after)
    out: Array = np.clip(estimates[:, -1], 0.0, 1.0)
    return out


def _ridge(inputs: Array, values: Array, rows: NDArray[np.bool_]) -> Array:
    """Predictions for all rows of a ridge regression fitted to some."""
    known = inputs[rows]
    centre, scale = known.mean(0), known.std(0)
    scaled = (inputs - centre) / np.where(scale > 0, scale, np.inf)
    design, mean = scaled[rows], float(values[rows].mean())
    gram = design.T @ design + _PRIOR_ROWS * np.eye(design.shape[1])
    out: Array = mean + scaled @ np.linalg.solve(gram, design.T @ (values[rows] - mean))
    return out
