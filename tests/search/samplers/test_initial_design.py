import math
import random
from itertools import pairwise

import pytest

from bneck.evaluate import Goals, parse_goals
from bneck.search.samplers.initial_design import stratified
from bneck.search_space import Architecture, cost, load_space

from ...search_space.helpers import preset, space_of
from ..helpers import FOUR, SMALL, every_network

ANY = parse_goals("accuracy,latency", {})
# Ten networks that differ in their images alone: a larger side has more MACs, and no more parameters.
TEN = space_of(
    "{out: 8, kernel: 3, expansion: 1}",
    resolution="[16, 18, 20, 22, 24, 26, 28, 30, 32, 34]",
    head="{features: 16}",
)


def macs_of(networks: list[Architecture]) -> list[int]:
    return sorted(cost(network).macs for network in networks)


def sides(count: int, seed: int = 0, goals: Goals = ANY) -> list[int]:
    """The sides chosen from `TEN` in rising order, halved: 8 to 17."""
    return sorted(
        network.resolution_px // 2 for network in stratified(TEN, goals, count, random.Random(seed))
    )


def limited_to(side: int) -> Goals:
    """A limit on MACs that the network of this halved side just keeps."""
    [network] = [each for each in every_network(TEN).values() if each.resolution_px == 2 * side]
    return parse_goals("accuracy,latency", {"macs": str(cost(network).macs)})


@pytest.mark.parametrize(
    ("count", "shares"),
    [
        (1, [{8, 9, 10, 11, 12, 13, 14, 15, 16, 17}]),
        (2, [{8, 9, 10, 11, 12}, {13, 14, 15, 16, 17}]),
        # a share ends below 10/4 = 2.5, 5 and 7.5
        (4, [{8, 9}, {10, 11, 12}, {13, 14}, {15, 16, 17}]),
        (5, [{8, 9}, {10, 11}, {12, 13}, {14, 15}, {16, 17}]),
    ],
)
def test_one_network_is_taken_from_each_share_by_macs(count: int, shares: list[set[int]]) -> None:
    for seed in range(20):
        chosen = sides(count, seed)
        assert len(chosen) == count
        assert [side in share for side, share in zip(chosen, shares, strict=True)] == [True] * count


def test_which_one_of_a_share_is_chance() -> None:
    # the least of five is 8 or 9, and the most 16 or 17
    found = [sides(5, seed) for seed in range(20)]
    assert {chosen[0] for chosen in found} == {8, 9}
    assert {chosen[-1] for chosen in found} == {16, 17}


def test_the_shares_are_those_of_what_keeps_the_limits() -> None:
    # of 8 to 15 two shares are 8 to 11 and 12 to 15
    for seed in range(20):
        low, high = sides(2, seed, limited_to(15))
        assert 8 <= low <= 11
        assert 12 <= high <= 15


@pytest.mark.slow
def test_the_networks_are_different_and_keep_the_limits_on_cost() -> None:
    space = preset("mobile-32")
    goals = parse_goals("accuracy,latency", {"macs": "20M", "params": "800K"})
    networks = stratified(space, goals, 30, random.Random(3))
    assert len({network.key for network in networks}) == len(networks) == 30
    assert max(cost(network).macs for network in networks) <= 20_000_000
    assert max(cost(network).params for network in networks) <= 800_000


def test_a_limit_on_latency_is_not_looked_at() -> None:
    # the model must know the slow ones too
    goals = parse_goals("accuracy,latency", {"latency": "0.0001x"})
    assert len(stratified(SMALL, goals, 30, random.Random(0))) == 30


def test_limits_that_random_genes_miss_are_met() -> None:
    # of mobile-32, 2,044,096 MACs are the least there are, and in 1,000 random networks none has 3M
    space = preset("mobile-32")
    networks = stratified(space, parse_goals("accuracy", {"macs": "2.1M"}), 5, random.Random(0))
    assert len({network.key for network in networks}) == 5
    assert macs_of(networks)[-1] <= 2_100_000


@pytest.mark.parametrize("seed", range(3))
def test_networks_under_a_tight_limit_are_spread_over_all_sizes_below_it(seed: int) -> None:
    # the smallest has 2.04M MACs; nearly all networks below 5M have more than 4.5M
    space = preset("mobile-32")
    sizes = macs_of(stratified(space, parse_goals("accuracy", {"macs": "5M"}), 10, random.Random(seed)))
    shares = [(count / 2_044_096, 5e6 / count) for count in sizes]
    by_log_macs = [math.log(low) / math.log(low * high) for low, high in shares]
    assert by_log_macs == pytest.approx([(place + 0.5) / 10 for place in range(10)], abs=0.16)


@pytest.mark.parametrize("count", [4, 5, 30])
def test_a_space_with_no_more_networks_gives_all_it_has(count: int) -> None:
    networks = stratified(FOUR, ANY, count, random.Random(0))
    assert {network.key for network in networks} == set(every_network(FOUR))
    assert len(networks) == 4


def test_limits_that_leave_fewer_networks_give_those() -> None:
    assert sides(30, goals=limited_to(10)) == [8, 9, 10]
    assert sides(1, goals=limited_to(8)) == [8]


def test_limits_that_nothing_keeps_give_none() -> None:
    assert stratified(SMALL, parse_goals("accuracy", {"macs": "1K"}), 30, random.Random(0)) == []


def test_the_same_seed_gives_the_same_networks_in_the_same_order_and_another_one_others() -> None:
    space = load_space("mobile")
    first, again, other = (stratified(space, ANY, 6, random.Random(seed)) for seed in (4, 4, 5))
    assert first == again
    assert not {network.key for network in first} & {network.key for network in other}


@pytest.mark.slow
def test_the_order_has_nothing_to_do_with_size() -> None:
    # what is measured one after the other must not drift as the machine does
    networks = stratified(load_space("mobile"), ANY, 30, random.Random(0))
    sizes = [cost(network).macs for network in networks]
    steps = sum(one < other for one, other in pairwise(sizes))
    # of 29 steps half are upwards, with a standard deviation of 1.6
    assert 9 <= steps <= 20
