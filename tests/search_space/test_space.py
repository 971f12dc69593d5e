import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bneck.search_space import (
    PRESETS,
    Architecture,
    ArchitectureError,
    Block,
    Genes,
    SearchSpace,
    SpaceError,
    published_architecture,
)
from bneck.search_space.choices import BLOCK_GENES, HeadChoices, StageChoices, StemChoices

from .helpers import preset, random_networks, space_of

# name: stages, number of networks by hand
SMALL: dict[str, tuple[str, int]] = {
    # a kernel a block: 2 + 2 * 2 + 2 * 2 * 2
    "a choice a block": ("{out: 8, kernel: [3, 5], expansion: 2, depth: [1, 2, 3]}", 14),
    # one kernel for all blocks: 3 depths of 2
    "a shared choice": ("{out: 8, kernel: [3, 5], expansion: 2, depth: [1, 2, 3], shared: [kernel]}", 6),
    # no block or one of 4 in the first stage, and one of 2 in the second
    "an optional stage": (
        "{out: [8, 16], kernel: 3, expansion: [2, 3], depth: [0, 1]}\n{out: 8, kernel: [3, 5], expansion: 2}",
        10,
    ),
    # 2.1 * 8 = 16.8, which rounds to the 16 of 2.0; 1.2 * 8 = 9.6 rounds to 8 and then by the rule of
    # a tenth (8 < 0.9 * 9.6) up to 16: three ratios, one network
    "ratios that round to one width": ("{out: 8, kernel: 3, expansion: [1.2, 2, 2.1]}", 1),
    # 1.05 * 8 = 8.4 rounds to the 8 that ratio 1 keeps
    "a ratio that rounds to the input": ("{out: 16, kernel: 3, expansion: [1, 1.05]}", 1),
    # ratio 1 keeps the 12 of the second stage's input, 1.1 rounds 13.2 to 16
    "a ratio of 1 that does not round": (
        "{out: 12, kernel: 3, expansion: 2}\n{out: 8, kernel: 3, expansion: [1, 1.1]}",
        2,
    ),
    # of 8 channels 2.1 gives the 16 that 2 gives, of the 48 that follow 104 and not 96: 1 + 1 * 2
    "a stage that widens": ("{out: 48, kernel: 3, expansion: [2, 2.1], depth: [1, 2]}", 3),
    # no block or one of 2 in the first stage
    "an optional stage whose first choice is to be there": (
        "{out: 16, kernel: [3, 5], expansion: 2, depth: [1, 0]}\n{out: 8, kernel: 3, expansion: 2}",
        3,
    ),
    # without attention or with eca a squeeze is no choice: 1 + 1 + 2 (se with 64 / 4 = 16 or 8 / 4 = 2)
    "a squeeze that may be without effect": (
        "{out: 8, kernel: 3, expansion: 8, attention: [none, eca, se], squeeze: [expanded/4, input/4]}",
        4,
    ),
    # make_divisible(8 // 4) = 8 and 32 / 4 = 8: the two rules agree (expansion 0.25 of 32 channels)
    "two squeeze rules with one width": (
        "{out: 32, kernel: 3, expansion: 2}\n"
        "{out: 8, kernel: 3, expansion: 0.25, attention: se, squeeze: [expanded/4, input/4]}",
        1,
    ),
    # before the last block none, one of 2 (which may come from either stage), or two: 1 + 2 + 4
    "two optional stages alike": (
        "{out: 8, kernel: [3, 5], expansion: 2, depth: [0, 1]}\n"
        "{out: 8, kernel: [3, 5], expansion: 2, depth: [0, 1]}\n"
        "{out: 16, kernel: 3, expansion: 2}",
        7,
    ),
    # 1 + 1, 1 + 2 = 2 + 1 and 2 + 2 blocks
    "two stages alike": (
        "{out: 8, kernel: 3, expansion: 2, depth: [1, 2]}\n{out: 8, kernel: 3, expansion: 2, depth: [1, 2]}",
        3,
    ),
    # one kernel throughout, 1 to 4 blocks: 2 * 4; or 1 or 2 blocks of one and then 1 or 2 of the other: 2 * 4
    "two stages alike with a shared choice": (
        "{out: 8, kernel: [3, 5], expansion: 2, depth: [0, 1, 2], shared: all}\n"
        "{out: 8, kernel: [3, 5], expansion: 2, depth: [1, 2], shared: all}",
        16,
    ),
    # the second stage's stride tells it from the first: 2 * 2 depths
    "two stages told apart by the stride": (
        "{out: 8, kernel: 3, expansion: 2, depth: [1, 2]}\n"
        "{out: 8, kernel: 3, expansion: 2, depth: [1, 2], stride: 2}",
        4,
    ),
    # stride of the first block alone: 2 for every depth
    "a choice of stride": ("{out: 8, kernel: 3, expansion: 2, depth: [1, 3], stride: [1, 2]}", 4),
    # before the last block none, one with 3, 5 (which may come from either stage) or 7, or two with
    # 3 and 5, 3 and 7, 5 and 5, or 5 and 7
    "stages that overlap": (
        "{out: 8, kernel: [3, 5], expansion: 2, depth: [0, 1]}\n"
        "{out: 8, kernel: [5, 7], expansion: 2, depth: [0, 1]}\n"
        "{out: 16, kernel: 3, expansion: 2}",
        8,
    ),
}


def all_networks(space: SearchSpace) -> set[Architecture]:
    """By brute force."""
    names = [gene.name for gene in space.genes]
    return {
        space.decode(dict(zip(names, c, strict=True))) for c in product(*(g.choices for g in space.genes))
    }


def mutations(architecture: Architecture) -> Iterator[Architecture]:
    """Networks close to this one."""
    yield replace(architecture, resolution_px=architecture.resolution_px + 1)
    yield replace(architecture, classes=architecture.classes + 1)
    yield replace(architecture, image_channels=1)
    yield replace(architecture, stem=replace(architecture.stem, activation="silu"))
    yield replace(architecture, head=replace(architecture.head, hidden=8))
    blocks = architecture.blocks
    yield replace(architecture, blocks=(*blocks, blocks[-1]))
    yield replace(architecture, blocks=(blocks[0], *blocks))
    for at, block in enumerate(blocks):
        if len(blocks) > 1:
            yield replace(architecture, blocks=blocks[:at] + blocks[at + 1 :])
        changes: list[dict[str, Any]] = [
            *({"kernel": kernel} for kernel in (3, 5, 7)),
            *({"expanded": width} for width in (8, 16, 24, 32)),
            *({"out": width} for width in (8, 16)),
            *({"stride": stride} for stride in (1, 2)),
            {"activation": "silu"},
            {"attention": "none", "squeeze": 0},
            {"attention": "eca", "squeeze": 0},
            *({"attention": "se", "squeeze": width} for width in (2, 8, 16)),
        ]
        for change in changes:
            changed: Block = replace(block, **change)
            yield replace(architecture, blocks=(*blocks[:at], changed, *blocks[at + 1 :]))


def assert_agrees_with_brute_force(space: SearchSpace, members_at_most: int = 1000) -> Counter[bool]:
    networks = all_networks(space)
    assert space.size == len(networks)
    members = random.Random(0).sample(
        sorted(networks, key=lambda n: n.key), min(len(networks), members_at_most)
    )
    for network in members:
        assert space.contains(network)
        assert space.decode(space.encode(network)) == network
    near = {mutant for network in members[:20] for mutant in mutations(network)}
    for mutant in near:
        assert space.contains(mutant) == (mutant in networks)
    return Counter(mutant in networks for mutant in near)


@pytest.mark.parametrize("name", SMALL)
def test_size_is_the_number_of_networks_counted_by_hand_and_by_brute_force(name: str) -> None:
    stages, by_hand = SMALL[name]
    space = space_of(stages)
    assert len(all_networks(space)) == by_hand
    assert space.size == by_hand


def test_size_counts_resolutions_stems_and_heads() -> None:
    space = space_of(
        "{out: 8, kernel: 3, expansion: 2, depth: [1, 2]}",
        resolution="[32, 64, 96]",
        stem="{out: [8, 16], activation: [relu, silu], kernel: [3, 5], stride: [1, 2]}",
        head="{features: [64, 128], hidden: [0, 32], activation: [relu, relu6]}",
    )
    assert space.size == 3 * (2 * 2 * 2 * 2) * (2 * 2 * 2) * 2
    assert space.size == len(all_networks(space))


def test_a_stem_width_that_changes_what_a_ratio_gives_counts_as_it_should() -> None:
    # of 8 channels 2.1 is the same as 2 (16), of 48 channels it is 104 and not 96
    space = space_of("{out: 8, kernel: 3, expansion: [2, 2.1]}", stem="{out: [8, 48]}")
    assert space.size == 3
    assert space.size == len(all_networks(space))


@pytest.mark.parametrize("name", SMALL)
def test_a_space_contains_exactly_the_networks_of_brute_force(name: str) -> None:
    near = assert_agrees_with_brute_force(space_of(SMALL[name][0]))
    assert near[True]
    assert near[False]


def subset(values: tuple[Any, ...], most: int = 2) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True).map(tuple)


stages = st.builds(
    StageChoices,
    out=subset((8, 16)),
    kernel=subset((3, 5)),
    expansion=subset((1, 1.05, 2, 2.1, 3)),
    depth=subset((0, 1, 2)).filter(lambda depth: depth != (0,)),
    attention=subset(("none", "se", "eca")),
    squeeze=subset(("expanded/4", "input/4")),
    activation=subset(("relu", "silu")),
    stride=subset((1, 2)),
    shared=st.lists(st.sampled_from(BLOCK_GENES), unique=True).map(tuple),
)


@pytest.mark.slow
@settings(max_examples=40)
@given(stages=st.lists(stages, min_size=1, max_size=3), stem=subset((8, 12, 16)))
def test_any_small_space_agrees_with_brute_force(stages: list[StageChoices], stem: tuple[int, ...]) -> None:
    assume(not all(0 in stage.depth for stage in stages))
    space = SearchSpace("any", (32,), StemChoices(stem), tuple(stages), HeadChoices((64,)))
    combinations = 1
    for gene in space.genes:
        combinations *= len(gene.choices)
    assume(combinations <= 512)
    assert_agrees_with_brute_force(space, members_at_most=20)


def test_membership_stays_quick_where_many_stages_could_hold_a_block() -> None:
    # some two million ways to share out 20 blocks among 10 stages, each a dead end at the last block
    stage = "{out: 8, kernel: 3, expansion: 2, depth: [0, 1, 2, 3, 4]}\n"
    space = space_of(stage * 10 + "{out: 8, kernel: 3, expansion: 2}")
    network = space.decode({gene.name: 2 for gene in space.genes})
    other = (*network.blocks[:-1], replace(network.blocks[-1], kernel=5))
    start = time.process_time()
    assert space.contains(network)
    assert not space.contains(replace(network, blocks=other))
    assert time.process_time() - start < 2


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_random_networks_of_a_preset_are_encoded_and_decoded_without_loss(name: str) -> None:
    space = preset(name)
    for network in random_networks(name, 50):
        assert space.decode(space.encode(network)) == network


def test_genes_name_the_blocks_they_belong_to() -> None:
    space = space_of(
        "{out: [8, 16], kernel: [3, 5], expansion: [2, 3], depth: [1, 2],"
        " stride: [1, 2], shared: [expansion]}"
    )
    assert [gene.name for gene in space.genes] == [
        "stage1.out",
        "stage1.depth",
        "stage1.stride",
        "stage1.expansion",
        "stage1.block1.kernel",
        "stage1.block2.kernel",
    ]
    genes: Genes = {
        "stage1.out": 16,
        "stage1.depth": 2,
        "stage1.stride": 2,
        "stage1.expansion": 3,
        "stage1.block1.kernel": 5,
        "stage1.block2.kernel": 3,
    }
    # the stem has 8 channels: 3 * 8 = 24 and then 3 * 16 = 48, the stride in front
    assert space.decode(genes).blocks == (
        Block(5, 24, 16, "none", "relu", 2),
        Block(3, 48, 16, "none", "relu", 1),
    )


def test_squeeze_is_a_quarter_of_the_expanded_or_of_the_input_channels() -> None:
    space = space_of("{out: 8, kernel: 3, expansion: 9, attention: se, squeeze: [expanded/4, input/4]}")
    # 9 * 8 = 72: make_divisible(72 // 4 = 18) = 24, as 16 would be more than a tenth off; and 8 / 4 = 2
    assert space.decode({"stage1.block1.squeeze": "expanded/4"}).blocks[0].squeeze == 24
    assert space.decode({"stage1.block1.squeeze": "input/4"}).blocks[0].squeeze == 2


def test_genes_without_effect_change_neither_the_network_nor_its_encoding() -> None:
    space = space_of(
        "{out: [8, 16], kernel: [3, 5], expansion: [2, 3], depth: [0, 1, 2],"
        " attention: [none, se], squeeze: [expanded/4, input/4]}\n"
        "{out: 8, kernel: [3, 5], expansion: 2}"
    )
    first: Genes = {gene.name: gene.choices[0] for gene in space.genes}
    # depth 0 leaves the whole first stage without effect, depth 1 its second block
    for depth, inactive_genes in ((0, "stage1."), (1, "stage1.block2.")):
        genes = {**first, "stage1.depth": depth}
        other = {
            gene.name: gene.choices[-1]
            for gene in space.genes
            if gene.name.startswith(inactive_genes) and gene.name != "stage1.depth"
        }
        assert len(other) >= 4
        assert space.decode({**genes, **other}) == space.decode(genes)
        assert space.encode(space.decode({**genes, **other})) == genes
    assert space.encode(space.decode({**first, "stage1.depth": 1, "stage1.block1.squeeze": "input/4"})) == {
        **first,
        "stage1.depth": 1,
    }


def test_a_gene_has_an_effect_where_its_stage_and_its_block_are_there() -> None:
    space = space_of(
        "{out: [8, 16], kernel: [3, 5], expansion: [2, 3], depth: [0, 1, 2], shared: [expansion]}\n"
        "{out: 8, kernel: [3, 5], expansion: 2}"
    )
    always = {"stage1.depth", "stage2.block1.kernel"}
    first = always | {"stage1.out", "stage1.expansion", "stage1.block1.kernel"}
    genes: Genes = {gene.name: gene.choices[0] for gene in space.genes}
    found = [
        {gene.name for gene in space.genes if space.is_active(gene.name, {**genes, "stage1.depth": depth})}
        for depth in (0, 1, 2)
    ]
    assert found == [always, first, first | {"stage1.block2.kernel"}]


@pytest.mark.parametrize("name", PRESETS)
def test_a_gene_without_its_block_never_changes_the_network(name: str) -> None:
    space, rng = preset(name), random.Random(2)
    idle = 0
    for _ in range(20):
        genes, others = space.sample(rng), space.sample(rng)
        changed = {key: others[key] for key in genes if not space.is_active(key, genes)}
        idle += len(changed)
        assert space.decode({**genes, **changed}) == space.decode(genes)
    assert idle > 0


@pytest.mark.parametrize("name", PRESETS)
def test_a_mutant_differs_in_one_gene_and_is_another_network(name: str) -> None:
    space, rng = preset(name), random.Random(3)
    for _ in range(50):
        genes = space.sample(rng)
        mutant = space.mutate(genes, rng)
        assert sum(mutant[name] != genes[name] for name in genes) == 1
        assert space.decode(mutant) != space.decode(genes)


def test_mutants_never_fall_to_genes_without_effect() -> None:
    # at depth 1 nine kernels in ten are without effect
    space = space_of("{out: 8, kernel: [3, 5], expansion: 2, depth: [1, 10]}")
    genes: Genes = {gene.name: gene.choices[0] for gene in space.genes}
    changed = Counter(
        name
        for seed in range(40)
        for name, value in space.mutate(genes, random.Random(seed)).items()
        if value != genes[name]
    )
    assert set(changed) == {"stage1.depth", "stage1.block1.kernel"}


def test_a_space_of_one_network_has_no_mutant() -> None:
    space = space_of("{out: 8, kernel: 3, expansion: [1.2, 2]}")
    with pytest.raises(SpaceError) as refusal:
        space.mutate({"stage1.block1.expansion": 2}, random.Random(0))
    assert str(refusal.value) == "space small: no change of one gene gives another network"


def test_a_child_takes_each_gene_from_one_parent_and_some_from_both() -> None:
    space, rng = preset("mobile"), random.Random(4)
    mother: Genes = {gene.name: gene.choices[0] for gene in space.genes}
    father: Genes = {gene.name: gene.choices[-1] for gene in space.genes}
    mutated_offspring = [space.crossover(mother, father, rng) for _ in range(20)]
    assert all(set(child) == set(mother) for child in mutated_offspring)
    taken = Counter(
        "mother" if value == mother[name] else "father" if value == father[name] else "neither"
        for child in mutated_offspring
        for name, value in child.items()
    )
    assert taken["neither"] == 0
    # 1,940 even draws have a standard deviation of 22
    assert abs(taken["mother"] - taken["father"]) < 250


def test_samples_depend_on_the_seed_alone() -> None:
    space = preset("mobile")
    assert space.sample(random.Random(5)) == space.sample(random.Random(5))
    assert space.sample(random.Random(5)) != space.sample(random.Random(6))


@pytest.mark.parametrize("change", ["padding", "gate"])
def test_networks_of_other_padding_and_gates_are_in_no_space(change: str) -> None:
    large = published_architecture("mobilenet_v3_large")
    others = {
        "padding": replace(large, padding="same"),
        "gate": replace(
            large, blocks=tuple(replace(b, gate="sigmoid") if b.squeeze else b for b in large.blocks)
        ),
    }
    assert preset("mobile").contains(large)
    assert not preset("mobile").contains(others[change])


@pytest.mark.parametrize("name", PRESETS)
def test_samples_draw_every_choice_evenly(name: str) -> None:
    space, rng, draws = preset(name), random.Random(7), 1000
    samples = [space.sample(rng) for _ in range(draws)]
    for gene in space.genes:
        counts = Counter(sample[gene.name] for sample in samples)
        assert set(counts) == set(gene.choices)
        expected = draws / len(gene.choices)
        # a count's standard deviation is below sqrt(expected); five of them for 400 counts or so
        assert all(abs(count - expected) < 5 * expected**0.5 for count in counts.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage1.depht": 1}, "space small: unknown gene stage1.depht"),
        ({"stage1.depth": None}, "space small: gene stage1.depth is missing; its choices are 1, 2"),
        ({"stage1.depth": 3}, "space small: stage1.depth must be 1, 2, got 3"),
        ({"stage1.block2.kernel": 7}, "space small: stage1.block2.kernel must be 3, 5, got 7"),
        # a choice with one value is no gene
        ({"stage1.out": 8}, "space small: unknown gene stage1.out"),
    ],
)
def test_genes_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    space = space_of("{out: 8, kernel: [3, 5], expansion: 2, depth: [1, 2]}")
    genes = {"stage1.depth": 1, "stage1.block1.kernel": 3, "stage1.block2.kernel": 5, **changes}
    with pytest.raises(SpaceError) as refusal:
        space.decode({name: value for name, value in genes.items() if value is not None})
    assert str(refusal.value) == message


@pytest.mark.parametrize("value", [2.0, True])
def test_a_gene_that_equals_a_choice_but_is_no_whole_number_is_refused(value: float) -> None:
    space = space_of("{out: 8, kernel: 3, expansion: 2, depth: [1, 2]}")
    with pytest.raises(SpaceError, match=r"stage1\.depth must be 1, 2"):
        space.decode({"stage1.depth": value})


def test_a_network_outside_the_space_is_not_encoded() -> None:
    large = published_architecture("mobilenet_v3_large")
    with pytest.raises(SpaceError, match=f"space tiny does not contain network {large.key}"):
        preset("tiny").encode(large)


GOOD_STAGE: dict[str, Any] = {"out": (8,), "kernel": (3,), "expansion": (2,)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernel": (3, 4)}, "kernel must be 3, 5 or 7, got 4"),
        ({"out": (0,)}, "out must be a whole number of at least 1, got 0"),
        ({"depth": (-1, 1)}, "depth must be a whole number of at least 0, got -1"),
        ({"depth": (0,)}, "depth must allow at least one block, got 0 alone"),
        ({"expansion": (0,)}, "expansion must be above 0, got 0"),
        ({"expansion": (float("nan"),)}, "expansion must be above 0, got nan"),
        ({"expansion": (True,)}, "expansion must be above 0, got True"),
        ({"attention": ("cbam",)}, "attention must be none, se or eca, got cbam"),
        ({"squeeze": ("half",)}, "squeeze must be expanded/4 or input/4, got half"),
        ({"activation": ("gelu",)}, "activation must be relu, relu6, hardswish or silu, got gelu"),
        ({"stride": (3,)}, "stride must be 1 or 2, got 3"),
        ({"shared": ("out",)}, "shared must be kernel, expansion, attention, squeeze or activation, got out"),
        ({"kernel": (3, 3)}, "kernel holds a choice twice: 3, 3"),
        ({"kernel": ()}, "kernel must hold at least one choice"),
    ],
)
def test_impossible_choices_of_a_stage_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchitectureError) as refusal:
        StageChoices(**{**GOOD_STAGE, **changes})
    assert str(refusal.value) == message


def test_an_endless_expansion_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="expansion must be"):
        StageChoices(**{**GOOD_STAGE, "expansion": (float("inf"),)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resolution_px": (7,)}, "resolution_px must be a whole number of at least 8, got 7"),
        ({"resolution_px": (32, 32)}, "resolution_px holds a choice twice: 32, 32"),
        ({"image_channels": 0}, "image_channels must be a whole number of at least 1, got 0"),
        ({"classes": 1}, "classes must be a whole number of at least 2, got 1"),
        ({"stages": ()}, "stages must hold one stage without depth 0, or no block may be left"),
        (
            {"stages": (StageChoices(**GOOD_STAGE, depth=(0, 1)),)},
            "stages must hold one stage without depth 0, or no block may be left",
        ),
    ],
)
def test_impossible_spaces_are_refused(changes: dict[str, Any], message: str) -> None:
    space = space_of("{out: 8, kernel: 3, expansion: 2}")
    with pytest.raises(ArchitectureError) as refusal:
        replace(space, **changes)
    assert str(refusal.value) == message


@pytest.mark.parametrize("choices", [{"out": (8, 0)}, {"out": (8,), "kernel": (2,)}, {"out": ()}])
def test_impossible_stems_are_refused(choices: dict[str, Any]) -> None:
    with pytest.raises(ArchitectureError):
        StemChoices(**choices)


@pytest.mark.parametrize(
    "choices", [{"features": (0,)}, {"features": (8,), "hidden": (-1,)}, {"features": (8, 8)}]
)
def test_impossible_heads_are_refused(choices: dict[str, Any]) -> None:
    with pytest.raises(ArchitectureError):
        HeadChoices(**choices)


def test_a_space_takes_the_channels_and_classes_of_the_data() -> None:
    network = random_networks("mobile-small", 1)[0]
    space = preset("mobile-small").for_data(image_channels=1, classes=7)
    assert space.contains(replace(network, image_channels=1, classes=7))
    assert not space.contains(network)


@pytest.mark.parametrize(
    ("space", "network"),
    [
        ("mobile", "mobilenet_v2"),
        ("mobile", "mnasnet_a1"),
        ("mobile", "mnasnet_b1"),
        ("mobile", "mobilenet_v3_large"),
        ("mobile-small", "mobilenet_v3_small"),
    ],
)
def test_the_published_networks_are_points_of_the_presets(space: str, network: str) -> None:
    assert preset(space).contains(published_architecture(network))
    assert preset(space).decode(
        preset(space).encode(published_architecture(network))
    ) == published_architecture(network)


@pytest.mark.parametrize(
    ("space", "network"),
    [
        # its features are 6 * 120 = 720, and the spaces have 960 and 1280, and 432, 576 and 768
        ("mobile", "mobilenet_v3_large@0.75"),
        ("mobile-small", "mobilenet_v3_large@0.75"),
        # its stem is 40 wide (1.25 * 32), and the space has 16, 24 and 32
        ("mobile", "mobilenet_v2@1.25"),
        # its stem is 32 wide, and the space has 8, 16 and 24
        ("mobile-small", "mobilenet_v2"),
    ],
)
def test_other_networks_are_no_points_of_the_presets(space: str, network: str) -> None:
    assert not preset(space).contains(published_architecture(network))


def test_one_width_off_is_no_point_of_the_space() -> None:
    large = published_architecture("mobilenet_v3_large")
    # block 8 expands 80 channels; the ratios 2, 2.3, 2.5, 3, 4 and 6 give 160, 184, 200, 240, 320 and 480
    for expanded, inside in ((184, True), (192, False), (200, True), (208, False), (240, True)):
        blocks = (*large.blocks[:7], replace(large.blocks[7], expanded=expanded), *large.blocks[8:])
        assert preset("mobile").contains(replace(large, blocks=blocks)) is inside


def test_the_size_of_the_tiny_space_is_that_worked_out_by_hand() -> None:
    around = 2 * (2 * 2 * 2) * (2 * 2)  # resolutions, stems, heads
    # stage 1, all blocks alike: no block, or 1 or 2 of 2 widths, 2 kernels, 2 expansions, 3 attentions
    # and 2 activations; stages 2 and 3: 1 to 3 blocks of 3, 2, 3, 3 and 2. Strides tell the stages apart,
    # and from 8, 16, 24 and 32 channels no two ratios round to the same width.
    first, second = 1 + 2 * (2 * 2 * 2 * 3 * 2), 3 * (3 * 2 * 3 * 3 * 2)
    assert preset("tiny").size == around * first * second * second
    assert preset("tiny").size > 300_000
