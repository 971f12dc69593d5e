"""Samplers by name: bneck's own, and Optuna's, set for spaces of many categorical genes.

Accuracies are noisy. `ehvi` is told how much; of Optuna's, GP alone has a model of noise, and fits its size
to what it is told.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...evaluate import Goals
from ...search_space import SearchSpace, UnknownNameError

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from ...evaluate.latency.predictor import LatencyModel
    from .surrogate import Earlier, Found


@dataclass(frozen=True)
class Quest:
    """What a sampler may know of a search.

    Attributes:
        begun: trials so far; Optuna's samplers would propose the same again if they began by the seed alone.
        found: accuracy and number of trainings by trial.
        noise: deviation of an accuracy of one training; None where it is not known.
        latency_model: None where latencies are known of judged networks alone.
        reference_ms: latency of the reference.
        earlier: what another search of the space has learned.
    """

    space: SearchSpace
    goals: Goals
    seed: int
    begun: int = 0
    found: "Callable[[], Found]" = dict
    noise: Callable[[], float | None] = lambda: None
    latency_model: "LatencyModel | None" = None
    reference_ms: float = 1.0
    earlier: "Earlier | None" = None

    @property
    def fresh_seed(self) -> int:
        """One that differs when a search goes on."""
        return self.seed + 1000 * self.begun


def _ehvi(quest: Quest) -> "BaseSampler":
    from .ehvi import EhviSampler

    return EhviSampler(
        quest.space,
        quest.goals,
        quest.seed,
        found=quest.found,
        noise=quest.noise,
        latency_model=quest.latency_model,
        reference_ms=quest.reference_ms,
        earlier=quest.earlier,
    )


def _random(quest: Quest) -> "BaseSampler":
    from .uniform import UniformSampler

    return UniformSampler(quest.space, quest.goals, quest.seed)


def _tpe(quest: Quest) -> "BaseSampler":
    import optuna

    return optuna.samplers.TPESampler(
        seed=quest.fresh_seed, multivariate=True, n_ei_candidates=96, constant_liar=True
    )


def _nsga2(quest: Quest) -> "BaseSampler":
    import optuna

    return optuna.samplers.NSGAIISampler(seed=quest.fresh_seed, population_size=20)


def _gp(quest: Quest) -> "BaseSampler":
    import optuna
    import torch

    torch.set_num_threads(1)
    return optuna.samplers.GPSampler(seed=quest.fresh_seed)


OWN = "ehvi"
SAMPLERS: dict[str, Callable[[Quest], "BaseSampler"]] = {
    OWN: _ehvi,
    "random": _random,
    "tpe": _tpe,
    "nsga2": _nsga2,
    "gp": _gp,
}


def check_sampler(name: str) -> None:
    """Raise `UnknownNameError` where there is no such sampler."""
    if name not in SAMPLERS:
        raise UnknownNameError("sampler", name, SAMPLERS)


def sampler(name: str, quest: Quest) -> "BaseSampler":
    """A sampler by its name.

    Raises:
        UnknownNameError: no such sampler.
        NoFeasibleNetworkError: no network keeps the limits.
    """
    check_sampler(name)
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return SAMPLERS[name](quest)
