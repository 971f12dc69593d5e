"""torchvision's state dicts by name: its layers, and bneck's for the same network."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from torch import Tensor

from .architecture import Architecture
from .errors import ArchitectureError
from .network import Network, build_network
from .reference_networks import MNASNET_B1, published_architecture

# networks with ImageNet weights, and torchvision's names for them
TORCHVISION_NAMES = {
    "mobilenet_v3_large": "mobilenet_v3_large",
    "mobilenet_v3_small": "mobilenet_v3_small",
    "mobilenet_v2": "mobilenet_v2",
    "mnasnet_b1": "mnasnet1_0",
    "mnasnet_b1@0.5": "mnasnet0_5",
    "mnasnet_b1@0.75": "mnasnet0_75",
    "mnasnet_b1@1.3": "mnasnet1_3",
}
_CLASSIFIER = "classifier.weight"
_COUNTER = ".num_batches_tracked"  # files of early torch versions and other frameworks lack it

Layer = tuple[str, str]  # bneck's name and torchvision's


def _conv_norm(own: str, conv: str, norm: str) -> Iterator[Layer]:
    yield f"{own}.conv", conv
    yield f"{own}.norm", norm


def _parts(in_channels: int, architecture: Architecture, number: int) -> list[str]:
    """The layers of a block in the order they run."""
    block = architecture.blocks[number]
    expand = ["expand"] if block.expanded != in_channels else []
    attention = ["attention"] if block.attention == "se" else []
    return [*expand, "depthwise", *attention, "project"]


def _v3_layers(architecture: Architecture) -> Iterator[Layer]:
    yield from _conv_norm("stem", "features.0.0", "features.0.1")
    for number, (in_channels, _) in enumerate(architecture.blocks_with_in_channels()):
        for place, part in enumerate(_parts(in_channels, architecture, number)):
            own, theirs = f"blocks.{number}.{part}", f"features.{number + 1}.block.{place}"
            if part == "attention":
                yield f"{own}.reduce", f"{theirs}.fc1"
                yield f"{own}.restore", f"{theirs}.fc2"
            else:
                yield from _conv_norm(own, f"{theirs}.0", f"{theirs}.1")
    last = f"features.{len(architecture.blocks) + 1}"
    yield from _conv_norm("features", f"{last}.0", f"{last}.1")
    yield "hidden.0", "classifier.0"
    yield "classifier", "classifier.3"


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


_LAYERS: dict[str, Callable[[Architecture], Iterator[Layer]]] = {
    "mobilenet_v3_large": _v3_layers,
    "mobilenet_v3_small": _v3_layers,
    "mobilenet_v2": _v2_layers,
    "mnasnet_b1": _mnasnet_layers,
}


def torchvision_layers(name: str) -> dict[str, str]:
    """torchvision's name of each layer with weights, by bneck's name.

    Raises:
        ArchitectureError: torchvision does not have the network.
    """
    family = name.partition("@")[0]
    if family not in _LAYERS:
        raise ArchitectureError("pretrained", f"must be {', '.join(_LAYERS)}, got {name}")
    return dict(_LAYERS[family](published_architecture(name)))


def from_torchvision(name: str, state: Mapping[str, Tensor]) -> Network:
    """A published network with the weights of torchvision's network of the same name.

    Args:
        name: `mobilenet_v3_large`, `mobilenet_v3_small`, `mobilenet_v2` or `mnasnet_b1`, with `@width` if
            scaled.
        state: tensors by torchvision's names, such as
            `torchvision.models.mobilenet_v3_large(weights=...).state_dict()`, or by bneck's names; their
            order does not matter.
    Raises:
        ArchitectureError: the tensors do not match; names the first that is missing, unexpected or misshapen.
    """
    layers = torchvision_layers(name)
    architecture = published_architecture(name)
    if not {f"{own}.weight" for own in layers}.isdisjoint(state):
        layers = {own: own for own in layers}
    classifier = state.get(f"{layers['classifier']}.weight")
    if classifier is not None and classifier.ndim and len(classifier) > 1:
        architecture = replace(architecture, classes=len(classifier))
    v3 = name.startswith("mobilenet_v3")
    network = build_network(
        architecture,
        dropout=0.2,
        norm_eps=1e-3 if v3 else 1e-5,
        # torchvision's MnasNet has 0.0003, with which the statistics of other images need 10,000 steps
        norm_momentum=0.01 if v3 else 0.1,
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


def require_pretrained(name: str) -> None:
    """Raise `ArchitectureError` unless torchvision has ImageNet weights for the network."""
    if name not in TORCHVISION_NAMES:
        raise ArchitectureError("pretrained", f"must be {', '.join(TORCHVISION_NAMES)}, got {name}")


def weights_url(name: str) -> str:
    """Address of torchvision's newest ImageNet weights.

    Raises:
        ArchitectureError: torchvision has no weights for that name.
    """
    import torchvision

    require_pretrained(name)
    url: str = torchvision.models.get_model_weights(TORCHVISION_NAMES[name]).DEFAULT.url
    return url
