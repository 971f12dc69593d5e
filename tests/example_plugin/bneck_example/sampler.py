"""A sampler: Optuna's random sampler, seeded by the search."""

from optuna.samplers import RandomSampler

from bneck.search.samplers.registry import SamplerContext


def independent(context: SamplerContext) -> RandomSampler:
    """Independent uniform genes."""
    return RandomSampler(seed=context.session_seed)
