"""Networks as the sampler's models see them, against what the space decodes and what costs are counted."""

import random
from math import log1p

import pytest

from bneck.evaluate.surrogate.architecture_features import analytic_features
from bneck.evaluate.surrogate.encoder import Encoder
from bneck.evaluate.surrogate.gene_features import GeneFeatures
from bneck.search_space import PRESETS, SearchSpace, cost_breakdown

from ...search_space.helpers import preset, space_of

# A stage may be left out, and its number of blocks does not tell where the next begins.
GAPPED = space_of(
    "{out: 8, depth: [0, 2], kernel: [3, 5], expansion: 2}\n"
    "{out: [8, 16], depth: [1, 2], stride: [1, 2], kernel: 3, expansion: [1, 4], attention: [none, se]}",
    resolution="[17, 32]",
)


@pytest.mark.parametrize("space", [GAPPED, *map(preset, PRESETS)], ids=lambda space: space.name)
def test_a_network_is_the_one_that_the_space_decodes_and_its_columns_are_those_of_its_parts(
    space: SearchSpace,
) -> None:
    encoder, rng = Encoder(space), random.Random(0)
    for _ in range(30):
        genes = space.sample(rng)
        seen, network = encoder.encode(genes), space.decode(genes)
        assert seen.architecture == network
        assert len(seen.features) == len(encoder.names)
        columns = dict(zip(encoder.names, seen.features.tolist(), strict=True))
        expected = analytic_features(network)
        expected |= dict(zip(GeneFeatures(space).names, GeneFeatures(space).row(genes), strict=True))
        assert {name: columns[name] for name in expected} == pytest.approx(expected)
        assert columns.keys() - expected.keys() == {
            f"gene:stage{number}.log_macs" for number in range(1, len(space.stages) + 1)
        }


@pytest.mark.parametrize("depth", [0, 2])
def test_the_macs_of_a_stage_are_those_of_its_blocks(depth: int) -> None:
    genes = {**GAPPED.sample(random.Random(1)), "stage1.depth": depth, "stage2.depth": 2}
    encoder = Encoder(GAPPED)
    seen = encoder.encode(genes)
    macs = [part.macs for name, part in cost_breakdown(seen.architecture).items() if name.startswith("block")]
    columns = dict(zip(encoder.names, seen.features.tolist(), strict=True))
    assert columns["gene:stage1.log_macs"] == pytest.approx(log1p(sum(macs[:depth])))
    assert columns["gene:stage2.log_macs"] == pytest.approx(log1p(sum(macs[depth:])))


def test_a_network_is_seen_alike_however_many_were_seen_before() -> None:
    space = preset("mobile-32")
    used, rng = Encoder(space), random.Random(3)
    many = [space.sample(rng) for _ in range(50)]
    for genes in many:
        used.encode(genes)
    for genes in many[:10]:
        assert used.encode(genes).features.tolist() == Encoder(space).encode(genes).features.tolist()
