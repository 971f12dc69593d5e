"""How far a surrogate's predictions of networks that a search chose later are off.

A search proposes networks of which the surrogate expects much, unlike those that it was fitted to. There its
predictions are overconfident.
"""

import math
from collections.abc import Sequence

from ..statistics.arrays import Array, Values
from .gaussian_process import GaussianProcess, fit
from .kernels import ColumnScaler

MIN_OBSERVATIONS = 10
PRIOR_WEIGHT = 10  # number of observations that a factor of 1 counts as


def widening(
    keys: Sequence[str],
    features: Array,
    names: Sequence[str],
    values: Values,
    n_seeds: Sequence[int],
    noise: float | None,
    columns: ColumnScaler | None = None,
) -> float:
    """Factor of the standard deviations of a search's next predictions.

    It is the root mean square of the standardized errors of the later half, each predicted from the
    observations before it by hyperparameters of the earlier half. At least 1, and shrunk to 1 where there are
    few; 1 below `MIN_OBSERVATIONS`.

    Args:
        keys: architecture keys in the order of the search; the other arguments are those of `fit`.
    """
    if len(keys) < MIN_OBSERVATIONS:
        return 1.0
    half = len(keys) // 2 + 1
    earlier = fit(keys[:half], features[:half], names, values[:half], n_seeds[:half], noise, columns=columns)
    model = GaussianProcess.of(
        earlier.hyperparameters, keys, features, names, values, n_seeds, columns=columns
    )
    return shrunk_factor(model.standardized_errors[half:])


def shrunk_factor(standardized_errors: Array) -> float:
    """Their root mean square together with `PRIOR_WEIGHT` errors of 1; at least 1."""
    squares = PRIOR_WEIGHT + float(standardized_errors @ standardized_errors)
    return math.sqrt(max(1.0, squares / (PRIOR_WEIGHT + len(standardized_errors))))
