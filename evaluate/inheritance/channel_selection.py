"""The most important channels of every group of coupled channels of a trained network.

The importance of a channel is the product of the L2 norms of the filters that write it, process it and read
it, with batch norm folded in. It is invariant to rescaling a channel in one layer and its inverse in the
next.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...search_space import Architecture
from .channel_groups import residual_groups

Weights = dict[str, Tensor]


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


def select_channels(
    weights: Mapping[str, Tensor], architecture: Architecture, target: Mapping[str, Tensor], norm_eps: float
) -> Weights:
    """The weights of a network with only its most important channels.

    Args:
        weights: state dict of a network of the same structure, nowhere with fewer channels.
        target: state dict of a network of `architecture`; only its shapes are used.
        norm_eps: constant of batch normalisation.
    """
    selected = dict(weights)
    for channels in coupled_channels(architecture):
        first, axis = next(_tensors(weights, channels.weight_axes[0]))
        width = target[first].shape[axis]
        kept_indices = top_channels(channel_importance(weights, channels, norm_eps), width)
        for weight_axis in channels.weight_axes:
            for name, axis in _tensors(weights, weight_axis):
                selected[name] = selected[name].index_select(axis, kept_indices)
    return selected


def channel_importance(weights: Mapping[str, Tensor], channels: CoupledChannels, norm_eps: float) -> Tensor:
    """Importance of each channel, `n`."""
    norms = [torch.stack([_filter_norms(weights, axis, norm_eps) for axis in step]) for step in channels.path]
    return torch.stack([each.square().sum(0).sqrt() for each in norms]).prod(0)


def top_channels(values: Tensor, count: int) -> Tensor:
    """Indices of the `count` largest values, ascending; ties go to the lower index."""
    return values.argsort(descending=True, stable=True)[:count].sort().values


def _filter_norms(weights: Mapping[str, Tensor], weight_axis: WeightAxis, norm_eps: float) -> Tensor:
    """L2 norm of each channel's weights with batch norm folded in, and with the bias on output axes."""
    layer, axis = weight_axis.layer, weight_axis.axis
    if (conv := weights.get(f"{layer}.conv.weight")) is not None:
        variance = weights[f"{layer}.norm.running_var"] + norm_eps
        bn_scale = weights[f"{layer}.norm.weight"] / variance.sqrt()
        return _norm_along(conv * bn_scale[:, None, None, None], axis)
    norms = _norm_along(weights[f"{layer}.weight"], axis)
    bias = weights.get(f"{layer}.bias") if axis == 0 else None
    return norms if bias is None else norms.hypot(bias)


def _norm_along(weight: Tensor, axis: int) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(weight.transpose(0, axis).flatten(1), dim=1)
    return norms


def _tensors(weights: Mapping[str, Tensor], weight_axis: WeightAxis) -> Iterator[tuple[str, int]]:
    """Names of the tensors with the channels, and their axes."""
    layer, axis = weight_axis.layer, weight_axis.axis
    if (conv := f"{layer}.conv.weight") in weights:
        yield conv, axis
        attached = [f"{layer}.norm.{name}" for name in ("weight", "bias", "running_mean", "running_var")]
    else:
        yield f"{layer}.weight", axis
        attached = [name for name in (f"{layer}.bias",) if name in weights]
    if axis == 0:
        yield from ((name, 0) for name in attached)
