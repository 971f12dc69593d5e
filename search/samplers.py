"""Optuna's samplers by name, set for spaces of many categorical genes.

Accuracies are noisy. GP alone has a model of noise, and fits its size to what it is told; it takes none
that is known.
"""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..search_space import UnknownNameError

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


def _tpe(seed: int) -> "BaseSampler":
    import optuna

    return optuna.samplers.TPESampler(seed=seed, multivariate=True, n_ei_candidates=96, constant_liar=True)


def _nsga2(seed: int) -> "BaseSampler":
    import optuna

    return optuna.samplers.NSGAIISampler(seed=seed, population_size=20)


def _random(seed: int) -> "BaseSampler":
    import optuna

    return optuna.samplers.RandomSampler(seed=seed)


def _gp(seed: int) -> "BaseSampler":
    import optuna
    import torch

    torch.set_num_threads(1)
    return optuna.samplers.GPSampler(seed=seed)


SAMPLERS: dict[str, Callable[[int], "BaseSampler"]] = {
    "tpe": _tpe,
    "nsga2": _nsga2,
    "random": _random,
    "gp": _gp,
    "cascade": _random,  # which names what follows the cascade's own proposals
}


def sampler(name: str, seed: int) -> "BaseSampler":
    """A sampler by its name.

    Args:
        seed: must differ when a study goes on, or the same networks are proposed again.
    Raises:
        UnknownNameError: no such sampler.
    """
    if name not in SAMPLERS:
        raise UnknownNameError("sampler", name, SAMPLERS)
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return SAMPLERS[name](seed)
