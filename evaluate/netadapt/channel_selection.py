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
from .channel_groups import chains, same_structure


@dataclass(frozen=True)
class Use:
    """Channels as an axis of a layer's weights: 0 where it writes them, 1 where it reads them."""

    layer: str
    axis: int


@dataclass(frozen=True)
class Channels:
    """Channels that are kept or dropped together in every layer that uses them.

    Attributes:
        way: the steps that tell of importance; the layers of a step stand side by side.
        beside: other layers that use them.
    """

    way: tuple[tuple[Use, ...], ...]
    beside: tuple[Use, ...] = ()

    @property
    def uses(self) -> tuple[Use, ...]:
        return (*(use for step in self.way for use in step), *self.beside)


def channels_of(architecture: Architecture) -> Iterator[Channels]:
    """All channels of a network but those of the image and the classes."""
    inner = dict(enumerate(_inner_uses(architecture)))
    tied = [block.expanded == given for given, block in architecture.blocks_with_inputs()]
    last = len(architecture.blocks)
    for chain in chains(architecture):
        writers, readers, beside = list[Use](), list[Use](), list[Use]()
        for number in range(chain.first, chain.last + 1):
            writers.append(Use(f"blocks.{number - 1}.project" if number else "stem", 0))
            if number == last:
                readers.append(Use("features", 1))
            elif tied[number]:
                readers.append(Use(f"blocks.{number}.depthwise", 0))
                beside += inner[number]
            else:
                readers.append(Use(f"blocks.{number}.expand", 1))
        yield Channels((tuple(writers), tuple(readers)), tuple(beside))
    for number, block in enumerate(architecture.blocks):
        name = f"blocks.{number}."
        if not tied[number]:
            *attention, project = inner[number]
            way = ((Use(f"{name}expand", 0),), (Use(f"{name}depthwise", 0),), (project,))
            yield Channels(way, tuple(attention))
        if block.attention == "se":
            yield Channels(((Use(f"{name}attention.reduce", 0),), (Use(f"{name}attention.restore", 1),)))
    if architecture.head.hidden:
        yield Channels(((Use("features", 0),), (Use("hidden.0", 1),)))
        yield Channels(((Use("hidden.0", 0),), (Use("classifier", 1),)))
    else:
        yield Channels(((Use("features", 0),), (Use("classifier", 1),)))


def _inner_uses(architecture: Architecture) -> Iterator[tuple[Use, ...]]:
    """What uses the channels of each block's depthwise convolution after it."""
    for number, block in enumerate(architecture.blocks):
        name = f"blocks.{number}."
        attention = (Use(f"{name}attention.reduce", 1), Use(f"{name}attention.restore", 0))
        yield (*(attention if block.attention == "se" else ()), Use(f"{name}project", 1))


def inherited(network: Network, architecture: Architecture) -> Network:
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
        narrow = build_network(architecture, norm_eps=norm.eps, norm_momentum=norm.momentum or 0.0)
    wanted = narrow.state_dict()
    weights = dict(network.state_dict())
    if wanted.keys() != weights.keys() or not same_structure(network.architecture, architecture):
        raise RunError(f"network {architecture.key} is no narrower form of {network.architecture.key}")
    for channels in channels_of(network.architecture):
        first, axis = next(_tensors(network, channels.uses[0]))
        width = wanted[first].shape[axis]
        kept = most_important(importance(network, channels), width)
        for use in channels.uses:
            for name, axis in _tensors(network, use):
                weights[name] = weights[name].index_select(axis, kept)
    for name, value in weights.items():
        if value.ndim == 3 and (spare := value.shape[2] - wanted[name].shape[2]) > 0:
            weights[name] = value[..., spare // 2 : spare // 2 + wanted[name].shape[2]]
    try:
        narrow.load_state_dict(weights)
    except RuntimeError:
        problem = f"network {architecture.key} is no narrower form of {network.architecture.key}"
        raise RunError(f"{problem}: it has other layers, or more channels somewhere") from None
    return narrow


def importance(network: Network, channels: Channels) -> Tensor:
    """What each channel matters, `n`."""
    steps = [_side_by_side([_norms(network, use) for use in step]) for step in channels.way]
    return torch.stack(steps).prod(0)


def most_important(values: Tensor, count: int) -> Tensor:
    """Positions of the `count` largest values, ascending; the first of equal ones."""
    return values.argsort(descending=True, stable=True)[:count].sort().values


def _side_by_side(norms: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(norms)).square().sum(0).sqrt()


def _norms(network: Network, use: Use) -> Tensor:
    """L2 norm of the weights of every channel, normalisation folded in, bias included where written."""
    layer = network.get_submodule(use.layer)
    with torch.no_grad():
        if isinstance(layer, ConvNorm):
            conv, norm = layer.get_submodule("conv"), layer.get_submodule("norm")
            assert isinstance(norm, nn.BatchNorm2d) and isinstance(norm.running_var, Tensor)
            gain = norm.weight / (norm.running_var + norm.eps).sqrt()
            weight = conv.get_parameter("weight") * gain[:, None, None, None]
            return _norm_along(weight, use.axis)
        weight = layer.get_parameter("weight")
        norms = _norm_along(weight, use.axis)
        return norms.hypot(layer.get_parameter("bias")) if use.axis == 0 else norms


def _norm_along(weight: Tensor, axis: int) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(weight.transpose(0, axis).flatten(1), dim=1)
    return norms


def _tensors(network: Network, use: Use) -> Iterator[tuple[str, int]]:
    """The names of the tensors that hold the channels, and along which axis."""
    layer = network.get_submodule(use.layer)
    if isinstance(layer, ConvNorm):
        yield f"{use.layer}.conv.weight", use.axis
        if use.axis == 0:
            for name in ("weight", "bias", "running_mean", "running_var"):
                yield f"{use.layer}.norm.{name}", 0
        return
    yield f"{use.layer}.weight", use.axis
    if use.axis == 0:
        yield f"{use.layer}.bias", 0
