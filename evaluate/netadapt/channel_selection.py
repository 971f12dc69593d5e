"""The weights of a trained network carried over to a narrower one, its most important channels kept.

A channel's importance is the product of the norms of the filters along its way: those that write it,
those that work on it, and those that read it, each with its batch normalisation folded in. It does not
change when a channel is made larger in one layer and smaller in the next.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...search_space import Architecture, RunError
from ...search_space.network import ConvNorm, Network, build_network
from .channel_groups import residual_groups, same_structure


@dataclass(frozen=True)
class WeightAxis:
    """Channels as an axis of a layer's weights: 0 where it writes them, 1 where it reads them."""

    layer: str
    axis: int


@dataclass(frozen=True)
class CoupledChannels:
    """Channels that are kept or dropped together in every layer that uses them.

    Attributes:
        path: the steps that tell of importance; the layers of a step stand side by side.
        attached: other layers that use them.
    """

    path: tuple[tuple[WeightAxis, ...], ...]
    attached: tuple[WeightAxis, ...] = ()

    @property
    def weight_axes(self) -> tuple[WeightAxis, ...]:
        return (*(weight_axis for step in self.path for weight_axis in step), *self.attached)


def coupled_channels(architecture: Architecture) -> Iterator[CoupledChannels]:
    """All channels of a network but those of the image and the classes."""
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
    """What uses the channels of each block's depthwise convolution after it."""
    for number, block in enumerate(architecture.blocks):
        name = f"blocks.{number}."
        attention = (WeightAxis(f"{name}attention.reduce", 1), WeightAxis(f"{name}attention.restore", 0))
        yield (*(attention if block.attention == "se" else ()), WeightAxis(f"{name}project", 1))


def inherit_weights(network: Network, architecture: Architecture) -> Network:
    """The narrower network with the weights of the most important channels.

    A smaller kernel of eca is the middle of the larger one. Batch normalisation should be settled
    before the network is judged.

    Args:
        architecture: the same structure with at most as many channels everywhere.
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
        raise RunError(f"network {architecture.key} is no narrower form of {network.architecture.key}")
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
        problem = f"network {architecture.key} is no narrower form of {network.architecture.key}"
        raise RunError(f"{problem}: it has other layers, or more channels somewhere") from None
    return pruned


def channel_importance(network: Network, channels: CoupledChannels) -> Tensor:
    """What each channel matters, `n`."""
    steps = [
        _root_sum_of_squares([_batchnorm_layers(network, weight_axis) for weight_axis in step])
        for step in channels.path
    ]
    return torch.stack(steps).prod(0)


def top_channels(values: Tensor, count: int) -> Tensor:
    """Positions of the `count` largest values, ascending; the first of equal ones."""
    return values.argsort(descending=True, stable=True)[:count].sort().values


def _root_sum_of_squares(norms: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(norms)).square().sum(0).sqrt()


def _batchnorm_layers(network: Network, weight_axis: WeightAxis) -> Tensor:
    """L2 norm of the weights of every channel, normalisation folded in, bias included where written."""
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
    """The names of the tensors that hold the channels, and along which axis."""
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
