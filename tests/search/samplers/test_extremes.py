"""The ends of the front that bneck's own sampler finds, against the ends that there are."""

import math

import pytest

from bneck.evaluate import parse_goals
from bneck.search.samplers.ehvi import EhviSampler
from bneck.search_space import Architecture, cost

from ...search_space.helpers import preset
from ..example_landscape import searched, study_of

TINY = preset("tiny")
SMALLEST_MACS, LARGEST_MACS = 41_472, 16_081_920


def accuracy(network: Architecture) -> float:
    """Smooth and without noise; the largest network has the highest."""
    kernels = sum(block.kernel for block in network.blocks) / len(network.blocks)
    share_of_se = sum(block.attention == "se" for block in network.blocks) / len(network.blocks)
    size = 0.08 * math.log10(cost(network).macs / SMALLEST_MACS)
    return 0.6 + size + 0.012 * math.tanh(len(network.blocks) / 4) + 0.003 * kernels + 0.006 * share_of_se


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("limit", [None, "500K"])
def test_60_trials_reach_both_ends_of_the_front_within_15_percent_of_macs(
    limit: str | None, seed: int
) -> None:
    goals = parse_goals("accuracy,macs", {"macs": limit})
    study = study_of(EhviSampler(TINY, goals, seed, noise=lambda: 0.0), goals)
    found = searched(study, TINY, goals, 60, accuracy)
    most_accurate = max(found, key=accuracy)
    assert min(cost(network).macs for network in found) <= 1.15 * SMALLEST_MACS
    assert cost(most_accurate).macs >= (LARGEST_MACS if limit is None else 500_000) / 1.15
