"""Which genes matter: functions whose shares are known, and Optuna asked directly."""

import random
from collections.abc import Callable, Mapping
from itertools import product
from statistics import pvariance

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances

from bneck.results.analysis.gene_model import GeneModel
from bneck.results.analysis.importance import (
    N_TREES,
    fanova,
    gene_importances,
    resample_genes,
    sample_feasible_networks,
    total_effects,
)
from bneck.search_space import Genes, cost

from ..example_choices import SPACE, made_up, se_in_stage2, slow_5x5_in_stage3

DEPTH, KERNEL, SE, FLAT = "stage3.depth", "stage2.kernel", "stage1.attention", "head.hidden"


@pytest.fixture(scope="module")
def model() -> GeneModel:
    return made_up(se_in_stage2, slow_5x5_in_stage3)


def shares(
    function: Callable[[Genes], float], groups: Mapping[str, tuple[str, ...]], networks: int = 3000
) -> dict[str, float]:
    """The total effects in the whole space, all genes independent."""
    rng = random.Random(2)

    def redraw(own: Genes, names: tuple[str, ...]) -> Genes:
        return {**own, **{name: rng.choice(SPACE.all_choices[name]) for name in names}}

    drawn = [SPACE.sample(rng) for _ in range(networks)]
    found = total_effects(
        drawn,
        groups,
        redraw,
        lambda many: {"accuracy": np.array([function(own) for own in many])},
    )
    return found["accuracy"]


def test_the_shares_of_an_additive_function_are_its_sobol_indices() -> None:
    def function(own: Genes) -> float:
        return 3 * float(own[DEPTH]) + 1 * float(own[KERNEL]) + 4 * (own[SE] == "se")

    # 9 x 2/3 = 6 for depths 1, 2, 3; 1 for kernels 3, 5; 16 x 1/3 x 2/3 = 3.556 for SE of three
    variances = {DEPTH: 6.0, KERNEL: 1.0, SE: 16 * 2 / 9}
    groups = {name: (name,) for name in (*variances, FLAT)} | {"two": (DEPTH, KERNEL)}
    found = shares(function, groups)
    total = sum(variances.values())
    for name, variance in variances.items():
        assert found[name] == pytest.approx(variance / total, abs=0.03)
    assert found["two"] == pytest.approx(7 / total, abs=0.03)
    assert found[FLAT] == 0


def test_what_two_genes_do_together_counts_for_both() -> None:
    def function(own: Genes) -> float:
        return (float(own[KERNEL]) - 4) * (1 if own[FLAT] else -1)

    found = shares(function, {KERNEL: (KERNEL,), FLAT: (FLAT,), SE: (SE,)}, 3000)
    assert found[KERNEL] == pytest.approx(1, abs=0.05)
    assert found[FLAT] == pytest.approx(1, abs=0.05)
    assert found[SE] == 0


def test_nothing_matters_where_nothing_varies() -> None:
    assert shares(lambda own: 7.0, {DEPTH: (DEPTH,)}, 10) == {DEPTH: 0.0}


def test_random_networks_keep_the_limits(model: GeneModel) -> None:
    limited = made_up(se_in_stage2, slow_5x5_in_stage3, networks=20, limits={"macs": "1M"})
    rng = random.Random(0)
    small = next(own for own in limited.genes if cost(SPACE.decode(own)).macs < 500_000)
    # those judged above the limit cannot be, in a search
    within = [own for own in limited.genes if limited.is_feasible(own)]
    limited = GeneModel(SPACE, limited.goals, limited.records[: len(within)], tuple(within))
    for own in sample_feasible_networks(limited, 10, rng):
        assert cost(SPACE.decode(own)).macs <= 1_000_000
    redraws = [resample_genes(limited, small, ("stage3.depth", "stage3.out"), rng) for _ in range(30)]
    assert all(limited.is_feasible(own) for own in redraws)
    assert {(own["stage3.depth"], own["stage3.out"]) for own in redraws} > {(1, 32)}


def test_fanova_is_that_of_optuna() -> None:
    space, rng = SPACE, random.Random(4)
    many = [space.sample(rng) for _ in range(40)]
    values = np.array([float(own[DEPTH]) + rng.gauss(0, 0.1) for own in many])
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    for own, value in zip(many, values, strict=True):
        given = {gene.name: CategoricalDistribution(gene.choices) for gene in space.genes}
        trial = optuna.trial.create_trial(params=own, distributions=given, value=float(value))  # type: ignore[arg-type]
        study.add_trial(trial)
    evaluator = FanovaImportanceEvaluator(n_trees=N_TREES, seed=3)
    direct = get_param_importances(study, evaluator=evaluator)
    found = fanova(space, many, values, seed=3)
    total = sum(found.values())
    assert {name: share / total for name, share in found.items()} == pytest.approx(direct)
    assert 0.5 < total <= 1
    assert max(found, key=lambda name: found[name]) == DEPTH
    assert fanova(space, many, np.zeros(40)) == {}


@pytest.mark.slow
def test_the_genes_of_a_made_up_truth_come_first_by_both_ways(model: GeneModel) -> None:
    found = gene_importances(model)
    assert found == gene_importances(model)
    names = [gene.name for gene in SPACE.genes]
    assert [each.name for each in found.genes] == names
    by_model = sorted(found.genes, key=lambda each: -each.total_effect["accuracy"])
    by_fanova = sorted(found.genes, key=lambda each: -each.fanova["accuracy"])
    wanted = {"stage2.attention", "stage3.depth"}
    assert {each.name for each in by_model[:2]} == {each.name for each in by_fanova[:2]} == wanted
    by_latency = sorted(found.genes, key=lambda each: -each.total_effect["latency"])
    assert {each.name for each in by_latency[:2]} == {"stage3.kernel", "stage3.depth"}
    # variances 4 x 2/9 and 1 x 2/3 (in points): what the truth itself has
    points = [
        2.0 * (attention == "se") + depth
        for attention, depth in product(SPACE.all_choices["stage2.attention"], (1, 2, 3))
    ]
    share = 4 * 2 / 9 / pvariance(points)
    [attention] = [each for each in found.genes if each.name == "stage2.attention"]
    assert attention.total_effect["accuracy"] == pytest.approx(share, abs=0.2)
