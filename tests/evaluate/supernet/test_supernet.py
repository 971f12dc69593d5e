"""Subnetworks match standalone networks with the same weights."""

import random

import pytest
import torch
from torch import Tensor, nn

from bneck.evaluate.supernet.max_sizes import MaxBlockSizes, max_last_channels, max_stage_sizes
from bneck.evaluate.supernet.sampling import largest_genes, smallest_genes
from bneck.evaluate.supernet.supernet import Supernet
from bneck.evaluate.supernet.trainer import seeded_supernet
from bneck.search_space import PRESETS, Choice, Genes, ScorerError, SearchSpace, SpaceError, load_space

from ...search_space.helpers import space_of
from .example_supernet import OURS, lively, supernet_of_ours


def images(space: SearchSpace, side: int) -> Tensor:
    source = torch.Generator().manual_seed(0)
    return torch.randn(6, space.image_channels, side, side, generator=source)


def drawn(space: SearchSpace, count: int) -> list[Genes]:
    rng = random.Random(3)
    return [space.sample(rng) for _ in range(count)]


def ends(space: SearchSpace) -> list[Genes]:
    return [smallest_genes(space), largest_genes(space)]


def assert_same_logits(supernet: Supernet, genes: Genes, side: int) -> None:
    """With the shared statistics, and with those of the batch."""
    network = supernet.extract(genes)
    shown = images(supernet.space, side)
    for training in (False, True):
        alone = network.train(training)(shown)
        inside = supernet.train(training)(shown, genes)
        torch.testing.assert_close(inside, alone, rtol=1e-5, atol=1e-5)


def for_digits(name: str) -> SearchSpace:
    return load_space(name).for_data(1, 10)


@torch.no_grad()
def compared(space: SearchSpace, many: list[Genes]) -> None:
    supernet = lively(seeded_supernet(space, 0))
    for genes in many:
        assert_same_logits(supernet, genes, 32 if space.name != "tiny" else 16)


@pytest.mark.parametrize("name", PRESETS)
def test_a_subnetwork_gives_the_logits_of_the_standalone_network(name: str) -> None:
    space = for_digits(name)
    compared(space, drawn(space, 2))


def test_the_smallest_and_largest_subnetworks_match_standalone_networks() -> None:
    compared(for_digits("tiny"), ends(for_digits("tiny")))


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_random_subnetworks_of_every_preset_match_standalone_networks(name: str) -> None:
    space = for_digits(name)
    compared(space, [*ends(space), *drawn(space, 60)])


def test_subnetworks_of_a_space_with_all_choices_match_standalone_networks() -> None:
    supernet, met = supernet_of_ours(), set()
    with torch.no_grad():
        for genes in drawn(OURS, 40):
            assert_same_logits(supernet, genes, 12)
            met |= set(genes.items())
    assert met == {(gene.name, choice) for gene in OURS.genes for choice in gene.choices}


def test_both_learn_from_the_same_gradient() -> None:
    supernet = supernet_of_ours()
    for genes in drawn(OURS, 4):
        network, shown = supernet.extract(genes), images(OURS, 8)
        supernet.zero_grad(set_to_none=True)
        for answer in (supernet.train()(shown, genes), network.train()(shown)):
            nn.functional.cross_entropy(answer, torch.arange(6) % 2).backward()  # type: ignore[no-untyped-call]
        norms = [
            sum(float(p.grad.square().sum()) for p in each.parameters() if p.grad is not None)
            for each in (supernet, network)
        ]
        assert norms[0] == pytest.approx(norms[1], rel=1e-4)


def small(**changes: Choice) -> Genes:
    """The least network, with a block in the first stage."""
    return {**smallest_genes(OURS), "stage1.depth": 1, **changes}


def test_a_kernel_is_the_middle_of_the_largest_and_channels_are_the_first() -> None:
    supernet = supernet_of_ours()
    place = supernet.get_submodule("stages.1.0.depthwise.conv")
    assert isinstance(place, nn.Conv2d)
    with torch.no_grad():  # channel, row and column in the digits
        rows = torch.arange(49.0).view(7, 7) + torch.tensor([[3.0 * row] for row in range(7)])
        place.weight.copy_(torch.arange(place.out_channels)[:, None, None, None] * 100 + rows)
    # 4 channels come from the first stage, and are kept by expansion 1
    genes = small(**{"stage1.out": 4, "stage2.block1.kernel": 3, "stage2.block1.expansion": 1})
    block = supernet.extract(genes).blocks[1]
    weight = block.get_parameter("depthwise.conv.weight")
    assert weight.shape == (4, 1, 3, 3)
    assert weight[0, 0].tolist() == [[22, 23, 24], [32, 33, 34], [42, 43, 44]]
    assert weight[:, 0, 0, 0].tolist() == [22, 122, 222, 322]


def test_a_step_gives_gradients_to_the_weights_of_its_network_alone() -> None:
    supernet = supernet_of_ours()
    genes: Genes = {
        **small(),
        "stage1.block1.attention": "eca",
        "stage1.block1.expansion": 2,
        "stage2.depth": 1,
        "stage2.block1.attention": "none",
        "stage2.block1.expansion": 1,
        "head.hidden": 8,
    }
    supernet(images(OURS, 8), genes).sum().backward()
    touched = {
        name.removesuffix(".weight")
        for name, each in supernet.named_parameters()
        if each.grad is not None and name.endswith(".weight")
    }
    assert touched == {
        *("stem.conv", "stem.norm", "features.conv", "features.norm", "hidden", "hidden_classifier"),
        *(f"stages.0.0.{part}" for part in ("expand.conv", "expand.norm", "eca.conv")),
        *(
            f"stages.{s}.0.{part}.{kind}"
            for s in (0, 1)
            for part in ("depthwise", "project")
            for kind in ("conv", "norm")
        ),
    }


def test_channels_that_a_network_leaves_out_have_a_gradient_of_zero() -> None:
    supernet = supernet_of_ours()
    genes = small(**{"stem.out": 4, "stage1.block1.expansion": 2, "stage1.out": 4})
    supernet(images(OURS, 8), genes).square().sum().backward()
    gradient = supernet.get_parameter("stages.0.0.expand.conv.weight").grad
    assert gradient is not None and gradient.shape == (16, 8, 1, 1)
    # from 4 channels to 8
    assert gradient[:8, :4].abs().sum() > 0
    assert gradient[8:].abs().sum() == gradient[:, 4:].abs().sum() == 0


def test_a_network_that_is_taken_out_has_weights_of_its_own() -> None:
    supernet = supernet_of_ours()
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    torch.manual_seed(0)
    state = torch.get_rng_state()
    network = supernet.extract(small())
    assert torch.get_rng_state().equal(state)
    with torch.no_grad():
        for value in network.state_dict().values():
            value.zero_()
    assert all(value.equal(before[name]) for name, value in supernet.state_dict().items())


def test_a_network_can_be_given_without_its_genes() -> None:
    supernet = supernet_of_ours().eval()
    genes = small(**{"stage2.depth": 2})
    network = OURS.decode(genes)
    assert supernet.extract(network).architecture == network
    assert supernet(images(OURS, 8), network).equal(supernet(images(OURS, 8), OURS.encode(network)))


def test_networks_and_genes_of_other_spaces_are_refused() -> None:
    supernet = supernet_of_ours()
    foreign = OURS.for_data(3, 5)
    with pytest.raises(ScorerError, match="space small does not contain network"):
        supernet.extract(foreign.decode(smallest_genes(foreign)))
    with pytest.raises(SpaceError, match=r"stem\.out must be 4, 8, got 5"):
        supernet(images(OURS, 8), small(**{"stem.out": 5}))


def test_a_place_is_as_large_as_its_largest_block() -> None:
    space = space_of(
        """
        {out: [8, 40], depth: [0, 1], kernel: [3, 5], expansion: [1, 3]}
        {out: 16, depth: [0, 2], kernel: 3, expansion: 1, attention: eca}
        {out: 24, kernel: 7, expansion: 2, attention: [none, se], squeeze: [input/4, expanded/4]}
        """,
        stem="{out: [8, 32]}",
    )
    (first,), (second, third), (fourth,) = max_stage_sizes(space)
    # 3 times the 32 channels of the stem
    assert first == MaxBlockSizes(in_channels=32, expanded=96, out=40, kernel=5, squeeze=0, eca_kernel=0)
    # the first stage may be left out or not; ECA's kernel: (log2(40) + 1) / 2 = 3.16, and 3 is odd
    assert second == MaxBlockSizes(in_channels=0, expanded=40, out=16, kernel=3, squeeze=0, eca_kernel=3)
    # (log2(16) + 1) / 2 = 2.5, cut to 2, and the next odd one is 3
    assert third == MaxBlockSizes(in_channels=0, expanded=16, out=16, kernel=3, squeeze=0, eca_kernel=3)
    # the widest before it is the first stage; 80 / 4 = 20 is rounded to 24 in steps of 8
    assert fourth == MaxBlockSizes(in_channels=40, expanded=80, out=24, kernel=7, squeeze=24, eca_kernel=0)
    assert max_last_channels(space) == 24


def test_the_head_takes_the_widest_possible_last_stage() -> None:
    rows = "{out: 40, kernel: 3, expansion: 1}\n{out: 16, depth: [0, 1], kernel: 3, expansion: 1}"
    assert max_last_channels(space_of(rows)) == 40
