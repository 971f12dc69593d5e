"""What genes and sizes tell, by hand and on made-up truths."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from bneck.evaluate.statistics.arrays import Array
from bneck.evaluate.surrogate.architecture_features import MACS
from bneck.evaluate.surrogate.gaussian_process import GaussianProcess, fit
from bneck.evaluate.surrogate.gene_kernels import (
    GENES_LINEAR,
    GENES_SMOOTH,
    PART_PREFIX,
    SIZES_LINEAR,
    SIZES_SMOOTH,
    Points,
    ScaledGenes,
)
from bneck.evaluate.surrogate.hyperparameters import Hyperparameters
from bneck.evaluate.surrogate.kernels import (
    CONSTANT,
    CURVE,
    FEATURES,
    SLOPE,
    STRUCTURE,
    ColumnScaler,
    ScaledInputs,
    covariances,
    kernel_components,
    kernel_diagonals,
    lower_covariance,
)

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


def squared_exponential(one: Array, other: Array, length_scale: float) -> Array:
    out: Array = np.exp(-cdist(one, other, "sqeuclidean") / (2 * length_scale**2))
    return out


def plain_covariance(one: ScaledInputs, other: ScaledInputs, v: dict[str, float]) -> Array:
    """By the formula of every component; `v` are the variances."""
    assert one.genes and other.genes
    mine, theirs = (
        [each.sizes.columns, np.hstack([part.columns for part in each.parts.values()])]
        for each in (one.genes, other.genes)
    )
    out = v[CONSTANT] + v[SLOPE] * np.outer(one.macs, other.macs)
    out += v[CURVE] * squared_exponential(one.macs[:, None], other.macs[:, None], 1.5)
    out += v[FEATURES] / 2 * one.features @ other.features.T / 4
    out += v[FEATURES] / 2 * squared_exponential(one.features, other.features, 4**0.5)
    out += v[STRUCTURE] * np.array([[key == key_of_other for key_of_other in other.keys] for key in one.keys])
    out += v["proxy"] * np.outer(one.proxies["proxy"], other.proxies["proxy"])
    out += v[SIZES_LINEAR] * mine[0] @ theirs[0].T / 3
    out += v[SIZES_SMOOTH] * squared_exponential(mine[0], theirs[0], 3**0.5)
    out += v[GENES_LINEAR] * mine[1] @ theirs[1].T / 7
    out += v[GENES_SMOOTH] * squared_exponential(mine[1], theirs[1], 2 * 7**0.5)
    for part, width in (("stem", 2), ("stage1", 5)):
        own, others = (each.parts[part].columns for each in (one.genes, other.genes))
        out += v[PART_PREFIX + part] * squared_exponential(own, others, width**0.5)
    return out


def random_inputs(keys: str, seed: int) -> ScaledInputs:
    columns = np.random.default_rng(seed).normal(size=(len(keys), 16))
    macs, proxy, sizes, features, stem, stage = np.split(columns, [1, 2, 5, 9, 11], axis=1)
    genes = ScaledGenes(Points(sizes), {"stem": Points(stem), "stage1": Points(stage)})
    return ScaledInputs(tuple(keys), macs[:, 0], features, {"proxy": proxy[:, 0]}, genes)


@pytest.mark.parametrize("others", ["da", "de"])
def test_covariances_are_those_of_the_plain_formulas(others: str) -> None:
    one, other = random_inputs("abc", 2), random_inputs(others, 3)
    names = (CONSTANT, SLOPE, CURVE, FEATURES, STRUCTURE, SIZES_LINEAR, SIZES_SMOOTH, GENES_LINEAR)
    drawn = np.random.default_rng(1).uniform(0.1, 1, 12).tolist()
    parts = (GENES_SMOOTH, f"{PART_PREFIX}stem", f"{PART_PREFIX}stage1", "proxy")
    variances = dict(zip((*names, *parts), drawn, strict=True))
    expected = plain_covariance(one, other, variances)
    assert covariances(one, other, [variances])[0] == pytest.approx(expected, rel=1e-9)
    components = kernel_components(one, other)
    assert sum(variances[name] * components[name] for name in components) == pytest.approx(expected, rel=1e-9)
    squares = kernel_components(one, one)
    for name, diagonal in kernel_diagonals(one).items():
        assert diagonal == pytest.approx(np.diag(squares[name]), rel=1e-9)


def test_covariances_within_a_group_are_right_up_to_the_diagonal() -> None:
    inputs = random_inputs("".join(map(chr, range(65, 205))), 4)  # several blocks of rows
    variances = dict.fromkeys((CURVE, FEATURES, STRUCTURE, GENES_SMOOTH), 0.5)
    whole, lower = covariances(inputs, inputs, [variances])[0], lower_covariance(inputs, variances)
    assert np.tril(lower) == pytest.approx(np.tril(whole), rel=1e-9)


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
