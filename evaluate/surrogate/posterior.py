"""What is believed of the accuracies of some networks, and draws from it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
from threadpoolctl import ThreadpoolController

from ..statistics.arrays import Array


@contextmanager
def single_blas_thread() -> Iterator[None]:
    """Linear algebra of numpy on one thread: small matrices gain nothing from more, which would wait for
    cores that train, and round otherwise.
    """
    with _threadpools().limit(limits=1, user_api="blas"):
        yield


@cache
def _threadpools() -> ThreadpoolController:
    """Those loaded when it is first asked, numpy's among them: to look for them takes milliseconds."""
    return ThreadpoolController()


@dataclass(frozen=True, eq=False)
class Posterior:
    """What is believed of the accuracies of `m` networks, without noise: jointly normal.

    Attributes:
        mean: `m`, in the unit of the values.
        covariance: `m x m`, symmetric; singular where a network is asked about twice.
    """

    mean: Array
    covariance: Array

    @property
    def std(self) -> Array:
        """`m`."""
        out: Array = np.sqrt(np.maximum(np.diag(self.covariance), 0))
        return out

    @single_blas_thread()
    def sample(self, rng: np.random.Generator, count: int) -> Array:
        """`count x m`: ways the truth may be."""
        normal = rng.standard_normal((count, len(self.mean)))
        out: Array = self.mean + normal @ _cholesky(self.covariance).T
        return out


def _cholesky(covariance: Array) -> Array:
    """A matrix whose square is the covariance, as near as its rounding errors allow."""
    size = float(np.diag(covariance).max(initial=0.0))
    if size <= 0:
        return np.zeros_like(covariance)
    for jitter in 10.0 ** np.arange(-12, 0):
        try:
            out: Array = np.linalg.cholesky(covariance + jitter * size * np.eye(len(covariance)))
            return out
        except np.linalg.LinAlgError:
            continue
    raise ValueError("a covariance must have no negative eigenvalue")
