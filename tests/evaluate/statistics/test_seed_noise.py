import math
from collections.abc import Mapping

import numpy as np
import pytest

from bneck.evaluate.statistics.reliability import residual_std
from bneck.evaluate.statistics.seed_noise import SeedNoise, estimate_seed_noise, seed_effects

SeedTable = dict[str, dict[int, float]]


def drawn(
    rng: np.random.Generator, noise: float, seeds: Mapping[int, float], networks: int = 20
) -> SeedTable:
    """Networks with seed 0; every second one with seed 1 too, every fourth with seed 2, ..."""
    return {
        f"net{number}": {
            seed: 0.01 * number + effect + rng.normal(0, noise)
            for seed, effect in seeds.items()
            if number % 2**seed == 0
        }
        for number in range(networks)
    }


def least_squares(table: SeedTable) -> tuple[float, int]:
    """Deviation and freedom of network + seed, from the whole design with a column for each."""
    rows = [(key, seed, value) for key, row in table.items() for seed, value in row.items()]
    keys, seeds = sorted({row[0] for row in rows}), sorted({row[1] for row in rows})
    design = np.array([[k == key for k in keys] + [s == seed for s in seeds] for key, seed, _ in rows], float)
    values = np.array([value for _, _, value in rows])
    found, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    degrees_of_freedom = len(rows) - int(rank)
    return math.sqrt(float(((values - design @ found) ** 2).sum()) / degrees_of_freedom), degrees_of_freedom


def told(noise: SeedNoise | None) -> tuple[float, int]:
    assert noise is not None
    return noise.std, noise.degrees_of_freedom


def test_what_was_trained_once_tells_no_noise() -> None:
    assert estimate_seed_noise({}) is None
    assert estimate_seed_noise({"a": {0: 0.9}, "b": {0: 0.8}}) is None


def test_a_single_network_trained_again_tells_the_deviation_of_its_trainings() -> None:
    # (1, 3, 5) around 3: (4 + 0 + 4) / 2 = 4; the other network adds nothing
    assert estimate_seed_noise({"a": {0: 1.0, 1: 3.0, 2: 5.0}, "b": {0: 9.0}}) == SeedNoise(2.0, 2)


def test_networks_are_pooled_by_the_trainings_they_have_beyond_the_first() -> None:
    # around their means: 1 + 1 with freedom 1, and 4 + 4 with freedom 1: (2 + 8) / 2
    noise = estimate_seed_noise({"a": {0: 1.0, 1: 3.0}, "b": {0: 10.0, 2: 6.0}})
    assert told(noise) == (pytest.approx(math.sqrt(5)), 2)


def test_a_seed_that_moves_all_networks_alike_is_no_noise() -> None:
    # seed 1 is 0.1 below seed 0 everywhere; 8 trainings of 3 networks, less 3, less 2 for the seeds
    table: SeedTable = {
        "a": {0: 0.90, 1: 0.80, 2: 0.95},
        "b": {0: 0.70, 1: 0.60, 2: 0.75},
        "c": {0: 0.50, 1: 0.40},
        "d": {0: 0.99},
    }
    noise = estimate_seed_noise(table)
    assert noise is not None
    assert noise.std == pytest.approx(0, abs=1e-12)
    assert noise.degrees_of_freedom == 8 - 3 - 2
    assert seed_effects(table) == pytest.approx({0: 0, 1: -0.1, 2: 0.05})


def test_where_seeds_matter_the_noise_is_that_of_the_additive_model() -> None:
    table = drawn(np.random.default_rng(0), 0.01, {0: 0.0, 1: -0.1, 2: 0.05})
    noise = estimate_seed_noise(table)
    std, degrees_of_freedom = least_squares(table)
    assert told(noise) == (pytest.approx(std), degrees_of_freedom)
    assert seed_effects(table) == pytest.approx({0: 0, 1: -0.1, 2: 0.05}, abs=0.02)


def test_a_table_without_gaps_has_the_noise_that_a_study_of_noise_tells() -> None:
    rng = np.random.default_rng(1)
    whole = rng.normal(0, 0.01, (8, 3)) + rng.normal(0, 0.1, (8, 1)) + np.array([0, 0.3, -0.2])
    noise = estimate_seed_noise(
        {str(row): dict(enumerate(values)) for row, values in enumerate(whole.tolist())}
    )
    assert told(noise) == (pytest.approx(residual_std(whole)), 7 * 2)


def test_seeds_that_do_little_are_left_in() -> None:
    table = drawn(np.random.default_rng(2), 0.01, {0: 0.0, 1: 0.0, 2: 0.0})
    assert seed_effects(table) == {}
    noise = estimate_seed_noise(table)
    # 20 first trainings, 10 second ones, 5 third ones
    assert noise is not None
    assert noise.degrees_of_freedom == 15


@pytest.mark.parametrize("seeds", [{0: 0.0, 1: 0.0, 2: 0.0}, {0: 0.0, 1: 0.1, 2: -0.1}])
def test_the_variance_is_neither_too_large_nor_too_small(seeds: Mapping[int, float]) -> None:
    rng = np.random.default_rng(3)
    found = [estimate_seed_noise(drawn(rng, 0.01, seeds)) for _ in range(300)]
    # of 13 to 15 degrees of freedom each: the mean of 300 has a deviation of 2.2%
    assert np.mean([each.std**2 for each in found if each]) == pytest.approx(1e-4, rel=0.07)


def test_the_margin_of_a_mean_is_students() -> None:
    # t of 4 degrees of freedom is 2.776
    assert SeedNoise(0.5, 4).ci95_half_width(1) == pytest.approx(2.776 * 0.5, rel=1e-3)
    assert SeedNoise(0.5, 4).ci95_half_width(4) == pytest.approx(2.776 * 0.25, rel=1e-3)


def test_the_difference_that_is_told_is_that_of_two_means() -> None:
    assert SeedNoise(0.5, 4).least_significant_difference() == pytest.approx(
        2.776 * 0.5 * math.sqrt(2), rel=1e-3
    )
    assert SeedNoise(0.5, 4).least_significant_difference(4, 1) == pytest.approx(
        2.776 * 0.5 * math.sqrt(1.25), rel=1e-3
    )
