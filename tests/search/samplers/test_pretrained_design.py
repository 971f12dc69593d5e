"""The first networks of a search over pretrained ones, on made-up landscapes with a known front."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

import numpy as np
import pytest

from bneck.evaluate import parse_goals
from bneck.evaluate.statistics.multi_objective import hypervolume
from bneck.evaluate.statistics.rank_correlation import spearman
from bneck.evaluate.surrogate.encoder import Candidate, Encoder, Observation
from bneck.search.samplers.expected_accuracy import ExpectedAccuracy
from bneck.search.samplers.pretrained_design import PretrainedDesign, latency_model
from bneck.search_space import Cost, Genes
from bneck.search_space.pretrained_space import pretrained_space, published_parent

PARENTS = [published_parent(f"efficientnet_lite{number}") for number in (0, 2)]
SPACE = pretrained_space(PARENTS, 128, dropped_blocks=(0, 2, 4, 6, 8)).for_data(3, 6)
ENCODER = Encoder(SPACE)
CANDIDATES = [ENCODER.encode(genes) for genes in SPACE.candidates.values()]
GOALS = parse_goals("accuracy,latency", {})


@dataclass(frozen=True)
class Landscape:
    """Random strengths and shapes of all effects, and a random time of a layer by itself."""

    seed: int

    @cached_property
    def accuracy(self) -> Callable[[Candidate], float]:
        rng = random.Random(self.seed)
        of_parent = {parent.name: rng.gauss(0, 0.02) for parent in PARENTS}
        of_tuned = {"all": 0.0, "last-stage": rng.gauss(0, 0.015), "head": -rng.uniform(0.02, 0.12)}
        resolution, power, dropped = rng.uniform(0.05, 0.35), rng.uniform(1, 2.5), rng.uniform(0, 0.12)

        def accuracy(candidate: Candidate) -> float:
            network, tuning = candidate.architecture, candidate.architecture.fine_tuning
            assert tuning
            loss = resolution * (32 / network.resolution_px) ** power + dropped * tuning.dropped_blocks / 9
            return float(0.9 + of_parent[tuning.parent] + of_tuned[tuning.tuned] - loss)

        return accuracy

    def latency_ms(self, candidate: Candidate) -> float:
        per_layer = random.Random(-self.seed - 1).uniform(1e5, 1e6)
        return 1e-8 * (per_layer * candidate.cost.depth + candidate.cost.macs)

    def hypervolume(self, candidates: Sequence[Candidate]) -> float:
        points = [(-self.accuracy(each), math.log(self.latency_ms(each))) for each in candidates]
        slowest = math.log(max(map(self.latency_ms, CANDIDATES)))
        return hypervolume(np.array(points), np.array([-0.45, slowest]))

    def designed(self, count: int, max_latency_ms: float = math.inf) -> list[Candidate]:
        """The first networks, each measured before the next is chosen."""
        design, tried = PretrainedDesign(ENCODER, SPACE, GOALS), list[Observation]()
        while sum(each.feasible for each in tried) < count:
            left = [each for each in CANDIDATES if each not in {one.candidate for one in tried}]
            chosen = design.next(left, tried, max_latency_ms)
            assert chosen
            ms = self.latency_ms(chosen)
            tried.append(Observation(chosen, latency_ms=ms, feasible=ms <= max_latency_ms))
        assert len(tried) <= count + 3
        return [each.candidate for each in tried if each.feasible]


def test_the_first_networks_dominate_more_than_as_many_uniform_draws() -> None:
    """On 6 random landscapes, against the mean of 5 draws each, after 2, 4 and 6 networks."""
    ahead = dict.fromkeys((2, 4, 6), 0)
    for seed in range(6):
        world, rng = Landscape(seed), random.Random(seed)
        designed = world.designed(6)
        for count in ahead:
            uniform = [world.hypervolume(rng.sample(CANDIDATES, count)) for _ in range(5)]
            ahead[count] += world.hypervolume(designed[:count]) > fmean(uniform)
    assert min(ahead.values()) == 6


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_the_design_holds_a_network_near_each_limit_and_a_latency_limit_itself(share: float) -> None:
    """Below a half, a quarter and an eighth of the limit, one of six networks has half of that at least."""
    world = Landscape(0)
    limit = share * max(map(world.latency_ms, CANDIDATES))
    latencies = [world.latency_ms(each) for each in world.designed(6, limit)]
    fastest = min(map(world.latency_ms, CANDIDATES))
    assert max(latencies) <= limit
    for part in (0.5, 0.25, 0.125):
        if part * limit > 2 * fastest:
            assert any(part * limit / 2 < ms <= part * limit for ms in latencies)


def test_networks_that_do_not_pay_are_left_out() -> None:
    """The head alone, whole networks below 64 px, and all tuned where the last stage is enough."""
    for each in Landscape(0).designed(8):
        tuning = each.architecture.fine_tuning
        assert tuning
        assert tuning.is_cut or (tuning.tuned == "last-stage" and each.architecture.resolution_px >= 64)


def test_the_expected_accuracy_ranks_networks_as_their_measured_ones() -> None:
    """EfficientNet-Lite0 on TrashNet, 8 epochs, validation: px, dropped blocks, dropped stages."""
    measured = {
        (48, 2, 2): 0.879,
        (64, 8, 2): 0.874,
        (48, 8, 2): 0.861,
        (80, 4, 0): 0.861,
        (32, 0, 2): 0.837,
        (48, 8, 0): 0.832,
        (48, 8, 3): 0.816,
        (32, 8, 0): 0.739,
    }
    space = pretrained_space(PARENTS[:1], 128, (0, 2, 4, 6, 8), (0, 1, 2, 3)).for_data(3, 6)
    names = ("resolution_px", "dropped_blocks", "dropped_stages")
    genes: list[Genes] = [{"tuned": "all", **dict(zip(names, each, strict=True))} for each in measured]
    expected = [ExpectedAccuracy(space)(space.decode(each)) for each in genes]
    assert spearman(expected, list(measured.values())) > 0.8


def test_latency_is_scaled_by_one_network_and_fitted_to_three() -> None:
    costs = [each.cost for each in CANDIDATES[:: len(CANDIDATES) // 6]]

    def truth(cost: Cost) -> float:
        return 1e-3 * cost.depth + 2e-8 * cost.macs

    assert latency_model([(costs[0], 3.0)])(costs[0]) == pytest.approx(3.0)
    fitted = latency_model([(each, truth(each)) for each in costs[:4]])
    assert fitted(costs[5]) == pytest.approx(truth(costs[5]))
