import random
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from bneck.evaluate import Constraint
from bneck.search_space import Architecture, Genes, cost, load_space

from .landscapes import LANDSCAPES, Evaluation, Evaluator, Landscape, Sources, Trees, accel_space, features
from .measures import (
    duplicates,
    hypervolumes,
    infeasible_percent,
    mean_and_deviation,
    mean_curve,
    needed,
    proposal_ms,
    recommendation,
)
from .ofa import accuracy_percent as ofa_accuracy_percent
from .ofa import encode, ofa_space, operator_keys
from .paired import holm, paired_difference
from .peers import search_key
from .synthetic import SPACE, accuracy_percent, latency_ms, mean_traits, terms_percent, traits


def evaluation(
    accuracy: float,
    ms: float,
    feasible: bool = True,
    key: str = "",
    seconds: float = 0,
    observed: float | None = None,
    macs: int = 1,
) -> Evaluation:
    seen = accuracy if observed is None else observed
    return Evaluation(key or f"{accuracy} {ms}", accuracy, seen, ms, macs, 0.0 if feasible else 0.1, seconds)


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


def test_infeasible_evaluations_count_after_the_first_ten_and_duplicates_always() -> None:
    found = [
        *[evaluation(1, 1, False, f"first {number}") for number in range(10)],
        evaluation(1, 1, True, "a"),
        evaluation(1, 1, False, "b"),
        evaluation(1, 1, False, "b"),
        evaluation(1, 1, True, "a"),
    ]
    assert (infeasible_percent(found), duplicates(found)) == (50, 2)
    assert infeasible_percent(found[:10]) == 0


def test_the_recommended_front_is_chosen_by_what_was_seen_and_scored_by_what_is_true() -> None:
    found = [
        evaluation(60, 8, key="a", observed=64),
        evaluation(60, 8, key="a", observed=60),  # mean 62
        evaluation(61, 9, key="b", observed=61),  # dominated by what was seen, though not in truth
        evaluation(90, 1, False, key="c", observed=99),
        evaluation(52, 5, key="d", observed=51),
    ]
    # seen: 2 ms x 12 + 3 ms x 1; true: 2 ms x 10 + 3 ms x 2
    assert recommendation(found, (50, 10)) == pytest.approx((27, 26))
    assert recommendation(found[3:4], (50, 10)) == (0, 0)


def test_a_front_by_the_posterior_claims_less_of_what_was_luck() -> None:
    rng = random.Random(0)
    found = []
    for number in range(60):  # all networks are equally accurate, and each is a little slower than the last
        found += [
            evaluation(60, 1 + number / 100, key=str(number), observed=rng.gauss(60, 1), macs=number + 1)
        ]
        found += [found[-1]._replace(observed=rng.gauss(60, 1))] * (number < 10)
    raw, shrunk = (recommendation(found, (50, 2), by_posterior=each) for each in (False, True))
    assert raw.claimed - 10 > 1  # the front of 60 lucky ones
    assert abs(shrunk.claimed - 10) < 0.5 * (raw.claimed - 10)


def test_final_proposal_time_is_the_mean_of_the_last_20() -> None:
    found = (
        [evaluation(1, 1, seconds=0.001)] * 30
        + [evaluation(1, 1, seconds=0.002)] * 10
        + [evaluation(1, 1, seconds=0.006)] * 10
    )
    assert proposal_ms(found) == pytest.approx((1, 4))


def test_violation_is_relative_to_the_limit_on_macs_or_latency() -> None:
    space = accel_space()
    genes = space.sample(random.Random(0))
    macs = cost(space.decode(genes)).macs
    limits = {macs: 0.0, macs // 2: 1.0, 2 * macs: -0.5}
    cases = [(Constraint("macs", limit), violation) for limit, violation in limits.items()]
    for limit, violation in (*cases, (Constraint("latency", 4, "ms"), -0.5)):
        found = Evaluator(Landscape("", space, lambda genes: (1, 2), (0, 3), limit), 0.0, 0)(genes)
        assert found.violation == pytest.approx(violation, abs=1e-6)
        assert found.feasible is (violation <= 0)


def test_noise_is_fresh_for_every_evaluation_and_the_same_for_a_seed() -> None:
    space = accel_space()
    genes = space.sample(random.Random(0))
    landscape = Landscape("", space, lambda genes: (60, 2), (0, 3))

    def seen(noise: float, seed: int, count: int) -> list[float]:
        evaluate = Evaluator(landscape, noise, seed)
        return [evaluate(genes).observed for _ in range(count)]

    assert seen(0, 1, 2) == [60, 60]
    once = seen(0.5, 1, 200)
    assert len(set(once)) == 200 and seen(0.5, 1, 200) == once
    assert np.std(once) == pytest.approx(0.5, abs=0.1)
    assert not set(once) & set(seen(0.5, 2, 200))
    assert [60 + 2 * (each - 60) for each in once] == pytest.approx(seen(1.0, 1, 200))


def test_trees_predict_what_scikit_learn_predicts() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 4, (300, 5)).astype(np.float64)
    model = HistGradientBoostingRegressor(max_iter=20, max_leaf_nodes=8).fit(rows, rows @ rng.random(5))
    trees = Trees(model)
    assert [trees.predict(row) for row in rows[:50]] == pytest.approx(model.predict(rows[:50]))


OFA_GENES: Genes = {"resolution_px": 160}
for stage in range(2, 7):
    OFA_GENES[f"stage{stage}.depth"] = 2
    for block in range(1, 5):
        OFA_GENES |= {f"stage{stage}.block{block}.kernel": 3, f"stage{stage}.block{block}.expansion": 3}


def test_ofa_accuracy_reads_kernels_expansions_and_resolution_one_hot() -> None:
    genes = OFA_GENES | {"stage3.depth": 3, "stage3.block3.kernel": 7, "stage3.block3.expansion": 4}
    genes |= {"stage2.block3.kernel": 7}  # beyond the depth
    inputs = encode(genes)
    # 11 blocks, each with a kernel and an expansion, and the resolution
    assert inputs.shape == (128,) and inputs.sum() == 23
    place = 4 + 2  # third block of the second stage
    assert inputs[3 * place : 3 * place + 3].tolist() == [0, 0, 1]
    assert inputs[60 + 3 * place : 60 + 3 * place + 3].tolist() == [0, 1, 0]
    assert inputs[6:12].tolist() == [0] * 6  # third and fourth block of the first stage
    assert inputs[120:].tolist() == [0, 0, 0, 1, 0, 0, 0, 0]  # 112, 128, 144, 160
    # one unit a layer: ReLU(2 x input - 1), twice unchanged, then 0.7 + 0.1 x
    weights = {f"layer{layer}.{part}": np.zeros((1, 1) if part == "weight" else 1) for layer in range(1, 5)
               for part in ("weight", "bias")}  # fmt: skip
    weights["layer1.weight"] = np.zeros((1, 128))
    weights["layer1.weight"][0, 3 * place + 2] = 2
    weights["layer1.bias"][0] = -1
    weights["layer2.weight"][:] = weights["layer3.weight"][:] = 1
    weights["layer4.weight"][:], weights["layer4.bias"][:] = 0.1, 0.7
    assert ofa_accuracy_percent(genes, weights) == pytest.approx(80)
    assert ofa_accuracy_percent(OFA_GENES, weights) == pytest.approx(70)  # ReLU of -1 is 0


def test_ofa_latency_is_the_sum_over_the_operators_of_the_network() -> None:
    space = ofa_space()
    keys = list(operator_keys(space.decode(OFA_GENES)))
    assert len(keys) == 1 + 1 + 5 * 2 + 4
    assert keys[:4] == [
        "Conv-input:160x160x3-output:80x80x24",
        "expanded_conv-input:80x80x24-output:80x80x24-expand:24-kernel:3-stride:1-idskip:1-se:0-hs:0",
        "expanded_conv-input:80x80x24-output:40x40x32-expand:72-kernel:3-stride:2-idskip:0-se:0-hs:0",
        "expanded_conv-input:40x40x32-output:40x40x32-expand:96-kernel:3-stride:1-idskip:1-se:0-hs:0",
    ]
    assert keys[-6:] == [
        "expanded_conv-input:10x10x136-output:5x5x192-expand:408-kernel:3-stride:2-idskip:0-se:1-hs:1",
        "expanded_conv-input:5x5x192-output:5x5x192-expand:576-kernel:3-stride:1-idskip:1-se:1-hs:1",
        "Conv_1-input:5x5x192-output:5x5x1152",
        "AvgPool2D-input:5x5x1152-output:1x1x1152",
        "Conv_2-input:1x1x1152-output:1x1x1536",
        "Logits-input:1x1x1536-output:1000",
    ]
    # 81 choices of a stage of 2 blocks, 729 of 3, 6,561 of 4; 5 resolutions
    assert space.size == 5 * (9**2 + 9**3 + 9**4) ** 5


def test_holm_multiplies_the_smallest_p_by_the_number_of_tests_and_never_decreases() -> None:
    # 4 x .01, 3 x .02, then 2 x .03 = .06 is no less than .06, and 1 x .5
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_differences_are_paired_by_seed() -> None:
    found = paired_difference([3, 5, 7, 9, 11, 100], [1, 2, 3, 4, 5])
    assert found is not None
    # 2, 3, 4, 5, 6: mean 4, standard error sqrt(2.5 / 5), t(4, .975) = 2.776; all positive: p = 2 / 2**5
    assert (found.seeds, found.mean, found.p) == pytest.approx((5, 4, 0.0625))
    assert (found.low, found.high) == pytest.approx((4 - 2.776 * 0.7071, 4 + 2.776 * 0.7071), abs=1e-3)
    assert paired_difference([1], [2]) is None
    same = paired_difference([1, 2], [1, 2])
    assert same is not None and same.p == 1


def test_cached_results_of_landscapes_noise_levels_and_seeds_do_not_mix(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a")
    sources = Sources(table, tmp_path)
    keys = [
        search_key(sources, name, sampler, noise, seed, evaluations)
        for name in LANDSCAPES
        for sampler in ("own", "own-no-replicates", "tpe")
        for noise in (0, 0.3, 1.0)
        for seed in (5, 6)
        for evaluations in (100, 200)
    ]
    assert len(set(keys)) == len(keys)


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
