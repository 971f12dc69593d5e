import random

import numpy as np
import pytest

from bneck.search_space import Architecture, Genes, cost, load_space

from .landscapes import Evaluation, Landscape, accel_space, features
from .madeup import SPACE, accuracy_percent, latency_ms, terms_percent, traits, usual
from .measures import duplicates, hypervolumes, mean_and_deviation, mean_curve, needed, proposal_ms, wasted


def seen(accuracy: float, ms: float, feasible: bool = True, key: str = "", seconds: float = 0) -> Evaluation:
    return Evaluation(accuracy, ms, seconds, feasible, key)


def drawn(count: int) -> list[Architecture]:
    space, rng = load_space(SPACE), random.Random(1)
    return [space.decode(space.sample(rng)) for _ in range(count)]


def test_the_area_grows_by_what_each_network_adds() -> None:
    found = [
        seen(60, 8),  # (60 - 50) x (10 - 8) = 20
        seen(55, 9),  # beaten
        seen(49, 1),  # less accurate than the reference
        seen(90, 1, feasible=False),  # beyond the limit
        seen(70, 9),  # 10 more percent for the last 1 ms
        seen(70, 5),  # 20 x 5, and nothing else is left
    ]
    assert hypervolumes(found, (50, 10)) == pytest.approx([20, 20, 20, 20, 30, 100])
    assert hypervolumes(found[3:4], (50, 10)) == [0]


def test_a_value_is_reached_at_the_first_evaluation_that_attains_it() -> None:
    assert needed([1, 2, 2, 3], 2) == 2
    assert needed([1, 2, 2, 3], 2.5) == 4
    assert needed([1, 2, 2, 3], 3.1) is None


def test_seeds_are_averaged_evaluation_by_evaluation() -> None:
    assert mean_curve([[1, 2], [3, 6]]) == [2, 4]
    assert mean_and_deviation([1, 3, 5]) == (3, 2)
    assert mean_and_deviation([4]) == (4, None)


def test_networks_beyond_the_limit_and_repeats_are_counted() -> None:
    found = [seen(1, 1, True, "a"), seen(1, 1, False, "b"), seen(1, 1, False, "b"), seen(1, 1, True, "a")]
    assert (wasted(found), duplicates(found)) == (2, 2)


def test_the_end_of_a_search_is_its_last_20_proposals() -> None:
    found = (
        [seen(1, 1, seconds=0.001)] * 30 + [seen(1, 1, seconds=0.002)] * 10 + [seen(1, 1, seconds=0.006)] * 10
    )
    assert proposal_ms(found) == pytest.approx((1, 4))


def test_the_limit_on_macs_is_told_as_a_part_of_it() -> None:
    space = accel_space()
    genes = space.sample(random.Random(0))
    macs = cost(space.decode(genes)).macs
    for limit, excess, feasible in ((macs, 0, True), (macs // 2, 1, False), (2 * macs, -0.5, True)):
        landscape = Landscape("", space, lambda genes: (1, 2), (0, 3), limit)
        assert landscape.excess(genes) == pytest.approx(excess, abs=1e-6)
        assert landscape.evaluate(genes).feasible is feasible


def test_the_table_has_four_numbers_a_stage() -> None:
    chosen: Genes = {"expansion": 6, "kernel": 5, "depth": 2, "attention": "se"}
    genes: Genes = {
        f"stage{number}.{gene}": value for number in range(1, 8) for gene, value in chosen.items()
    }
    assert features(genes | {"stage7.attention": "none"}) == [6, 5, 2, 1] * 6 + [6, 5, 2, 0]
    # 3 depths, 2 kernels, 3 expansions, attention or none: 36 for each of 7 stages; one has 4 depths
    assert accel_space().size == 36**6 * 48


def test_pairs_of_genes_matter_as_much_as_single_ones_and_macs_do_not_tell_all() -> None:
    networks = drawn(400)
    terms = np.array([terms_percent(network) for network in networks])
    _, main, pairs = terms.T
    found = [traits(network) for network in networks]
    additive = np.array([[1.0, *(each.get(name, 0.0) for name in usual())] for each in found])
    left = pairs - additive @ np.linalg.lstsq(additive, pairs, rcond=None)[0]
    assert left.var() >= main.var()
    assert left.var() >= 0.6 * pairs.var()  # 0.76 would be left of pure noise: 96 columns, 400 networks
    log_macs = np.log([cost(network).macs for network in networks])
    accuracy = terms.sum(axis=1)
    unexplained = accuracy - np.polyval(np.polyfit(log_macs, accuracy, 3), log_macs)
    assert unexplained.var() > 0.4 * accuracy.var()


def test_made_up_values_follow_from_the_network_alone() -> None:
    space = load_space(SPACE)
    genes = space.sample(random.Random(2)) | {"stage4.depth": 0}
    other = genes | {"stage4.out": 64, "stage4.block2.kernel": 7}
    one, same = space.decode(genes), space.decode(other)
    assert genes != other and accuracy_percent(one) == accuracy_percent(same)
    assert latency_ms(one) == latency_ms(same) > 0.02 * cost(one).depth  # ms a layer at least
