"""Samplers by name: bneck's own, Optuna's with settings for many categorical genes, and plug-ins.

Accuracies are noisy. `ehvi` receives the noise level; of Optuna's samplers only GP models noise, and it
estimates the level from the trials.
"""

import inspect
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ...evaluate import Goals
from ...evaluate.plugins import resolve
from ...evaluate.trust import require_trusted
from ...search_space import CandidateSpace, PluginError

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from ...evaluate.latency.predictor import LatencyPredictor
    from ...evaluate.surrogate.factory import TransferPrior
    from .ehvi import AccuracyByTrial


@dataclass(frozen=True)
class SamplerContext:
    """What a sampler may know of a search; passed to the factory of every sampler.

    Attributes:
        n_previous_trials: trials of the study so far; 0 unless the run is resumed.
        observed_accuracies: mean accuracy and number of training runs by trial number.
        noise: standard deviation of the accuracy of one training run; None while unknown.
        latency_predictor: None where latencies are known of measured networks only.
        reference_ms: latency of the reference model, the unit of limits such as 0.5x.
        transfer_prior: model learned from another run of the space.
        max_training_macs: `training_macs` of the largest training that fits in the time left; infinite if all
            do. A proposal that does not fit is put off until the search is resumed.
    """

    space: CandidateSpace
    goals: Goals
    seed: int
    n_previous_trials: int = 0
    observed_accuracies: "Callable[[], AccuracyByTrial]" = dict
    noise: Callable[[], float | None] = lambda: None
    latency_predictor: "LatencyPredictor | None" = None
    reference_ms: float = 1.0
    transfer_prior: "TransferPrior | None" = None
    max_training_macs: Callable[[], float] = lambda: math.inf

    @property
    def session_seed(self) -> int:
        """Seed that differs between sessions: Optuna's samplers would repeat their proposals otherwise."""
        return self.seed + 1000 * self.n_previous_trials


SamplerFactory = Callable[[SamplerContext], "BaseSampler"]


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
        max_training_macs=context.max_training_macs,
    )


def _random(context: SamplerContext) -> "BaseSampler":
    from .uniform import UniformSampler

    return UniformSampler(context.space, context.goals, context.seed, context.max_training_macs)


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
ENTRY_POINTS = "bneck.samplers"
SAMPLERS: dict[str, SamplerFactory] = {
    DEFAULT_SAMPLER: _ehvi,
    "random": _random,
    "tpe": _tpe,
    "nsga2": _nsga2,
    "gp": _gp,
}


def resolve_sampler(name: str) -> "SamplerFactory | BaseSampler":
    """The factory, class or instance that a name stands for.

    Args:
        name: built in, of the entry-point group `bneck.samplers`, or `module:attribute`.
    Raises:
        UnknownNameError: no such sampler.
        PluginError: it cannot be imported.
        TrustError: a `module:attribute` that only a file names.
    """
    require_trusted(name)
    builtin = {each: partial(SAMPLERS.__getitem__, each) for each in SAMPLERS}
    source: SamplerFactory | BaseSampler = resolve("sampler", name, ENTRY_POINTS, builtin)
    return source


def make_sampler(source: "str | SamplerFactory | BaseSampler", context: SamplerContext) -> "BaseSampler":
    """The sampler of a search.

    Args:
        source: a name, an Optuna sampler, a class of such, which gets a seed if it takes one, or a function
            of the context.
    Raises:
        UnknownNameError: no such sampler.
        PluginError: a plug-in gives no sampler.
        NoFeasibleNetworkError: no network satisfies the limits.
    """
    from optuna.exceptions import ExperimentalWarning
    from optuna.samplers import BaseSampler

    found: Any = resolve_sampler(source) if isinstance(source, str) else source
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if inspect.isclass(found) and issubclass(found, BaseSampler):
            arguments = (
                {"seed": context.session_seed} if "seed" in inspect.signature(found).parameters else {}
            )
            found = found(**arguments)
        elif callable(found) and not isinstance(found, BaseSampler):
            found = found(context)
    if not isinstance(found, BaseSampler):
        raise PluginError(f"sampler {source} must be an Optuna sampler, got {type(found).__name__}")
    return found
