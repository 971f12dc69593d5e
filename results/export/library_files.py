"""A network as a Python file for timm or torchvision, by the library's own classes."""

import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ...search_space import Architecture, ArchitectureError, Block
from ...search_space.cost import eca_kernel
from ...search_space.reference_networks import squeeze_v3
from .exportable import Exportable
from .python_file import render_source, run_source
from .weights import timm_config

if TYPE_CHECKING:
    from torch import Tensor

_TIMM_STRIDE = 32  # further strides become dilations
_DIVISOR = 8  # both libraries round expanded channels
_ACTIVATIONS = {"relu": "ReLU", "relu6": "ReLU6", "hardswish": "Hardswish", "silu": "SiLU"}


def timm_source(network: Exportable) -> bytes:
    """A file that registers the network in timm.

    Raises:
        ArchitectureError: timm's blocks cannot express it; names the first block.
    """
    _require_rounded(network.architecture, "timm", "expanded")  # its other channels are exact
    stride = 2
    for number, block in enumerate(network.architecture.blocks, start=1):
        stride *= block.stride
        if stride > _TIMM_STRIDE:
            raise _inexpressible("timm", number, f"the total stride is at most {_TIMM_STRIDE}")
    eca = {block.expanded for block in network.architecture.blocks if block.attention == "eca"}
    return render_source(
        "timm",
        network,
        timm_class="MobileNetV3" if network.architecture.head.hidden else "EfficientNet",
        n_reductions=1 + sum(block.stride > 1 for block in network.architecture.blocks),
        eca_kernels={channels: eca_kernel(channels) for channels in sorted(eca)},
        **timm_config(network),
    )


def timm_logits(network: Exportable, source: bytes, images: "Tensor") -> "Tensor | None":
    """Of `timm.create_model`; None where timm is not installed."""
    if find_spec("timm") is None:
        return None
    import timm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an earlier export has registered the same name
        module = run_source(source, network.model_name)
    model = timm.create_model(network.model_name).eval()
    model.load_state_dict(module.from_bneck(network.network.state_dict()))
    logits: Tensor = model(images)
    return logits


def torchvision_source(network: Exportable) -> bytes:
    """A file that builds the network from torchvision's `MobileNetV3` and `InvertedResidualConfig`.

    Raises:
        ArchitectureError: they cannot express it; names the first block.
    """
    from ...search_space.source_weights import torchvision_layers

    architecture = network.architecture
    _require_rounded(architecture, "torchvision", "expanded", "out")
    if architecture.padding != "symmetric":
        raise ArchitectureError("padding", "torchvision has no padding 'same'; use --format python or timm")
    for number, block in enumerate(architecture.blocks, start=1):
        for problem in _torchvision_problems(block):
            raise _inexpressible("torchvision", number, problem)
    stem, head = architecture.stem, architecture.head
    return render_source(
        "torchvision",
        network,
        norm_momentum=network.trained.norm_momentum,
        activations=_ACTIVATIONS,
        own_stem=(architecture.image_channels, stem.kernel, stem.stride, stem.activation)
        != (3, 3, 2, "hardswish"),
        own_features=(head.features, head.activation, head.hidden_bias)
        != (6 * architecture.blocks[-1].out, "hardswish", True),
        layers=list(torchvision_layers(architecture)),
    )


def torchvision_logits(network: Exportable, source: bytes, images: "Tensor") -> "Tensor":
    """Of the network that the file builds."""
    module = run_source(source, network.model_name)
    model = module.network()
    model.load_state_dict(module.from_bneck(network.network.state_dict()))
    logits: Tensor = model(images)
    return logits


def _torchvision_problems(block: Block) -> Iterator[str]:
    if block.activation not in ("relu", "hardswish"):
        yield f"the activation is relu or hardswish, not {block.activation}"
    if block.attention == "eca":
        yield "there is no ECA attention"
    if block.gate != "hardsigmoid":
        yield f"the gate is hardsigmoid, not {block.gate}"
    if block.squeeze and block.squeeze != squeeze_v3(block.expanded):
        yield f"squeeze is {squeeze_v3(block.expanded)}, not {block.squeeze}"


def _require_rounded(architecture: Architecture, library: str, *fields: str) -> None:
    for number, block in enumerate(architecture.blocks, start=1):
        for field in fields:
            if (channels := getattr(block, field)) % _DIVISOR:
                raise _inexpressible(library, number, f"{field} is a multiple of {_DIVISOR}, not {channels}")


def _inexpressible(library: str, number: int, rule: str) -> ArchitectureError:
    return ArchitectureError(
        f"block {number}", f"cannot be written for {library}: there {rule}; use --format python"
    )
