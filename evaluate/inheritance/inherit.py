"""The weights of a smaller network from a trained one."""

from collections.abc import Mapping, Sequence
from itertools import islice

from torch import Tensor, nn

from ...search_space import Architecture, Head
from ...search_space.network import Bneck, Network
from ...search_space.pretrained_space import end_before
from ..training.train import seeded_network
from .block_matching import match_blocks, mismatch
from .channel_groups import residual_groups
from .channel_selection import Weights, select_channels
from .mean_gates import mean_gate

_STEM, _CLASSIFIER = "stem.conv.weight", "classifier."


def inherit(parent: Network, architecture: Architecture, *, seed: int = 0) -> Network:
    """A network with the weights of a larger or equal one, in evaluation mode.

    Nothing cut gives the same function. Cuts are independent of each other:

    - Stages at the end are dropped where the architecture has fewer. The expansion of the first dropped block
      becomes the 1x1 convolution before the pooling; the classifier starts from random weights.
    - Residual blocks are dropped where the architecture has fewer (`match_blocks`); the importance of a block
      is the root mean square of its last batch norm's weights, the standard deviation of what it adds.
    - Channels: the most important ones remain (`select_channels`).
    - A smaller kernel is the center of the larger one.
    - Attention that is removed becomes its mean gate (`mean_gate`), folded into the projection.
    - A grayscale stem gets the sum over the color channels; a color stem gets a third of the grayscale
      weights per channel.
    - The classifier starts from random weights if the number of classes differs.
    - A hidden layer of the head may be narrowed but not removed: no weights lead from the pooled features to
      the classes.

    The statistics of batch norm are those of the parent: recalibrate them
    (`bneck.evaluate.training.evaluation.recalibrate_batchnorm`) before evaluating a network that was cut.

    Args:
        architecture: nowhere with more blocks or channels or a larger kernel; any resolution, classes and
            image channels.
        seed: of a new classifier.
    Raises:
        RunError: the architecture is not a smaller form of the parent; names the block and the field.
    """
    origin = parent.architecture
    kept = match_blocks(origin, architecture, [_added_std(block) for block in parent.blocks])
    end = _end(origin, architecture)
    ended = origin if end is None else end_before(origin, end)
    _require_smaller_ends(origin, ended.head, architecture)
    child = seeded_network(architecture, seed)
    norm_eps = _copy_norm_constants(parent, child)
    target = child.state_dict()
    ungated = [
        index
        for index, block in zip(kept, architecture.blocks, strict=True)
        if block.attention != origin.blocks[index].attention
    ]
    weights = _fold_gates(parent, ungated)
    if end is not None:
        weights = _pool_expansion(weights, end)
    weights = _keep_blocks(weights, kept)
    weights[_STEM] = _adapt_input_channels(weights[_STEM], architecture.image_channels)
    weights = {name: _center(value, target[name].shape[2:]) for name, value in weights.items()}
    weights = select_channels(weights, architecture, target, norm_eps)
    if end is not None or architecture.classes != origin.classes:
        weights |= {name: value for name, value in target.items() if name.startswith(_CLASSIFIER)}
    child.load_state_dict(weights)
    return child.eval()


def _added_std(block: nn.Module) -> float:
    """Root mean square over channels of the standard deviation of a block's branch."""
    scale = block.get_parameter("project.norm.weight").detach()
    return float(scale.square().mean().sqrt())


def _end(parent: Architecture, child: Architecture) -> int | None:
    """Index of the parent's block that the child ends before; None if it has all stages."""
    chains, n_chains = residual_groups(parent), len(residual_groups(child))
    if n_chains >= len(chains):
        return None
    index = chains[n_chains].first - 1
    *_, (channels_in, block) = islice(parent.blocks_with_in_channels(), index + 1)
    if block.expanded == channels_in:
        raise mismatch(parent, child, f"it must not end before block {index + 1}, which has no expansion")
    return index


def _require_smaller_ends(parent: Architecture, head: Head, child: Architecture) -> None:
    """Raise `RunError` unless stem and head are smaller forms of the parent's stem and of `head`."""
    pairs = {
        "padding": (parent.padding, child.padding),
        "stem activation": (parent.stem.activation, child.stem.activation),
        "stem stride": (parent.stem.stride, child.stem.stride),
        "head activation": (head.activation, child.head.activation),
        "head hidden_bias": (head.hidden_bias, child.head.hidden_bias),
    }
    for name, (ours, theirs) in pairs.items():
        if ours != theirs:
            raise mismatch(parent, child, f"{name} must be {ours}, got {theirs}")
    if bool(head.hidden) != bool(child.head.hidden):
        allowed = f"1 to {head.hidden}" if head.hidden else "0"
        raise mismatch(parent, child, f"head hidden must be {allowed}, got {child.head.hidden}")
    sizes = {
        "stem out": (parent.stem.out, child.stem.out),
        "stem kernel": (parent.stem.kernel, child.stem.kernel),
        "head features": (head.features, child.head.features),
        "head hidden": (head.hidden, child.head.hidden),
    }
    for name, (most, size) in sizes.items():
        if size > most:
            raise mismatch(parent, child, f"{name} must be at most {most}, got {size}")


def _fold_gates(parent: Network, indices: Sequence[int]) -> Weights:
    """The weights without the attention of some blocks, its mean gates folded into the projections."""
    removed = tuple(f"blocks.{index}.attention." for index in indices)
    weights = {name: value for name, value in parent.state_dict().items() if not name.startswith(removed)}
    for index in indices:
        block = parent.blocks[index]
        assert isinstance(block, Bneck)
        gate = mean_gate(block)
        project = f"blocks.{index}.project.conv.weight"
        weights[project] = weights[project] * gate[:, None, None]
    return weights


def _pool_expansion(weights: Mapping[str, Tensor], index: int) -> Weights:
    """The weights with the expansion of a block as the 1x1 convolution before the pooling.

    The projection of the block stands in for the classifier: it ranks the channels of the expansion.
    """
    block, body = f"blocks.{index}.", ("stem.", "blocks.")
    ended = {name: value for name, value in weights.items() if name.startswith(body)}
    ended |= {
        f"features.{name.removeprefix(f'{block}expand.')}": value
        for name, value in weights.items()
        if name.startswith(f"{block}expand.")
    }
    project = weights[f"{block}project.conv.weight"].flatten(1)
    return ended | {"classifier.weight": project, "classifier.bias": project.new_zeros(len(project))}


def _keep_blocks(weights: Mapping[str, Tensor], kept: Sequence[int]) -> Weights:
    """The weights of some blocks, renumbered, and of everything else."""
    numbers = {str(index): number for number, index in enumerate(kept)}
    remaining: Weights = {}
    for name, value in weights.items():
        part, _, rest = name.partition(".")
        index, _, layer = rest.partition(".")
        if part != "blocks":
            remaining[name] = value
        elif index in numbers:
            remaining[f"blocks.{numbers[index]}.{layer}"] = value
    return remaining


def _adapt_input_channels(weight: Tensor, channels: int) -> Tensor:
    if weight.shape[1] == channels:
        return weight
    return weight.sum(1, keepdim=True).expand(-1, channels, -1, -1) / channels


def _center(weight: Tensor, kernel: Sequence[int]) -> Tensor:
    """The center of a convolution's kernel; `kernel` has one size for each axis after the second."""
    for axis, size in enumerate(kernel, start=2):
        weight = weight.narrow(axis, (weight.shape[axis] - size) // 2, size)
    return weight


def _copy_norm_constants(parent: Network, child: Network) -> float:
    """Copy epsilon and momentum of batch normalisation; returns epsilon."""
    norm = parent.stem.get_submodule("norm")
    assert isinstance(norm, nn.BatchNorm2d)
    for module in child.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = norm.eps, norm.momentum
    return norm.eps
