"""What choices do, against made-up truths and costs counted by hand."""

import math
import random
from dataclasses import replace
from statistics import fmean

import pytest

from bneck.results import Record
from bneck.results.analysis.ablation import (
    Effect,
    EffectEstimate,
    GeneChange,
    ablation_effects,
    alternative_fraction,
    baseline_first,
    best_networks,
    fill_inactive_genes,
    gene_changes,
    location_and_gene_type,
)
from bneck.results.analysis.gene_model import GeneModel
from bneck.search_space import Genes, cost, load_space
from bneck.search_space.choices import Choice, StageChoices

from ..example_choices import SPACE, made_up, se_in_stage2, slow_5x5_in_stage3


@pytest.fixture(scope="module")
def model() -> GeneModel:
    return made_up(se_in_stage2, slow_5x5_in_stage3)


@pytest.fixture(scope="module")
def effects(model: GeneModel) -> list[Effect]:
    return ablation_effects(model)


def of(effects: list[Effect], location: str, alternative: Choice, gene_type: str) -> Effect:
    [found] = [
        each
        for each in effects
        if (each.gene_change.location, each.gene_change.gene_type, each.gene_change.alternative)
        == (location, gene_type, alternative)
    ]
    return found


def idle(effects: list[Effect]) -> list[EffectEstimate]:
    """What the choices bring that do nothing for accuracy."""
    busy = [("stage2", "attention"), ("all stages", "attention"), ("stage3", "depth")]
    return [
        each.changes["accuracy"]
        for each in effects
        if (each.gene_change.location, each.gene_change.gene_type) not in busy
    ]


# ------------------------------------------------------------------------------- which switches


def test_the_usual_choice_is_none_or_the_first_word_or_the_smallest_number() -> None:
    assert baseline_first(("se", "none", "eca")) == ["none", "se", "eca"]
    assert baseline_first(("hardswish", "relu")) == ["hardswish", "relu"]
    assert baseline_first((24, 16, 32)) == [16, 24, 32]


def test_a_gene_names_its_place_and_its_kind() -> None:
    assert location_and_gene_type("stage3.block2.kernel") == ("stage3", "kernel")
    assert location_and_gene_type("stem.out") == ("stem", "out")
    assert location_and_gene_type("resolution_px") == ("images", "resolution")


def test_all_blocks_of_a_stage_switch_together_and_then_all_stages() -> None:
    stage = StageChoices(out=(16,), depth=(2,), kernel=(3, 5), expansion=(3,), activation=("relu",))
    fixed = replace(SPACE, resolution_px=(16,), stem=replace(SPACE.stem, out=(8,), activation=("relu",)))
    fixed = replace(fixed, stem=replace(fixed.stem, stride=(1,)), head=replace(SPACE.head, hidden=(0,)))
    space = replace(fixed, stages=(stage, stage), head=replace(fixed.head, features=(64,)))
    first = ("stage1.block1.kernel", "stage1.block2.kernel")
    second = ("stage2.block1.kernel", "stage2.block2.kernel")
    assert gene_changes(space) == [
        GeneChange("stage1", "kernel", 3, 5, 1, first),
        GeneChange("stage2", "kernel", 3, 5, 1, second),
        GeneChange("all stages", "kernel", 3, 5, 1, (*first, *second)),
    ]


def test_a_stage_that_grows_deeper_goes_on_as_it_ended() -> None:
    space = load_space("mobile-32")
    genes = space.sample(random.Random(0))
    name = next(gene.name for gene in space.genes if gene.name.endswith(".block2.kernel"))
    location = name.split(".")[0]
    genes |= {f"{location}.depth": 1, f"{location}.block1.kernel": 5, f"{location}.block2.kernel": 3}
    assert fill_inactive_genes(space, genes)[name] == 5
    assert space.decode(fill_inactive_genes(space, genes)) == space.decode(genes)
    there = genes | {f"{location}.depth": 2}
    assert fill_inactive_genes(space, there)[name] == 3


def test_of_a_switch_only_the_blocks_that_are_there_count() -> None:
    gene_change = GeneChange("stage1", "kernel", 3, 5, 1, ("stage1.kernel",))
    genes = {**SPACE.sample(random.Random(0)), "stage1.kernel": 5, "stage1.depth": 1}
    assert alternative_fraction(SPACE, gene_change, genes) == 1
    assert alternative_fraction(SPACE, gene_change, genes | {"stage1.depth": 0}) == 0
    together = replace(gene_change, genes=("stage1.kernel", "stage2.kernel"))
    assert alternative_fraction(SPACE, together, genes | {"stage2.kernel": 3}) == 0.5


# --------------------------------------------------------------------------- what they are told to do


def test_se_that_helps_in_one_stage_alone_is_found_there_and_nowhere_else(effects: list[Effect]) -> None:
    found = of(effects, "stage2", "se", "attention").changes["accuracy"]
    assert found.low <= 0.02 <= found.high
    assert found.high - found.low < 0.01
    assert not any(each.is_significant for each in idle(effects))
    assert not of(effects, "stage2", "eca", "attention").changes["accuracy"].is_significant
    together = of(effects, "all stages", "se", "attention").changes["accuracy"]
    assert together.low <= 0.02 <= together.high


@pytest.mark.slow
def test_up_to_one_in_ten_of_the_choices_that_do_nothing_are_told_by_chance() -> None:
    worlds = (ablation_effects(made_up(se_in_stage2, slow_5x5_in_stage3, seed=seed)) for seed in range(6))
    is_significant = [each.is_significant for effects in worlds for each in idle(effects)]
    assert len(is_significant) > 180
    assert 0 < sum(is_significant) / len(is_significant) <= 0.1


def test_the_depth_that_brings_a_point_a_block_is_told(effects: list[Effect]) -> None:
    for depth, truth in ((2, 0.01), (3, 0.02)):
        found = of(effects, "stage3", depth, "depth").changes["accuracy"]
        assert found.low <= truth <= found.high


def test_latency_without_a_model_is_learned_from_what_was_measured(effects: list[Effect]) -> None:
    slow = of(effects, "stage3", 5, "kernel").changes["latency"]
    assert slow.value == pytest.approx(math.exp(0.2) - 1, abs=0.01)
    for location in ("stage1", "stage2"):
        assert of(effects, location, 5, "kernel").changes["latency"].value == pytest.approx(0, abs=0.01)


def test_macs_are_exact(model: GeneModel, effects: list[Effect]) -> None:
    found = of(effects, "stage2", 5, "kernel")
    ratios = []
    for genes in best_networks(model):
        three, five = (SPACE.decode({**genes, "stage2.kernel": kernel}) for kernel in (3, 5))
        ratios.append(math.log(cost(five).macs / cost(three).macs))
    change = found.changes["macs"]
    assert (change.low, change.high) == (change.value, change.value)
    assert change.value == pytest.approx(math.exp(fmean(ratios)) - 1)
    assert found.networks == len(ratios)


def test_networks_without_the_place_are_left_out(model: GeneModel, effects: list[Effect]) -> None:
    there = [genes for genes in best_networks(model) if genes["stage1.depth"] != 0]
    assert of(effects, "stage1", 5, "kernel").networks == len(there) < len(best_networks(model))


def test_a_change_pays_if_it_brings_more_than_its_cost_brings_along_the_front() -> None:
    """The front rises 3.3 points for each e-fold of latency: 1 point for a block that takes e^0.3.

    SE in stage 2 brings 3 points for e^0.1, which would bring 0.3. ECA in stage 3 brings nothing for
    e^0.5, which would bring 1.7. A block of stage 3 is the front itself.
    """

    def accuracy(genes: Genes) -> float:
        return 0.8 + 0.03 * (genes["stage2.attention"] == "se") + 0.01 * float(genes["stage3.depth"])

    def latency(genes: Genes) -> float:
        eca, se = genes["stage3.attention"] == "eca", genes["stage2.attention"] == "se"
        return 0.3 * float(genes["stage3.depth"]) + 0.5 * eca + 0.1 * se

    found = ablation_effects(made_up(accuracy, latency))
    assert of(found, "stage2", "se", "attention").above_front is True
    assert of(found, "stage3", "eca", "attention").above_front is False
    assert of(found, "stage3", "eca", "attention").changes["accuracy"].low < 0.005
    assert of(found, "stage2", 5, "kernel").above_front is None


def test_a_sign_is_told_if_the_interval_does_not_hold_0() -> None:
    assert [EffectEstimate(*each).is_significant for each in ((2, 1, 3), (-2, -3, -1), (1, -1, 3))] == [
        True,
        True,
        False,
    ]
    assert [EffectEstimate(*each).min_magnitude for each in ((2, 1, 3), (-2, -3, -1), (1, -1, 3))] == [
        1,
        1,
        0,
    ]


def test_the_best_are_whole_ranks_by_accuracy_and_latency(model: GeneModel) -> None:
    best = best_networks(model)
    chosen = [record for record, genes in zip(model.records, model.genes, strict=True) if genes in best]
    assert 12 <= len(chosen) <= 32
    for left in model.records:
        if left not in chosen:
            assert any(each.top1 >= left.top1 and _took(each) <= _took(left) for each in chosen)


def _took(record: Record) -> float:
    assert record.latency
    return record.latency.latency_ms
