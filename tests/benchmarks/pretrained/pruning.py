"""A network of bneck cut by torch-pruning (`pip install torch-pruning`), as a smaller network of bneck."""

import copy
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch

from bneck.search_space.network import Bneck, Network, build_network, example_images


@cache
def is_installed() -> bool:
    return find_spec("torch_pruning") is not None


def prune(network: Network, ratio: float) -> Network:
    """Remove this fraction of the channels of every group, those of the smallest norm.

    Raises:
        ValueError: what is left is no network of bneck.
    """
    if ratio == 0:
        return network
    tp: Any = import_module("torch_pruning")
    module = copy.deepcopy(network).eval()
    images = example_images(network.architecture, count=2)
    pruner = tp.pruner.MagnitudePruner(
        module,
        images,
        importance=tp.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=ratio,
        ignored_layers=[module.classifier],
    )
    pruner.step()
    child = _rebuilt(module)
    with torch.inference_mode():
        if not torch.allclose(child(images), module(images), atol=1e-4):
            raise ValueError(f"the network after pruning by {ratio} is no network of bneck")
    return child


def _rebuilt(module: Network) -> Network:
    """The network of the channels that a pruned module has."""
    origin = module.architecture
    blocks = []
    for block, layers in zip(origin.blocks, module.blocks, strict=True):
        assert isinstance(layers, Bneck)
        expanded, out = (_out_channels(layers, name) for name in ("depthwise", "project"))
        if layers.expand is not None and expanded == _in_channels(layers):
            raise ValueError("a block of bneck has no expansion to as many channels as it gets")
        blocks.append(replace(block, expanded=expanded, out=out))
    architecture = replace(
        origin,
        stem=replace(origin.stem, out=_out_channels(module, "stem")),
        blocks=tuple(blocks),
        head=replace(origin.head, features=_out_channels(module, "features")),
    )
    child = build_network(architecture)
    child.load_state_dict(module.state_dict())
    for ours, theirs in zip(child.modules(), module.modules(), strict=True):
        if isinstance(ours, torch.nn.BatchNorm2d) and isinstance(theirs, torch.nn.BatchNorm2d):
            ours.eps, ours.momentum = theirs.eps, theirs.momentum
    return child.eval()


def _out_channels(module: torch.nn.Module, name: str) -> int:
    convolution = module.get_submodule(f"{name}.conv")
    assert isinstance(convolution, torch.nn.Conv2d)
    return convolution.out_channels


def _in_channels(layers: Bneck) -> int:
    convolution = layers.get_submodule("expand.conv")
    assert isinstance(convolution, torch.nn.Conv2d)
    return convolution.in_channels
