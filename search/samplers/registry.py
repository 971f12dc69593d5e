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

    from ...evaluate.latency.predictor import LatencyPredictor
    from ...evaluate.surrogate.factory import TransferPrior
    from .ehvi import AccuracyByTrial


@dataclass(frozen=True)
class SamplerContext:
    """What a sampler may know of a search.

    Attributes:
        n_previous_trials: trials so far; Optuna's samplers would propose the same again if they began by the
            seed alone.
        observed_accuracies: accuracy and number of trainings by trial.
        noise: deviation of an accuracy of one training; None where it is not known.
        latency_predictor: None where latencies are known of judged networks alone.
        reference_ms: latency of the reference.
        transfer_prior: what another search of the space has learned.
    """

    space: SearchSpace
    goals: Goals
    seed: int
    n_previous_trials: int = 0
    observed_accuracies: "Callable[[], AccuracyByTrial]" = dict
    noise: Callable[[], float | None] = lambda: None
    latency_predictor: "LatencyPredictor | None" = None
    reference_ms: float = 1.0
    transfer_prior: "TransferPrior | None" = None

    @property
    def session_seed(self) -> int:
        """One that differs when a search goes on."""
        return self.seed + 1000 * self.n_previous_trials


def _ehvi(context: SamplerContext) -> "BaseSampler":
    from .ehvi import EhviSampler

    return EhviSampler(
        context.space,
        context.goals,
        context.seed,
        observed_accuracies=context.observed_accuracies,
        noise=context.noise,
        latency_predictor=context.latency_predictor,
        reference_ms=context.reference_ms,
        transfer_prior=context.transfer_prior,
    )


def _random(context: SamplerContext) -> "BaseSampler":
    from .uniform import UniformSampler

    return UniformSampler(context.space, context.goals, context.seed)


def _tpe(context: SamplerContext) -> "BaseSampler":
    import optuna

    return optuna.samplers.TPESampler(
        seed=context.session_seed, multivariate=True, n_ei_candidates=96, constant_liar=True
    )


def _nsga2(context: SamplerContext) -> "BaseSampler":
    import optuna

    return optuna.samplers.NSGAIISampler(seed=context.session_seed, population_size=20)


def _gp(context: SamplerContext) -> "BaseSampler":
    import optuna
    import torch

    torch.set_num_threads(1)
    return optuna.samplers.GPSampler(seed=context.session_seed)


DEFAULT_SAMPLER = "ehvi"
SAMPLERS: dict[str, Callable[[SamplerContext], "BaseSampler"]] = {
    DEFAULT_SAMPLER: _ehvi,
    "random": _random,
    "tpe": _tpe,
    "nsga2": _nsga2,
    "gp": _gp,
}


def check_sampler(name: str) -> None:
    """Raise `UnknownNameError` where there is no such sampler."""
    if name not in SAMPLERS:
        raise UnknownNameError("sampler", name, SAMPLERS)


def sampler(name: str, context: SamplerContext) -> "BaseSampler":
    """A sampler by its name.

    Raises:
        UnknownNameError: no such sampler.
        NoFeasibleNetworkError: no network keeps the limits.
    """
    check_sampler(name)
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return SAMPLERS[name](context)
