"""Joint posterior of the accuracies of networks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
from threadpoolctl import ThreadpoolController

from ..statistics.arrays import Array


@contextmanager
def single_blas_thread() -> Iterator[None]:
    """Run numpy's linear algebra on one thread.

    More threads do not speed up small matrices, wait for busy cores, and change rounding.
    """
    with _threadpools().limit(limits=1, user_api="blas"):
        yield


@cache
def _threadpools() -> ThreadpoolController:
    """Cached, because the lookup takes milliseconds."""
    return ThreadpoolController()


@dataclass(frozen=True, eq=False)
class Posterior:
    """Joint normal posterior of the accuracies of `m` networks, without noise.

    Attributes:
        mean: `m`, in the unit of the values.
        covariance: `m x m`, symmetric; singular if a network occurs twice.
    """

    mean: Array
    covariance: Array

    @property
    def std(self) -> Array:
        """`m` standard deviations."""
        out: Array = np.sqrt(np.maximum(np.diag(self.covariance), 0))
        return out

    @single_blas_thread()
    def sample(self, rng: np.random.Generator, count: int) -> Array:
        """`count x m` samples."""
        normal = rng.standard_normal((count, len(self.mean)))
        out: Array = self.mean + normal @ _cholesky(self.covariance).T
        return out


def _cholesky(covariance: Array) -> Array:
    """Cholesky factor, with the least jitter that makes the matrix positive definite."""
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
