"""Residual branches that are left out at random."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from bneck.search_space import Architecture, Block, published_architecture
from bneck.search_space.network import Bneck, DropPath, Network, build_network

from .helpers import TOY

RESIDUAL = Block(3, 8, 4, "none", "relu", 1)
FOUR = replace(TOY, blocks=(RESIDUAL,) * 4)


def blocks_of(network: Network) -> list[Bneck]:
    return [block for block in network.blocks if isinstance(block, Bneck)]


def drops(p: float) -> DropPath:
    path = DropPath().train()
    path.p = p
    return path


def test_the_probability_grows_by_the_same_step_from_block_to_block() -> None:
    network = build_network(FOUR)
    network.set_drop_path(0.4)
    assert [block.drop_path.p for block in blocks_of(network)] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    network.set_drop_path(0.0)
    assert [block.drop_path.p for block in blocks_of(network)] == [0, 0, 0, 0]


def test_the_last_residual_block_has_the_recipes_probability() -> None:
    network = build_network(published_architecture("mobilenet_v2"))
    network.set_drop_path(0.2)
    residual = [block.drop_path.p for block in blocks_of(network) if block.residual]
    assert residual[-1] == pytest.approx(0.2)


def test_whole_images_are_left_out_and_the_others_scaled_up() -> None:
    torch.manual_seed(0)
    out = drops(0.2)(torch.ones(4000, 3, 2, 2)).flatten(1)
    assert (out == out[:, :1]).all()
    # 4 in 5 stay, times 5/4
    assert out[:, 0].unique().tolist() == [0, 1.25]
    # a share of 4000 has a deviation of sqrt(0.2 * 0.8 / 4000) = 0.6 points
    assert (out[:, 0] == 0).float().mean().item() == pytest.approx(0.2, abs=0.025)


def test_the_expectation_is_kept() -> None:
    torch.manual_seed(0)
    for p in (0.1, 0.5, 0.9):
        mean = drops(p)(torch.full((20_000, 1, 1, 1), 3.0)).mean().item()
        # the deviation of the mean is 3 sqrt(p / (1 - p) / 20,000): 0.06 for 0.9
        assert mean == pytest.approx(3, abs=0.25)


@pytest.mark.parametrize(("p", "training"), [(0.9, False), (0.0, True)])
def test_evaluation_and_a_probability_of_0_leave_everything(p: float, training: bool) -> None:
    images, path = torch.rand(64, 3, 2, 2), drops(p).train(training)
    before = torch.get_rng_state()
    assert path(images).equal(images)
    assert torch.get_rng_state().equal(before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rough_numbers_stay_rough(dtype: torch.dtype) -> None:
    assert drops(0.5)(torch.ones(4, 3, 2, 2, dtype=dtype)).dtype == dtype


def last_block_run(architecture: Architecture) -> tuple[torch.Tensor, torch.Tensor]:
    """What goes into the last block, and what comes out, when its branch is nearly always left out."""
    network = build_network(architecture).train()
    block = blocks_of(network)[-1]
    block.drop_path.p = 1 - 1e-12
    nn.init.constant_(block.project.get_parameter("norm.bias"), 5.0)
    maps = torch.randn(6, 4, 4, 4)
    return maps, block(maps)


def test_a_block_whose_branch_is_left_out_hands_its_input_on() -> None:
    before, after = last_block_run(FOUR)
    assert after.equal(before)


def test_a_block_without_a_residual_is_never_left_out() -> None:
    _, after = last_block_run(replace(TOY, blocks=(RESIDUAL, Block(3, 8, 6, "none", "relu", 1))))
    assert after.detach().abs().mean() > 1


def test_drop_path_has_no_weights() -> None:
    names = [*build_network(FOUR).state_dict()]
    assert not any("drop_path" in name for name in names)


def test_the_backbone_is_all_that_comes_before_the_pooling() -> None:
    network = build_network(TOY).eval()
    maps = images = torch.randn(2, 3, 8, 8)
    for part in network.backbone:
        maps = part(maps)
    assert maps.shape[:2] == (2, 10)
    assert network.forward_classifier(maps).equal(network(images))
    inside = {id(p) for part in network.backbone for p in part.parameters()}
    outside = [name for name, p in network.named_parameters() if id(p) not in inside]
    assert outside == ["classifier.weight", "classifier.bias"]
