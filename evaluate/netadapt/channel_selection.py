"""Weights of a narrower network from a trained one: the most important channels of every group.

The importance of a channel is the product of the L2 norms of the filters that write it, process it and read
it, with batch norm folded in. It is invariant to rescaling a channel in one layer and its inverse in the
next.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...search_space import Architecture, RunError
from ...search_space.network import ConvNorm, Network, build_network
from .channel_groups import residual_groups, same_structure


@dataclass(frozen=True)
class WeightAxis:
    """An axis of a layer's weights: 0 for output channels, 1 for input channels."""

    layer: str
    axis: int


@dataclass(frozen=True)
class CoupledChannels:
    """Channels that are selected together in every layer that uses them.

    Attributes:
        path: consecutive steps whose norms determine the importance; the layers of a step are parallel.
        attached: other layers that use the channels.
    """

    path: tuple[tuple[WeightAxis, ...], ...]
    attached: tuple[WeightAxis, ...] = ()

    @property
    def weight_axes(self) -> tuple[WeightAxis, ...]:
        return (*(weight_axis for step in self.path for weight_axis in step), *self.attached)


def coupled_channels(architecture: Architecture) -> Iterator[CoupledChannels]:
    """All channel groups of a network; image channels and classes are not among them."""
    inner_axes = dict(enumerate(_inner_axes(architecture)))
    without_expansion = [
        block.expanded == channels_in for channels_in, block in architecture.blocks_with_in_channels()
    ]
    last = len(architecture.blocks)
    for group in residual_groups(architecture):
        writers, readers, attached = list[WeightAxis](), list[WeightAxis](), list[WeightAxis]()
        for number in range(group.first, group.last + 1):
            writers.append(WeightAxis(f"blocks.{number - 1}.project" if number else "stem", 0))
            if number == last:
                readers.append(WeightAxis("features", 1))
            elif without_expansion[number]:
                readers.append(WeightAxis(f"blocks.{number}.depthwise", 0))
                attached += inner_axes[number]
            else:
                readers.append(WeightAxis(f"blocks.{number}.expand", 1))
        yield CoupledChannels((tuple(writers), tuple(readers)), tuple(attached))
    for number, block in enumerate(architecture.blocks):
        name = f"blocks.{number}."
        if not without_expansion[number]:
            *attention, project = inner_axes[number]
            path = ((WeightAxis(f"{name}expand", 0),), (WeightAxis(f"{name}depthwise", 0),), (project,))
            yield CoupledChannels(path, tuple(attention))
        if block.attention == "se":
            yield CoupledChannels(
                ((WeightAxis(f"{name}attention.reduce", 0),), (WeightAxis(f"{name}attention.restore", 1),))
            )
    if architecture.head.hidden:
        yield CoupledChannels(((WeightAxis("features", 0),), (WeightAxis("hidden.0", 1),)))
        yield CoupledChannels(((WeightAxis("hidden.0", 0),), (WeightAxis("classifier", 1),)))
    else:
        yield CoupledChannels(((WeightAxis("features", 0),), (WeightAxis("classifier", 1),)))


def _inner_axes(architecture: Architecture) -> Iterator[tuple[WeightAxis, ...]]:
    """Layers after the depthwise convolution of each block that use its channels."""
    for number, block in enumerate(architecture.blocks):
        name = f"blocks.{number}."
        attention = (WeightAxis(f"{name}attention.reduce", 1), WeightAxis(f"{name}attention.restore", 0))
        yield (*(attention if block.attention == "se" else ()), WeightAxis(f"{name}project", 1))


def inherit_weights(network: Network, architecture: Architecture) -> Network:
    """A narrower network with the weights of the most important channels.

    A smaller ECA kernel is the center of the larger one. Recalibrate batch norm before evaluation.

    Args:
        architecture: same structure, nowhere more channels.
    Raises:
        RunError: another structure, or more channels somewhere.
    """
    norm = network.stem.get_submodule("norm")
    assert isinstance(norm, nn.BatchNorm2d)
    with torch.random.fork_rng(devices=[]):
        pruned = build_network(architecture, norm_eps=norm.eps, norm_momentum=norm.momentum or 0.0)
    target_state = pruned.state_dict()
    weights = dict(network.state_dict())
    if target_state.keys() != weights.keys() or not same_structure(network.architecture, architecture):
        raise RunError(f"network {architecture.key} must have the structure of {network.architecture.key}")
    for channels in coupled_channels(network.architecture):
        first, axis = next(_tensors(network, channels.weight_axes[0]))
        width = target_state[first].shape[axis]
        kept_indices = top_channels(channel_importance(network, channels), width)
        for weight_axis in channels.weight_axes:
            for name, axis in _tensors(network, weight_axis):
                weights[name] = weights[name].index_select(axis, kept_indices)
    for name, value in weights.items():
        if value.ndim == 3 and (excess := value.shape[2] - target_state[name].shape[2]) > 0:
            weights[name] = value[..., excess // 2 : excess // 2 + target_state[name].shape[2]]
    try:
        pruned.load_state_dict(weights)
    except RuntimeError:
        problem = f"network {architecture.key} must have the layers of {network.architecture.key}"
        raise RunError(f"{problem} and nowhere more channels") from None
    return pruned


def channel_importance(network: Network, channels: CoupledChannels) -> Tensor:
    """Importance of each channel, `n`."""
    norms = [torch.stack([_filter_norms(network, axis) for axis in step]) for step in channels.path]
    return torch.stack([each.square().sum(0).sqrt() for each in norms]).prod(0)


def top_channels(values: Tensor, count: int) -> Tensor:
    """Indices of the `count` largest values, ascending; ties go to the lower index."""
    return values.argsort(descending=True, stable=True)[:count].sort().values


def _filter_norms(network: Network, weight_axis: WeightAxis) -> Tensor:
    """L2 norm of each channel's weights with batch norm folded in, and with the bias on output axes."""
    layer = network.get_submodule(weight_axis.layer)
    with torch.no_grad():
        if isinstance(layer, ConvNorm):
            conv, norm = layer.get_submodule("conv"), layer.get_submodule("norm")
            assert isinstance(norm, nn.BatchNorm2d) and isinstance(norm.running_var, Tensor)
            bn_scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            weight = conv.get_parameter("weight") * bn_scale[:, None, None, None]
            return _norm_along(weight, weight_axis.axis)
        weight = layer.get_parameter("weight")
        norms = _norm_along(weight, weight_axis.axis)
        return norms.hypot(layer.get_parameter("bias")) if weight_axis.axis == 0 else norms


def _norm_along(weight: Tensor, axis: int) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(weight.transpose(0, axis).flatten(1), dim=1)
    return norms


def _tensors(network: Network, weight_axis: WeightAxis) -> Iterator[tuple[str, int]]:
    """Names of the tensors with the channels, and their axes."""
    layer = network.get_submodule(weight_axis.layer)
    if isinstance(layer, ConvNorm):
        yield f"{weight_axis.layer}.conv.weight", weight_axis.axis
        if weight_axis.axis == 0:
            for name in ("weight", "bias", "running_mean", "running_var"):
                yield f"{weight_axis.layer}.norm.{name}", 0
        return
    yield f"{weight_axis.layer}.weight", weight_axis.axis
    if weight_axis.axis == 0:
        yield f"{weight_axis.layer}.bias", 0
