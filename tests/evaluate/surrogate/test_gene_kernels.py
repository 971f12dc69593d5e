"""What genes and sizes tell, by hand and on made-up truths."""

import numpy as np
import pytest

from bneck.evaluate.statistics.arrays import Array
from bneck.evaluate.surrogate.architecture_features import MACS
from bneck.evaluate.surrogate.gaussian_process import GaussianProcess, fit
from bneck.evaluate.surrogate.gene_kernels import (
    GENES_LINEAR,
    GENES_SMOOTH,
    PART_PREFIX,
    SIZES_LINEAR,
    SIZES_SMOOTH,
)
from bneck.evaluate.surrogate.hyperparameters import Hyperparameters
from bneck.evaluate.surrogate.kernels import ColumnScaler, ScaledInputs, kernel_components

NAMES = (MACS, "log_params", "log_activation_bytes", "gene:stem.out", "gene:stage1.depth", "gene:stage1.out")


def places(*rows: list[float]) -> ScaledInputs:
    """Of columns that are scaled already: their means are 0, their deviations 1."""
    table = np.array(rows, dtype=np.float64)
    even = ColumnScaler.of(NAMES, np.vstack([np.ones(6), -np.ones(6)]))
    return even.places([f"n{n}" for n in range(len(table))], table)


def test_the_covariances_of_genes_and_sizes_worked_out_by_hand() -> None:
    one, other = places([1, 1, 1, 1, -1, 1]), places([1, -1, 1, -1, -1, -1])
    found = {name: each.item() for name, each in kernel_components(one, other).items()}
    # of sizes 1 - 1 + 1 over 3, apart by 4; of genes -1 + 1 - 1 over 3, apart by 4 in stem and 4 in stage1
    assert found[SIZES_LINEAR] == pytest.approx(1 / 3)
    assert found[SIZES_SMOOTH] == pytest.approx(np.exp(-4 / (2 * 3)))
    assert found[GENES_LINEAR] == pytest.approx(-1 / 3)
    assert found[GENES_SMOOTH] == pytest.approx(np.exp(-8 / (8 * 3)))
    assert found[f"{PART_PREFIX}stem"] == pytest.approx(np.exp(-4 / (2 * 1)))
    assert found[f"{PART_PREFIX}stage1"] == pytest.approx(np.exp(-4 / (2 * 2)))


def test_every_part_of_a_network_with_itself_has_variance_1() -> None:
    rows = places([1, -1, 1, -1, 1, 1])
    found = kernel_components(rows, rows)
    names = (
        SIZES_LINEAR,
        SIZES_SMOOTH,
        GENES_LINEAR,
        GENES_SMOOTH,
        f"{PART_PREFIX}stem",
        f"{PART_PREFIX}stage1",
    )
    assert [found[name].item() for name in names] == pytest.approx([1] * 6)


def test_without_columns_of_genes_there_are_no_parts_of_genes() -> None:
    only = ColumnScaler.of((MACS,), np.array([[1.0], [-1.0]]))
    bare = only.places(["a", "b"], np.array([[1.0], [2.0]]))
    found = kernel_components(bare, bare).keys()
    assert not {SIZES_LINEAR, SIZES_SMOOTH, GENES_LINEAR, GENES_SMOOTH} & found
    assert not [name for name in found if name.startswith(PART_PREFIX)]


def random_rows(count: int) -> Array:
    """Networks whose sizes do not follow from their genes."""
    return np.random.default_rng(0).choice([-1.0, 1.0], (count, len(NAMES)))


def test_what_a_single_gene_does_is_learned_from_few_networks() -> None:
    rows = random_rows(60)
    values = 0.7 + 0.05 * rows[:, 4] - 0.03 * rows[:, 5]
    keys = [f"n{n}" for n in range(60)]
    model = fit(keys[:20], rows[:20], NAMES, values[:20], [1] * 20, 0.0)
    assert model.posterior(keys[20:], rows[20:]).mean == pytest.approx(values[20:], abs=0.01)


def test_the_part_of_a_network_that_matters_is_found() -> None:
    # the two genes of stage1 work against each other, so that neither tells anything alone
    rows = random_rows(60)
    values = 0.7 + 0.03 * rows[:, 4] * rows[:, 5]
    keys = [f"n{n}" for n in range(60)]
    model = fit(keys[:30], rows[:30], NAMES, values[:30], [1] * 30, 0.0)
    stages = model.hyperparameters.stages
    assert stages[f"{PART_PREFIX}stage1"] > 5 * stages[f"{PART_PREFIX}stem"]
    assert model.posterior(keys[30:], rows[30:]).mean == pytest.approx(values[30:], abs=0.01)


@pytest.mark.parametrize("n_seeds", [[1] * 12, [1, 5, 2] * 4])
def test_what_is_fitted_is_what_is_believed_of_the_trained_networks(n_seeds: list[int]) -> None:
    rng, keys, rows = np.random.default_rng(1), [f"n{n}" for n in range(12)], random_rows(12)
    told = {f"{PART_PREFIX}stem": 0.1, f"{PART_PREFIX}stage1": 0.2}
    hyperparameters = Hyperparameters(
        0.6,
        0.2,
        curve=0.1,
        features=0.1,
        sizes_linear=0.2,
        genes_linear=0.3,
        structure=0.1,
        noise=0.4,
        stages=told,
    )
    model = GaussianProcess.of(hyperparameters, keys, rows, NAMES, rng.uniform(0.4, 0.8, 12), n_seeds)
    assert model.fitted_values == pytest.approx(model.posterior(keys, rows).mean, abs=1e-9)
    assert np.abs(model.fitted_values - model.values).max() > 0.01
    others, table = [*keys[:3], "x", "y"], np.vstack([rows[:3], random_rows(14)[12:]])
    joint = model.posterior(others, table)
    mean, std = model.marginals(others, table)
    assert (mean, std) == (pytest.approx(joint.mean), pytest.approx(joint.std))
