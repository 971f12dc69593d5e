import random
from collections import Counter
from dataclasses import replace
from itertools import product

import pytest

from bneck.evaluate import parse_goals
from bneck.evaluate.surrogate.encoder import Encoder
from bneck.search.samplers.feasibility import require_feasible, sample_unseen_feasible, sampler_within
from bneck.search.samplers.initial_design import stratified
from bneck.search_space import (
    ArchitectureError,
    Genes,
    NoFeasibleNetworkError,
    Parent,
    PretrainedSpace,
    SpaceError,
    architecture_yaml,
    cost,
    published_architecture,
)
from bneck.search_space.architecture import TUNED, FineTuning, Head
from bneck.search_space.pretrained_space import (
    candidate_text,
    drop_residual_blocks,
    drop_stages,
    pretrained_space,
    stage_starts,
)
from bneck.search_space.serialization.architecture import read_architecture
from bneck.search_space.serialization.pretrained_space import candidate_space_to_dict, read_candidate_space
from bneck.search_space.serialization.yaml_nodes import dump, parse

from .helpers import TOY

MEAN, STD = (127.0,) * 3, (128.0,) * 3
SMALL = Parent("small", replace(TOY, resolution_px=64), MEAN, STD, 0.675)
LARGE = Parent("large", replace(published_architecture("mobilenet_v3_small"), resolution_px=90), MEAN, STD)
SPACE = pretrained_space((SMALL, LARGE)).for_data(3, 5)
# 32, 48, 64 px of SMALL; 32, 48, 64, 80, 90 px of LARGE; each with three parts tuned
SIZE = (3 + 5) * 3
# TOY has one residual block, MobileNetV3-Small six
CUT_SPACE = replace(SPACE, dropped_blocks=(0, 1, 4))
TRUNCATED_SPACE = replace(CUT_SPACE, dropped_stages=(0, 1, 3))


def genes(parent: str, side: int, tuned: str, **dropped: int) -> Genes:
    return {"parent": parent, "resolution_px": side, "tuned": tuned, **dropped}


def test_the_candidates_are_all_parents_at_all_resolutions_up_to_their_own_with_each_part_tuned() -> None:
    assert SPACE.size == len(SPACE.candidates) == SIZE
    tunings = {each: each.fine_tuning for each in SPACE.candidates}
    sides = Counter((tuning.parent, each.resolution_px) for each, tuning in tunings.items() if tuning)
    known = [("small", side) for side in (32, 48, 64)] + [("large", side) for side in (32, 48, 64, 80, 90)]
    assert sides == dict.fromkeys(known, 3)
    assert {each.classes for each in SPACE.candidates} == {5}
    assert len({each.key for each in SPACE.candidates}) == SIZE
    assert all(SPACE.decode(SPACE.encode(each)) == each for each in SPACE.candidates)


def test_resolutions_are_16_px_apart_below_128_px_and_32_px_above_up_to_the_parents_own() -> None:
    lite2 = Parent("lite2", replace(TOY, resolution_px=260), MEAN, STD)
    below, above = (32, 48, 64, 80, 96, 112, 128), (160, 192, 224, 256, 260)
    assert pretrained_space([lite2]).resolution_px == (*below, *above)
    assert pretrained_space([lite2], max_resolution_px=100).resolution_px == (*below[:5], 100)
    with pytest.raises(ArchitectureError, match="at least 32"):
        pretrained_space([Parent("tiny", TOY, MEAN, STD)])
    with pytest.raises(ArchitectureError, match="at least one"):
        pretrained_space([])


def test_a_resolution_above_that_of_a_parent_is_its_own() -> None:
    at_most = SPACE.decode(genes("small", 64, "head"))
    assert SPACE.decode(genes("small", 90, "head")) == at_most
    assert SPACE.encode(at_most) == genes("small", 64, "head")
    assert SPACE.decode(genes("large", 90, "head")).resolution_px == 90
    encoder = Encoder(SPACE)
    one, other = (encoder.encode(genes("small", side, "head")) for side in (64, 80))
    assert one.identity == other.identity
    assert one.genes == other.genes
    assert one.features.tolist() == other.features.tolist()


def test_what_is_tuned_makes_another_candidate_of_the_same_network() -> None:
    candidates = [SPACE.decode(genes("small", 48, tuned)) for tuned in TUNED]
    assert len({each.key for each in candidates}) == len(TUNED)
    alone = {each.without_fine_tuning for each in candidates}
    assert alone == {replace(TOY, resolution_px=48, classes=5)}
    assert len({cost(each) for each in candidates}) == 1
    assert candidate_text(candidates[1]) == "small at 48 px, last stage tuned"
    assert candidate_text(TOY) == ""


def test_a_space_of_one_parent_has_no_gene_for_it() -> None:
    alone = pretrained_space((SMALL,))
    assert [gene.name for gene in alone.genes] == ["resolution_px", "tuned"]
    assert alone.size == 9
    assert alone.decode({"resolution_px": 32, "tuned": "all"}).fine_tuning == FineTuning("small", "all")
    with pytest.raises(SpaceError, match="does not contain"):
        alone.encode(SPACE.decode(genes("large", 32, "all")))
    assert not alone.contains(TOY)


def test_files_hold_all_of_a_candidate_and_of_the_space() -> None:
    for each in TRUNCATED_SPACE.candidates:
        assert read_architecture(parse(architecture_yaml(each), "network")) == each
    for space in (SPACE, TRUNCATED_SPACE):
        assert read_candidate_space(parse(dump(candidate_space_to_dict(space)), "space")) == space
    earlier = candidate_space_to_dict(SPACE)
    del earlier["dropped_blocks"], earlier["dropped_stages"]
    assert read_candidate_space(parse(dump(earlier), "space")) == SPACE


def test_residual_blocks_are_dropped_from_the_end_of_the_longest_run_nearest_to_the_head() -> None:
    """EfficientNet-Lite0 has 1, 2, 2, 3, 3, 4 and 1 blocks a stage, all but the first of each residual."""
    lite0 = published_architecture("efficientnet_lite0")
    whole, one, four, all_of_them = (drop_residual_blocks(lite0, count) for count in (0, 1, 4, 99))
    assert whole == lite0
    assert one.blocks == (*lite0.blocks[:14], lite0.blocks[15])
    # 1x1 from 192 to 1152 channels and back, and 5x5 depthwise, on 7x7 pixels
    assert cost(lite0).macs - cost(one).macs == 49 * (2 * 192 * 1152 + 25 * 1152)
    channels = [block.out for block in four.blocks]
    assert channels == [16, 24, 24, 40, 40, 80, 80, 112, 112, 192, 192, 320]
    assert [block.out for block in all_of_them.blocks] == [16, 24, 40, 80, 112, 192, 320]


def test_dropped_blocks_add_candidates_that_are_tuned_as_a_whole() -> None:
    assert set(SPACE.candidates) < set(CUT_SPACE.candidates)
    # a second and a third depth of LARGE, and a second one of SMALL, which has one residual block
    assert CUT_SPACE.size == SIZE + 5 * 2 + 3
    cut = CUT_SPACE.decode(genes("large", 48, "all", dropped_blocks=4))
    assert cut.fine_tuning == FineTuning("large", "all", 4)
    assert cut.fine_tuning.is_cut
    assert len(cut.blocks) == len(LARGE.architecture.blocks) - 4
    assert candidate_text(cut) == "large at 48 px, 4 blocks dropped, all tuned"
    assert CUT_SPACE.decode(genes("small", 48, "all", dropped_blocks=4)).fine_tuning == FineTuning(
        "small", "all", 1
    )
    assert CUT_SPACE.decode(genes("large", 48, "head", dropped_blocks=4)) == SPACE.decode(
        genes("large", 48, "head")
    )
    assert CUT_SPACE.with_all_tuned(cut) == cut
    encoder = Encoder(CUT_SPACE)
    columns = [encoder.names.index(f"gene:dropped_blocks>={count}") for count in (1, 4)]
    for tuned, dropped, expected in (
        ("all", 0, [0, 0]),
        ("all", 1, [1, 0]),
        ("all", 4, [1, 1]),
        ("head", 4, [0, 0]),
    ):
        candidate = encoder.encode(genes("large", 48, tuned, dropped_blocks=dropped))
        assert candidate.features[columns].tolist() == expected


def test_without_its_last_stages_a_network_ends_with_the_expansion_of_the_first_of_them() -> None:
    """EfficientNet-Lite0 ends with four blocks of 192 channels, expanded to 1152, and one of 320."""
    lite0 = replace(published_architecture("efficientnet_lite0"), resolution_px=64)
    one, two = drop_stages(lite0, 1), drop_stages(lite0, 2)
    assert drop_stages(lite0, 0) == lite0
    assert (one.blocks, one.head) == (lite0.blocks[:15], Head(1152, activation="relu6"))
    assert (two.blocks, two.head) == (lite0.blocks[:11], Head(672, activation="relu6"))
    # 2x2 pixels: block 16 (a 3x3 depthwise convolution), then 320 to 1280 channels in place of 192 to 1152
    gone = 4 * (192 * 1152 + 9 * 1152 + 1152 * 320 + 320 * 1280) + 1280 * 1000
    assert cost(lite0).macs - cost(one).macs == gone - (4 * 192 * 1152 + 1152 * 1000)
    assert drop_stages(lite0, 99).blocks == lite0.blocks[:1]


def test_dropped_stages_add_candidates_that_are_tuned_as_a_whole() -> None:
    assert set(CUT_SPACE.candidates) < set(TRUNCATED_SPACE.candidates)
    small, large = (len(stage_starts(each.architecture)) for each in (SMALL, LARGE))
    # MobileNetV3-Small: 16, 24, 24, 40, 40, 40, 48, 48, 96, 96, 96 channels, strides of 2 at 1, 2, 4 and 9
    assert large == 4
    cut = TRUNCATED_SPACE.decode(genes("large", 48, "all", dropped_blocks=4, dropped_stages=3))
    assert cut.fine_tuning == FineTuning("large", "all", 1, 3)  # of 16, 24 and 24 channels one is residual
    assert [block.out for block in cut.blocks] == [16, 24]
    assert cut.head == Head(96, activation="hardswish")
    assert cut.fine_tuning.is_cut
    assert candidate_text(cut) == "large at 48 px, 3 stages and 1 block dropped, all tuned"
    assert candidate_text(
        TRUNCATED_SPACE.decode(genes("large", 48, "all", dropped_blocks=0, dropped_stages=1))
    ) == ("large at 48 px, 1 stage dropped, all tuned")
    tiny = TRUNCATED_SPACE.decode(genes("small", 48, "all", dropped_blocks=0, dropped_stages=3))
    assert tiny.fine_tuning == FineTuning("small", "all", 0, min(3, small))
    assert TRUNCATED_SPACE.decode(
        genes("large", 48, "head", dropped_blocks=4, dropped_stages=3)
    ) == SPACE.decode(genes("large", 48, "head"))


def test_keys_of_candidates_are_those_of_earlier_versions() -> None:
    assert SPACE.decode(genes("small", 32, "all")).key == "d2d41c0c21d1"
    assert SPACE.decode(genes("small", 32, "head")).key == "f566af2840e9"


def test_a_limit_leaves_the_candidates_below_it_and_each_of_them_is_drawn() -> None:
    limit = sorted(cost(each).macs for each in SPACE.candidates)[12]
    goals = parse_goals("accuracy,macs", {"macs": str(limit)})
    below = {each for each in SPACE.candidates if cost(each).macs <= limit}
    rng = random.Random(0)
    draws = Counter(sampler_within(SPACE, goals).sample_architecture(rng) for _ in range(100 * len(below)))
    assert set(draws) == below
    assert max(draws.values()) < 150  # 100 expected, standard deviation 10
    seen = [each.key for each in below]
    left = sample_unseen_feasible(SPACE, goals, seen[1:], rng)
    assert left is not None
    assert SPACE.decode(left).key == seen[0]
    assert sample_unseen_feasible(SPACE, goals, seen, rng) is None
    design = stratified(SPACE, goals, 6, rng)
    assert len(set(design)) == 6
    assert set(design) <= below


def test_a_limit_that_no_candidate_satisfies_is_refused_with_the_nearest() -> None:
    least = min(SPACE.candidates, key=lambda each: cost(each).macs)
    with pytest.raises(NoFeasibleNetworkError, match=f"--max-macs to {cost(least).macs}"):
        require_feasible(SPACE, parse_goals("accuracy,macs", {"macs": "1K"}), random.Random(0))


def test_the_surrogate_knows_cost_resolution_and_published_accuracy() -> None:
    encoder = Encoder(SPACE)
    columns = {name: place for place, name in enumerate(encoder.names)}
    for parent, side, tuned in product(("small", "large"), (32, 64), TUNED):
        candidate = encoder.encode(genes(parent, side, tuned))
        assert candidate.cost == cost(candidate.architecture)
        # the only published accuracy is also the mean of those known
        assert candidate.features[columns["imagenet_top1"]] == 0.675
        assert candidate.features[columns["gene:parent=large"]] == (parent == "large")
        assert candidate.features[columns["gene:tuned=head"]] == (tuned == "head")


def test_a_parent_needs_a_normalisation_of_its_channels() -> None:
    with pytest.raises(ArchitectureError, match="pixel_mean"):
        PretrainedSpace((replace(SMALL, pixel_mean=(1.0,)),), (32,))
    mixed = replace(SMALL, pixel_mean=(100.0, 110.0, 120.0), pixel_std=(50.0, 60.0, 70.0))
    assert mixed.normalization(1) == ((110.0,), (60.0,))
    assert mixed.normalization(3) == (mixed.pixel_mean, mixed.pixel_std)
