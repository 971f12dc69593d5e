"""Whole searches on worlds whose truth is known: what a report says of them holds.

A search chooses what it evaluates and replicates by what it observed; a formula on a fixed table cannot show
what that does. `python -m tests.benchmarks.coverage` prints the same for many more searches.
"""

from functools import cache

import numpy as np
import pytest

from .adaptive_search import simulate
from .scores import Scores, Share, calibration, scores_of
from .world import SETTINGS, UNSTRUCTURED, Setting

pytestmark = pytest.mark.slow

SEARCHES = 20
Z = 2.6  # of 6 settings the worst is so many standard errors off by chance, once in twenty times


@cache
def searches(setting: Setting) -> list[Scores]:
    return [scores_of(simulate(setting, seed)) for seed in range(SEARCHES)]


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_intervals_of_the_front_hold_the_accuracy_on_unseen_images(setting: Setting) -> None:
    scores = searches(setting)
    # the searches are few; an error of theirs that is small by chance proves nothing
    error = max(Share.of([each.front_covered for each in scores]).error, 0.02)
    assert 0.92 - Z * error <= Share.of([each.front_covered for each in scores]).value <= 1
    differences = Share.of([each.difference_covered for each in scores])
    assert differences.value >= 0.92 - Z * max(differences.error, 0.02)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_the_front_is_not_said_to_be_better_than_it_is(setting: Setting) -> None:
    biases = np.array([each.front_bias for each in searches(setting)])
    error = biases.std(ddof=1) / np.sqrt(SEARCHES)
    # With 359 images two networks differ by more than a point by chance: not all of it can be removed.
    assert abs(biases.mean()) <= Z * error + (0.3 if setting.images < 1000 else 0.2)


def test_networks_are_on_the_front_as_often_as_their_probability_says() -> None:
    rows = calibration([each for setting in SETTINGS for each in searches(setting)])
    assert all(abs(said - true) <= 0.07 + Z * error for said, true, error, _ in rows)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_the_noise_is_estimated_without_bias(setting: Setting) -> None:
    logs = np.log([each.noise_ratio for each in searches(setting)])
    # 12 replicates: a relative error of 1 / sqrt(24) = 0.2 in each search
    assert abs(logs.mean()) <= 0.1 + Z * 0.2 / np.sqrt(SEARCHES)


@pytest.mark.parametrize("setting", UNSTRUCTURED, ids=str)
def test_where_all_networks_are_equal_none_is_said_to_be_better(setting: Setting) -> None:
    said = sum(each.distinguished for each in searches(setting))
    # 5% of 20 searches; more than 4 have a chance of 0.3%
    assert said <= 4
