"""Selection and error of the latency predictor.

Vector width, terms and ridge penalty are those of the least leave-one-out error. An error that a model was
selected by is too small to report, so the whole selection is repeated without the networks of each fold, and
the reported errors are those on the networks left out.

Source: Varma & Simon 2006, doi:10.1186/1471-2105-7-91 (nested cross-validation).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...search_space import Architecture
from ..statistics.arrays import Array, Values
from .predictor_features import DETAILED_TERMS, TERMS, VECTOR_WIDTHS, features

RIDGE_PENALTIES = 10.0 ** np.arange(-7, 2)
MAX_FOLDS = 40


@dataclass(frozen=True, eq=False)
class RidgeFit:
    """The selected model.

    Attributes:
        coefficients: `t`, of the first `t` terms; 0 for a term that no network has.
        loss: mean squared relative leave-one-out error.
    """

    vector_width: int
    ridge: float
    coefficients: Array
    loss: float

    def predict(self, tables: Mapping[int, Array], rows: NDArray[np.intp]) -> Array:
        """`n` ratios."""
        ratios: Array = tables[self.vector_width][rows, : len(self.coefficients)] @ self.coefficients
        return ratios


def term_tables(networks: Sequence[Architecture]) -> dict[int, Array]:
    """`n x t` values of all terms, by vector width."""
    return {
        width: np.array([[each[term] for term in DETAILED_TERMS] for each in values])
        for width in VECTOR_WIDTHS
        for values in [[features(network, width) for network in networks]]
    }


def select_fit(
    tables: Mapping[int, Array], ratios: Values, rows: NDArray[np.intp], *, detailed: bool
) -> RidgeFit:
    """The model with the least leave-one-out error on the networks of `rows`."""
    counts = (len(TERMS), len(DETAILED_TERMS)) if detailed else (len(TERMS),)
    target = np.asarray(ratios)[rows]
    fits = [
        _ridge_fit(width, table[rows, :count] / target[:, None])
        for width, table in tables.items()
        for count in counts
    ]
    return min(fits, key=lambda fit: fit.loss)


def held_out_errors(tables: Mapping[int, Array], ratios: Values, *, detailed: bool) -> Array:
    """`n` relative errors of models that were selected and fitted without the network."""
    target = np.asarray(ratios)
    every = np.arange(len(target))
    folds = every % min(len(every), MAX_FOLDS)
    errors = np.empty(len(target))
    for fold in range(folds.max() + 1):
        out = every[folds == fold]
        fit = select_fit(tables, target, every[folds != fold], detailed=detailed)
        errors[out] = np.abs(fit.predict(tables, out) / target[out] - 1)
    return errors


def _ridge_fit(width: int, table: Array) -> RidgeFit:
    """Ridge regression of 1 on the relative terms; the penalty has the least leave-one-out error."""
    norms = np.linalg.norm(table, axis=0)
    norms[norms == 0] = np.inf
    left, singular, right = np.linalg.svd(table / norms, full_matrices=False)
    projections = left.sum(0)
    shrinkage = singular**2 / (singular**2 + RIDGE_PENALTIES[:, None])
    residuals = 1 - (shrinkage * projections) @ left.T
    leverages = shrinkage @ (left**2).T
    losses = ((residuals / (1 - leverages)) ** 2).mean(1)
    best = int(np.argmin(losses))
    ridge = float(RIDGE_PENALTIES[best])
    weights = right.T @ (singular / (singular**2 + ridge) * projections)
    return RidgeFit(width, ridge, weights / norms, float(losses[best]))
