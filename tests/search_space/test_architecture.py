import hashlib
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest

from bneck.search_space import (
    Architecture,
    ArchitectureError,
    Block,
    Head,
    Stem,
    cost,
    published_architecture,
)
from bneck.search_space.architecture import FineTuning, make_divisible

BLOCK = Block(3, 64, 24, "none", "relu", 2)
STEM = Stem(16)
HEAD = Head(96, 128)
NETWORK = Architecture(32, STEM, (BLOCK,), HEAD, image_channels=3, classes=10)

CHANGED_BLOCKS: dict[str, Block] = {
    "kernel": replace(BLOCK, kernel=5),
    "expanded": replace(BLOCK, expanded=72),
    "out": replace(BLOCK, out=32),
    "attention": replace(BLOCK, attention="eca"),
    "activation": replace(BLOCK, activation="silu"),
    "stride": replace(BLOCK, stride=1),
    "squeeze": replace(BLOCK, attention="se", squeeze=16),
    "gate": replace(BLOCK, attention="se", squeeze=16, gate="sigmoid"),
}
CHANGED_STEMS: dict[str, Stem] = {
    "out": replace(STEM, out=24),
    "activation": replace(STEM, activation="relu"),
    "kernel": replace(STEM, kernel=5),
    "stride": replace(STEM, stride=1),
}
CHANGED_HEADS: dict[str, Head] = {
    "features": replace(HEAD, features=128),
    "hidden": replace(HEAD, hidden=0),
    "activation": replace(HEAD, activation="relu6"),
    "hidden_bias": replace(HEAD, hidden_bias=False),
}


@pytest.mark.parametrize(
    ("valid", "field", "value", "message"),
    [
        (BLOCK, "kernel", 4, "kernel must be 3, 5 or 7, got 4"),
        (BLOCK, "kernel", "3", "kernel must be 3, 5 or 7, got 3"),
        (BLOCK, "expanded", 0, "expanded must be a whole number of at least 1, got 0"),
        (BLOCK, "expanded", 64.0, "expanded must be a whole number of at least 1, got 64.0"),
        (BLOCK, "expanded", True, "expanded must be a whole number of at least 1, got True"),
        (BLOCK, "out", -8, "out must be a whole number of at least 1, got -8"),
        (BLOCK, "attention", "cbam", "attention must be none, se or eca, got cbam"),
        (BLOCK, "attention", "se", "squeeze must be at least 1 with attention se, got 0"),
        (BLOCK, "activation", "hswish", "activation must be relu, relu6, hardswish or silu, got hswish"),
        (BLOCK, "stride", 3, "stride must be 1 or 2, got 3"),
        (BLOCK, "stride", True, "stride must be 1 or 2, got True"),
        (BLOCK, "squeeze", 8, "squeeze must be 0 without attention se, got 8"),
        (BLOCK, "squeeze", -8, "squeeze must be a whole number of at least 0, got -8"),
        (STEM, "out", 0, "out must be a whole number of at least 1, got 0"),
        (STEM, "activation", "gelu", "activation must be relu, relu6, hardswish or silu, got gelu"),
        (STEM, "kernel", 1, "kernel must be 3, 5 or 7, got 1"),
        (STEM, "stride", 4, "stride must be 1 or 2, got 4"),
        (HEAD, "features", 0, "features must be a whole number of at least 1, got 0"),
        (HEAD, "hidden", -1, "hidden must be a whole number of at least 0, got -1"),
        (HEAD, "activation", "", "activation must be relu, relu6, hardswish or silu, got "),
        (NETWORK, "resolution_px", 7, "resolution_px must be a whole number of at least 8, got 7"),
        (NETWORK, "image_channels", 0, "image_channels must be a whole number of at least 1, got 0"),
        (NETWORK, "classes", 1, "classes must be a whole number of at least 2, got 1"),
        (NETWORK, "blocks", (), "blocks must hold at least one block, got none"),
    ],
)
def test_an_impossible_value_is_refused_with_field_value_and_remedy(
    valid: Any, field: str, value: object, message: str
) -> None:
    with pytest.raises(ArchitectureError) as refusal:
        replace(valid, **{field: value})
    assert str(refusal.value) == message
    assert refusal.value.field == message.split()[0]


@pytest.mark.parametrize(("field", "value"), [("kernel", 3.0), ("stride", 2.0)])
def test_a_fraction_that_equals_a_choice_is_refused(field: str, value: float) -> None:
    # 3.0 == 3, so the two networks would be equal and have different keys
    changes: Any = {field: value}
    with pytest.raises(ArchitectureError, match=f"{field} must be"):
        replace(BLOCK, **changes)


def test_the_smallest_values_are_accepted() -> None:
    block = Block(3, 1, 1, "se", "relu", 1, squeeze=1)
    smallest = Architecture(8, Stem(1), (block,), Head(1), image_channels=1, classes=2)
    assert smallest.blocks[0].squeeze == 1


def test_a_network_cannot_be_changed_in_place() -> None:
    with pytest.raises(FrozenInstanceError):
        NETWORK.blocks[0].kernel = 5  # type: ignore[misc]


def test_two_networks_with_the_same_values_are_equal_and_share_the_key() -> None:
    twin = Architecture(32, Stem(16), (Block(3, 64, 24, "none", "relu", 2),), Head(96, 128), classes=10)
    assert twin == NETWORK
    assert hash(twin) == hash(NETWORK)
    assert twin.key == NETWORK.key


def test_every_field_changes_the_network_and_its_key() -> None:
    networks: dict[str, Architecture] = {
        "resolution_px": replace(NETWORK, resolution_px=64),
        "image_channels": replace(NETWORK, image_channels=1),
        "classes": replace(NETWORK, classes=100),
        "stem": replace(NETWORK, stem=CHANGED_STEMS["out"]),
        "blocks": replace(NETWORK, blocks=(BLOCK, BLOCK)),
        "head": replace(NETWORK, head=CHANGED_HEADS["features"]),
        "padding": replace(NETWORK, padding="same"),
        "fine_tuning": replace(NETWORK, fine_tuning=FineTuning("mobilenet_v2")),
    }
    everything = [
        NETWORK,
        *networks.values(),
        *(replace(NETWORK, blocks=(block,)) for block in CHANGED_BLOCKS.values()),
        *(replace(NETWORK, stem=stem) for name, stem in CHANGED_STEMS.items() if name != "out"),
        *(replace(NETWORK, head=head) for name, head in CHANGED_HEADS.items() if name != "features"),
    ]
    for kind, changed in (
        (Architecture, networks),
        (Block, CHANGED_BLOCKS),
        (Stem, CHANGED_STEMS),
        (Head, CHANGED_HEADS),
    ):
        assert {field.name for field in fields(kind)} == set(changed)
    assert len(set(everything)) == len(everything)
    assert len({network.key for network in everything}) == len(everything)


def test_the_order_of_the_blocks_changes_the_key() -> None:
    other = replace(BLOCK, kernel=5)
    assert replace(NETWORK, blocks=(BLOCK, other)).key != replace(NETWORK, blocks=(other, BLOCK)).key


def test_the_key_starts_the_hash_of_the_canonical_json() -> None:
    canonical = (
        '{"blocks":[{"activation":"relu","attention":"none","expanded":64,"kernel":3,"out":24,"squeeze":0,'
        '"stride":2}],"bneck":"architecture/1","classes":10,"head":{"activation":"hardswish","features":96,'
        '"hidden":128},"image_channels":3,"resolution_px":32,"stem":{"activation":"hardswish","kernel":3,'
        '"out":16,"stride":2}}'
    )
    assert NETWORK.key == hashlib.sha256(canonical.encode()).hexdigest()[:12]


def test_the_key_of_mobilenet_v3_large_stays_what_it_was_in_earlier_studies() -> None:
    assert published_architecture("mobilenet_v3_large").key == "db1321c545d9"


def test_padding_is_part_of_a_network_and_its_key() -> None:
    large = published_architecture("mobilenet_v3_large")
    same = replace(large, padding="same")
    assert large.key != same.key
    assert "padding" not in large.to_dict()
    assert cost(large) == cost(same)
    with pytest.raises(ArchitectureError, match="padding must be symmetric or same, got valid"):
        replace(large, padding="valid")  # type: ignore[arg-type]


def test_a_block_gets_the_channels_that_the_one_before_gives() -> None:
    inputs = [
        channels for channels, _ in published_architecture("mobilenet_v3_large").blocks_with_in_channels()
    ]
    # the "out" column of table 1 of arXiv 1905.02244, moved down by a row
    assert inputs == [16, 16, 24, 24, 40, 40, 40, 80, 80, 80, 80, 112, 112, 160, 160]


@pytest.mark.parametrize(
    ("channels", "rounded"),
    [
        (5.6, 8),  # never below the divisor
        (8, 8),
        (12, 16),  # half-way goes up
        (8.8, 8),  # 8 >= 0.9 * 8.8 = 7.92
        (11, 16),  # nearest is 8, but 8 < 0.9 * 11 = 9.9
        (17.7, 16),  # 16 >= 0.9 * 17.7 = 15.93
        (18, 24),  # nearest is 16, but 16 < 0.9 * 18 = 16.2
        (35, 32),  # 32 >= 0.9 * 35 = 31.5
        (66, 64),
        (183.99999999999997, 184),  # 80 * 2.3 in floating point
    ],
)
def test_channels_are_rounded_to_steps_of_8_and_never_more_than_a_tenth_down(
    channels: float, rounded: int
) -> None:
    assert make_divisible(channels) == rounded


def test_channels_are_rounded_to_other_steps_too() -> None:
    # nearest is 8, but 8 < 0.9 * 9 = 8.1
    assert make_divisible(9, divisor=4) == 12
    assert make_divisible(10, divisor=4) == 12
    assert make_divisible(1, divisor=4) == 4
