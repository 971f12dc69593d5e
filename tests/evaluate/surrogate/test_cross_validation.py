"""What a predictor is worth on networks left out, where the answer is known."""

import math

import numpy as np
import pytest

from bneck.evaluate.surrogate import cross_validation as predictor_check
from bneck.evaluate.surrogate.cross_validation import FOLDS, CrossValidation, _fifths, cross_validated

from .test_gaussian_process import NAMES, World


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor_check, "DRAWS", 200)


def checked(world: World, judged: bool = True, seed: int = 0) -> CrossValidation:
    judges = {"good": world.judge(0.1), "random": world.random_judge()} if judged else {}
    ones = [1] * len(world.keys)
    return cross_validated(world.keys, world.features, NAMES, world.truth, ones, 0.05, judges, seed=seed)


def test_a_straight_line_is_predicted_by_macs_alone() -> None:
    found = checked(World.of(0, 25, structure=0.0), judged=False)
    assert (found.networks, found.folds, found.without, found.gains) == (25, FOLDS, {}, {})
    assert found.macs.spearman == pytest.approx(1)
    assert found.macs.r2 > 0.99
    assert found.gain.spearman == pytest.approx(0, abs=0.01)


def test_what_nothing_tells_is_not_predicted() -> None:
    # a network that were not left out would be told from its own training: R2 near 1
    world = World.of(1, 40)
    world.truth[:] = np.random.default_rng(1).standard_normal(40)
    found = checked(world, judged=False)
    assert found.everything.r2 < 0.2
    low, high = found.everything.spearman_interval
    assert low < found.everything.spearman < high < 0.5


def test_what_a_judge_adds_is_told() -> None:
    found = checked(World.of(2, 40, structure=0.8))
    low, high = found.gains["good"].interval
    assert 0 < low < found.gains["good"].spearman < high
    assert found.gains["good"].spearman == pytest.approx(
        found.everything.spearman - found.without["good"].spearman
    )
    assert found.gain.spearman == pytest.approx(found.everything.spearman - found.macs.spearman)
    assert abs(found.gains["random"].spearman) < 0.02
    assert found.everything.r2 > found.without["good"].r2 + 0.1
    low, high = found.everything.r2_interval
    assert low < found.everything.r2 < high


def test_a_seed_gives_the_same_again_and_another_divides_otherwise() -> None:
    world = World.of(3, 15)
    first, again, other = (checked(world, judged=False, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.everything.r2 != other.everything.r2


def test_of_five_neighbours_by_macs_each_is_in_another_part_whatever_their_order() -> None:
    keys = [f"n{n:02}" for n in range(23)]
    macs = np.random.default_rng(0).permutation(np.arange(23.0))
    parts = _fifths(macs, keys, np.random.default_rng(7))
    by_macs = parts[np.argsort(macs)]
    for first in range(0, 20, FOLDS):
        assert sorted(by_macs[first : first + FOLDS]) == [0, 1, 2, 3, 4]
    assert len(set(by_macs[20:])) == 3
    again = _fifths(macs[::-1], keys[::-1], np.random.default_rng(7))
    assert (again[::-1] == parts).all()


def test_equal_values_have_no_correlation() -> None:
    world = World.of(4, 6)
    world.truth[:] = 0.5
    found = checked(world, judged=False)
    assert math.isnan(found.macs.spearman) and math.isnan(found.macs.r2)


def test_fewer_than_five_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 5 networks, got 4"):
        checked(World.of(0, 4), judged=False)
