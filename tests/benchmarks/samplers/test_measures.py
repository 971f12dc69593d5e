import random

import numpy as np
import pytest

from bneck.search_space import Architecture, Genes, cost, load_space

from .landscapes import Evaluation, Landscape, accel_space, features
from .measures import duplicates, hypervolumes, mean_and_deviation, mean_curve, needed, proposal_ms, wasted
from .synthetic import SPACE, accuracy_percent, latency_ms, mean_traits, terms_percent, traits


def evaluation(
    accuracy: float, ms: float, feasible: bool = True, key: str = "", seconds: float = 0
) -> Evaluation:
    return Evaluation(accuracy, ms, seconds, feasible, key)


def drawn(count: int) -> list[Architecture]:
    space, rng = load_space(SPACE), random.Random(1)
    return [space.decode(space.sample(rng)) for _ in range(count)]


def test_hypervolume_grows_by_the_contribution_of_each_network() -> None:
    found = [
        evaluation(60, 8),  # (60 - 50) x (10 - 8) = 20
        evaluation(55, 9),  # dominated
        evaluation(49, 1),  # less accurate than the reference
        evaluation(90, 1, feasible=False),  # infeasible
        evaluation(70, 9),  # 10 more percent for the last 1 ms
        evaluation(70, 5),  # 20 x 5; dominates all others
    ]
    assert hypervolumes(found, (50, 10)) == pytest.approx([20, 20, 20, 20, 30, 100])
    assert hypervolumes(found[3:4], (50, 10)) == [0]


def test_needed_is_the_first_evaluation_that_reaches_the_value() -> None:
    assert needed([1, 2, 2, 3], 2) == 2
    assert needed([1, 2, 2, 3], 2.5) == 4
    assert needed([1, 2, 2, 3], 3.1) is None


def test_curves_are_averaged_over_seeds() -> None:
    assert mean_curve([[1, 2], [3, 6]]) == [2, 4]
    assert mean_and_deviation([1, 3, 5]) == (3, 2)
    assert mean_and_deviation([4]) == (4, None)


def test_infeasible_and_duplicate_evaluations_are_counted() -> None:
    found = [
        evaluation(1, 1, True, "a"),
        evaluation(1, 1, False, "b"),
        evaluation(1, 1, False, "b"),
        evaluation(1, 1, True, "a"),
    ]
    assert (wasted(found), duplicates(found)) == (2, 2)


def test_final_proposal_time_is_the_mean_of_the_last_20() -> None:
    found = (
        [evaluation(1, 1, seconds=0.001)] * 30
        + [evaluation(1, 1, seconds=0.002)] * 10
        + [evaluation(1, 1, seconds=0.006)] * 10
    )
    assert proposal_ms(found) == pytest.approx((1, 4))


def test_excess_is_relative_to_the_limit_on_macs() -> None:
    space = accel_space()
    genes = space.sample(random.Random(0))
    macs = cost(space.decode(genes)).macs
    for limit, excess, feasible in ((macs, 0, True), (macs // 2, 1, False), (2 * macs, -0.5, True)):
        landscape = Landscape("", space, lambda genes: (1, 2), (0, 3), limit)
        assert landscape.excess(genes) == pytest.approx(excess, abs=1e-6)
        assert landscape.evaluate(genes).feasible is feasible


def test_the_table_has_four_numbers_per_stage() -> None:
    chosen: Genes = {"expansion": 6, "kernel": 5, "depth": 2, "attention": "se"}
    genes: Genes = {
        f"stage{number}.{gene}": value for number in range(1, 8) for gene, value in chosen.items()
    }
    assert features(genes | {"stage7.attention": "none"}) == [6, 5, 2, 1] * 6 + [6, 5, 2, 0]
    # 3 depths, 2 kernels, 3 expansions, attention or none: 36 for each of 7 stages; one has 4 depths
    assert accel_space().size == 36**6 * 48


def test_pairs_of_genes_matter_as_much_as_single_ones_and_macs_do_not_explain_all() -> None:
    networks = drawn(400)
    terms = np.array([terms_percent(network) for network in networks])
    _, main, pairs = terms.T
    found = [traits(network) for network in networks]
    additive = np.array([[1.0, *(each.get(name, 0.0) for name in mean_traits())] for each in found])
    left = pairs - additive @ np.linalg.lstsq(additive, pairs, rcond=None)[0]
    assert left.var() >= main.var()
    assert left.var() >= 0.6 * pairs.var()  # 0.76 would be left of pure noise: 96 columns, 400 networks
    log_macs = np.log([cost(network).macs for network in networks])
    accuracy = terms.sum(axis=1)
    unexplained = accuracy - np.polyval(np.polyfit(log_macs, accuracy, 3), log_macs)
    assert unexplained.var() > 0.4 * accuracy.var()


def test_synthetic_values_depend_on_the_network_alone() -> None:
    space = load_space(SPACE)
    genes = space.sample(random.Random(2)) | {"stage4.depth": 0}
    other = genes | {"stage4.out": 64, "stage4.block2.kernel": 7}
    one, same = space.decode(genes), space.decode(other)
    assert genes != other and accuracy_percent(one) == accuracy_percent(same)
    assert latency_ms(one) == latency_ms(same) > 0.02 * cost(one).depth  # at least this many ms per layer
