"""Trend of a quantity in log MACs."""

from dataclasses import dataclass

import numpy as np

from .arrays import Array, Values

_MAX_DEGREE = 3


@dataclass(frozen=True)
class PolynomialTrend:
    """Polynomial in log MACs.

    Attributes:
        coefficients: highest power first, of `(log(macs) - centre) / scale`.
    """

    coefficients: tuple[float, ...]
    centre: float
    scale: float

    @property
    def degree(self) -> int:
        return len(self.coefficients) - 1

    def __call__(self, macs: Values) -> Array:
        out: Array = np.polyval(self.coefficients, (np.log(np.asarray(macs)) - self.centre) / self.scale)
        return out


def scaled_log_macs(macs: Values) -> tuple[Array, float, float]:
    """Log MACs as standard scores, with their mean and standard deviation (1 if constant)."""
    logs = np.log(np.asarray(macs, dtype=np.float64))
    centre, scale = float(logs.mean()), float(logs.std()) or 1.0
    return (logs - centre) / scale, centre, scale


def polynomial_basis(macs: Values) -> Array:
    """`n x p`: powers of scaled log MACs; constant below 4 networks, linear below 8, quadratic from 8 on."""
    x, _, _ = scaled_log_macs(macs)
    degree = 0 if len(x) < 4 else 1 if len(x) < 8 else 2
    return np.vander(x, min(degree, len(np.unique(x)) - 1) + 1, increasing=True)


def fit_trend(macs: Values, values: Values) -> PolynomialTrend:
    """Least-squares polynomial whose degree (0 to 3) minimizes the leave-one-out error (PRESS).

    Selecting the degree biases the residual variance down: in simulations by 12% with 8 networks, 8% with 12,
    4% with 24.

    Source: Allen 1974, doi:10.1080/00401706.1974.10489157.
    """
    x, centre, scale = scaled_log_macs(macs)
    y = np.asarray(values, dtype=np.float64)
    max_degree = min(_MAX_DEGREE, len(np.unique(x)) - 1, (len(x) - 2) // 2)
    errors = [_press(x, y, degree) for degree in range(max(0, max_degree) + 1)]
    coefficients = np.polyfit(x, y, int(np.argmin(errors)))
    return PolynomialTrend(tuple(coefficients.tolist()), centre, scale)


def _press(x: Array, y: Array, degree: int) -> float:
    basis, _ = np.linalg.qr(np.vander(x, degree + 1))
    errors = y - basis @ (basis.T @ y)
    return float(((errors / np.maximum(1 - (basis**2).sum(1), 1e-9)) ** 2).sum())
