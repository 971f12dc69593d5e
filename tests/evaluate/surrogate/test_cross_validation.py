"""What a predictor is worth on networks left out, where the answer is known."""

import math

import numpy as np
import pytest

from bneck.evaluate.surrogate import cross_validation
from bneck.evaluate.surrogate.cross_validation import (
    N_FOLDS,
    CrossValidation,
    _stratified_folds,
    cross_validate,
)

from .test_gaussian_process import NAMES, World


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_validation, "N_RESAMPLES", 200)


def checked(world: World, with_proxies: bool = True, seed: int = 0) -> CrossValidation:
    proxies = {"good": world.proxy(0.1), "random": world.random_proxy()} if with_proxies else {}
    ones = [1] * len(world.keys)
    return cross_validate(world.keys, world.features, NAMES, world.truth, ones, 0.05, proxies, seed=seed)


def test_a_straight_line_is_predicted_by_macs_alone() -> None:
    found = checked(World.of(0, 25, structure=0.0), with_proxies=False)
    assert (found.networks, found.folds, found.without_proxy, found.gain_by_proxy) == (25, N_FOLDS, {}, {})
    assert found.macs.spearman == pytest.approx(1)
    assert found.macs.r2 > 0.99
    assert found.gain_over_macs.spearman == pytest.approx(0, abs=0.01)


def test_what_nothing_tells_is_not_predicted() -> None:
    # a network that were not left out would be told from its own training: R2 near 1
    world = World.of(1, 40)
    world.truth[:] = np.random.default_rng(1).standard_normal(40)
    found = checked(world, with_proxies=False)
    assert found.full_model.r2 < 0.2
    low, high = found.full_model.spearman_ci95
    assert low < found.full_model.spearman < high < 0.5


def test_the_gain_of_each_proxy_is_reported() -> None:
    found = checked(World.of(2, 40, structure=0.8))
    low, high = found.gain_by_proxy["good"].ci95
    assert 0 < low < found.gain_by_proxy["good"].spearman < high
    assert found.gain_by_proxy["good"].spearman == pytest.approx(
        found.full_model.spearman - found.without_proxy["good"].spearman
    )
    assert found.gain_over_macs.spearman == pytest.approx(found.full_model.spearman - found.macs.spearman)
    assert abs(found.gain_by_proxy["random"].spearman) < 0.02
    assert found.full_model.r2 > found.without_proxy["good"].r2 + 0.1
    low, high = found.full_model.r2_ci95
    assert low < found.full_model.r2 < high


def test_a_seed_gives_the_same_again_and_another_divides_otherwise() -> None:
    world = World.of(3, 15)
    first, again, other = (checked(world, with_proxies=False, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.full_model.r2 != other.full_model.r2


def test_of_five_neighbours_by_macs_each_is_in_another_part_whatever_their_order() -> None:
    keys = [f"n{n:02}" for n in range(23)]
    macs = np.random.default_rng(0).permutation(np.arange(23.0))
    parts = _stratified_folds(macs, keys, np.random.default_rng(7))
    by_macs = parts[np.argsort(macs)]
    for first in range(0, 20, N_FOLDS):
        assert sorted(by_macs[first : first + N_FOLDS]) == [0, 1, 2, 3, 4]
    assert len(set(by_macs[20:])) == 3
    again = _stratified_folds(macs[::-1], keys[::-1], np.random.default_rng(7))
    assert (again[::-1] == parts).all()


def test_equal_values_have_no_correlation() -> None:
    world = World.of(4, 6)
    world.truth[:] = 0.5
    found = checked(world, with_proxies=False)
    assert math.isnan(found.macs.spearman) and math.isnan(found.macs.r2)


def test_fewer_than_five_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 5 networks, got 4"):
        checked(World.of(0, 4), with_proxies=False)
