"""Networks as the sampler's models see them, against what the space decodes and what costs are counted."""

import random
from math import log1p

import numpy as np
import pytest

from bneck.evaluate.surrogate.architecture_features import analytic_features
from bneck.evaluate.surrogate.encoder import Encoder
from bneck.evaluate.surrogate.gene_features import GeneFeatures
from bneck.search_space import PRESETS, Genes, SearchSpace, cost, cost_breakdown
from bneck.search_space.counting.uniform_sampling import UniformArchitectureSampler

from ...search_space.helpers import preset, space_of

# A stage may be left out, and its number of blocks does not tell where the next begins.
GAPPED = space_of(
    "{out: 8, depth: [0, 2], kernel: [3, 5], expansion: 2}\n"
    "{out: [8, 16], depth: [1, 2], stride: [1, 2], kernel: 3, expansion: [1, 4], attention: [none, se]}",
    resolution="[17, 32]",
)


def samples(space: SearchSpace, count: int) -> list[Genes]:
    rng = random.Random(0)
    return [space.sample(rng) for _ in range(count)]


@pytest.mark.parametrize("space", [GAPPED, *map(preset, PRESETS)], ids=lambda space: space.name)
def test_a_network_is_the_one_that_the_space_decodes_with_its_cost_and_the_columns_of_its_parts(
    space: SearchSpace,
) -> None:
    encoder, genes_of, drawn = Encoder(space), GeneFeatures(space), samples(space, 60)
    for genes, seen in zip(drawn, encoder.encode_choices(genes_of.indices(drawn)), strict=True):
        network = space.decode(genes)
        assert (seen.genes, seen.architecture, seen.cost) == (genes, network, cost(network))
        columns = dict(zip(encoder.names, seen.features.tolist(), strict=True))
        expected = analytic_features(network)
        own = genes_of.columns(genes_of.indices([genes]))[0].tolist()
        expected |= dict(zip(genes_of.names, own, strict=True))
        assert {name: columns[name] for name in expected} == pytest.approx(expected)
        assert columns.keys() - expected.keys() == {
            f"gene:stage{number}.log_macs" for number in range(1, len(space.stages) + 1)
        }


def test_networks_have_the_same_identity_if_and_only_if_they_are_equal() -> None:
    # Different genes may give the same network: of absent blocks, or with the same block in another stage.
    drawn = samples(GAPPED, 300)
    pairs = {(Encoder(GAPPED).encode(genes).identity, GAPPED.decode(genes)) for genes in drawn}
    assert len({identity for identity, _ in pairs}) == len({network for _, network in pairs}) == len(pairs)
    assert len(pairs) < len({tuple(genes.values()) for genes in drawn})


@pytest.mark.parametrize("depth", [0, 2])
def test_the_macs_of_a_stage_are_those_of_its_blocks(depth: int) -> None:
    genes = {**GAPPED.sample(random.Random(1)), "stage1.depth": depth, "stage2.depth": 2}
    encoder = Encoder(GAPPED)
    seen = encoder.encode(genes)
    macs = [part.macs for name, part in cost_breakdown(seen.architecture).items() if name.startswith("block")]
    columns = dict(zip(encoder.names, seen.features.tolist(), strict=True))
    assert columns["gene:stage1.log_macs"] == pytest.approx(log1p(sum(macs[:depth])))
    assert columns["gene:stage2.log_macs"] == pytest.approx(log1p(sum(macs[depth:])))


def test_a_network_is_encoded_alike_alone_and_among_others() -> None:
    space = preset("mobile-32")
    used, drawn = Encoder(space), samples(space, 50)
    together = used.encode_choices(GeneFeatures(space).indices(drawn))
    for genes, seen in zip(drawn, together, strict=True):
        for other in (used.encode(genes), Encoder(space).encode(genes)):
            assert other.identity == seen.identity
            assert other.features.tolist() == seen.features.tolist()


def test_features_are_scaled_by_the_space_and_not_by_the_networks_at_hand() -> None:
    encoder = Encoder(GAPPED)
    drawn = [encoder.encode(genes) for genes in samples(GAPPED, 2000)]
    macs = np.log([each.cost.macs for each in drawn])
    columns = encoder.columns
    assert columns.macs_centre == pytest.approx(macs.mean(), abs=4 * macs.std() / 300**0.5)
    assert columns.macs_scale == pytest.approx(macs.std(), rel=0.2)
    alike = np.array([drawn[0].features] * 3)
    assert columns.macs(alike) == pytest.approx([(macs[0] - columns.macs_centre) / columns.macs_scale] * 3)


def test_sizes_within_a_tight_limit_stay_apart() -> None:
    space, rng = preset("mobile-32"), random.Random(0)
    encoder, sampler = Encoder(space), UniformArchitectureSampler.of(space, 5e6, None)
    drawn = [encoder.encode(space.encode(sampler.sample_architecture(rng))) for _ in range(20)]
    genes = encoder.columns.places([""] * 20, np.array([each.features for each in drawn])).genes
    assert genes
    assert [len(set(size)) for size in genes.sizes.columns.T.tolist()] == [20] * 3
