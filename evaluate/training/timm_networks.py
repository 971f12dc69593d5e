"""Networks of the MobileNet family from timm, with their weights, as bneck's."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch
from torch import Tensor, nn

from ...search_space import Architecture, ArchitectureError, Block, Head, RunError, Stem
from ...search_space.architecture import Activation, Gate
from ...search_space.errors import first_line
from ...search_space.network import Network, build_network
from ...search_space.pretrained_weights import Channels
from ..optional_dependencies import optional_import
from .state_dict_file import read_state_dict

_PREFIX = "timm:"
_ACTIVATIONS: dict[str, Activation] = {
    "ReLU": "relu",
    "ReLU6": "relu6",
    "Hardswish": "hardswish",
    "SiLU": "silu",
}
_CHECK_PX = 75  # maps of 38, 19, 10, 5 and 3 px: odd and even
_TOLERANCE = 1e-4  # of the largest logit

Layers = dict[str, nn.Module]  # by bneck's names


def is_timm(name: str) -> bool:
    """Whether a network is named `timm:` and a model of timm."""
    return name.startswith(_PREFIX)


def timm_architecture(name: str) -> Architecture:
    """The architecture of a timm model, at the resolution of its weights.

    Args:
        name: such as `timm:mobilenetv3_small_050.lamb_in1k`.
    Raises:
        ArchitectureError: timm has no such model, or it is not of the MobileNet family.
        RunError: timm is not installed.
    """
    return convert_timm(name, _create(name)).architecture


def timm_normalization(name: str) -> tuple[Channels, Channels]:
    """Mean and standard deviation of the pixels (0 to 255) that a timm model was trained with."""
    config = _create(name).pretrained_cfg
    mean, std = (tuple(255 * float(value) for value in config[key]) for key in ("mean", "std"))
    return mean, std


def timm_network(name: str, file: Path | None = None) -> Network:
    """A timm model with its weights.

    Args:
        file: state dict of the model; by default from the hub's cache, filled by a download.
    Raises:
        ArchitectureError: timm has no such model, or it is not of the MobileNet family.
        RunError: timm is not installed, or the weights cannot be read or downloaded.
    """
    model = _create(name)
    convert_timm(name, model)  # refuses other families before the weights are read
    if file is None:
        return convert_timm(name, _with_hub_weights(name, model))
    state = read_state_dict(file)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise RunError(f"{file}: not the weights of {name} ({first_line(error)})") from None
    return convert_timm(name, model)


def convert_timm(name: str, model: Any) -> Network:
    """A model of timm in bneck's form, in evaluation mode; both give the same logits.

    Raises:
        ArchitectureError: it has parts that networks of bneck lack.
    """
    try:
        architecture, layers = _read(model)
        network = build_network(
            architecture,
            dropout=model.drop_rate,
            norm_eps=model.bn1.eps,
            norm_momentum=model.bn1.momentum,
        ).eval()
        network.load_state_dict(_state(layers))
    except (AttributeError, ArchitectureError, RuntimeError) as problem:
        raise _not_of_the_family(name, first_line(problem)) from None
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(1, architecture.image_channels, _CHECK_PX, _CHECK_PX, generator=generator)
    with torch.no_grad():
        expected, logits = model.eval()(images), network(images)
    if (logits - expected).abs().max() > _TOLERANCE * expected.abs().max():
        raise _not_of_the_family(name, "its logits differ from those of the same layers in bneck")
    return network


def _not_of_the_family(name: str, reason: str) -> ArchitectureError:
    return ArchitectureError("timm", f"must be a model of the MobileNet family, got {name} ({reason})")


def _create(name: str, *, pretrained: bool = False) -> Any:
    with optional_import(name, extra="timm", error=RunError):
        import timm
    model = name.removeprefix(_PREFIX)
    known = timm.list_models(pretrained=True) if "." in model else timm.list_models()
    if model not in known:
        raise ArchitectureError("timm", f"must be a model of timm, got {model}")
    return timm.create_model(model, pretrained=pretrained)


def _with_hub_weights(name: str, model: Any) -> Any:
    try:
        with no_retries_offline():
            return _create(name, pretrained=True)
    except Exception as error:  # whatever the hub's client raises: no network, no permission, a full disk
        size_mb = sum(value.nbytes for value in model.state_dict().values()) / 1e6
        page = f"https://huggingface.co/{model.pretrained_cfg.get('hf_hub_id') or 'timm'}"
        raise RunError(
            f"the weights of {name} are not in the hub's cache and cannot be downloaded "
            f"({first_line(error)}); "
            f"download model.safetensors from {page} ({size_mb:.1f} MB) and pass it as --weights FILE"
        ) from None


@contextmanager
def no_retries_offline() -> Iterator[None]:
    """Restrict the hub's client to its cache where the hub has no address; it would retry for a minute."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    try:
        if not getproxies():  # a proxy resolves the name itself
            socket.getaddrinfo(urlsplit(constants.ENDPOINT).hostname, None)
    except OSError:
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _read(model: Any) -> tuple[Architecture, Layers]:
    """Architecture and layers of a model; `convert_timm` compares the logits."""
    layers: Layers = {"stem.conv": model.conv_stem, "stem.norm": model.bn1, "classifier": model.classifier}
    blocks: list[Block] = []
    hidden_bias = True
    *stages, last = [module for stage in model.blocks for module in stage]
    if hasattr(last, "conv"):  # MobileNetV3: the 1x1 convolution is the last block; a hidden layer follows
        features, norm, hidden = last.conv, last.bn1, model.conv_head.out_channels
        layers["hidden.0"], hidden_bias = model.conv_head, model.conv_head.bias is not None
    else:
        features, norm, hidden = model.conv_head, model.bn2, 0
        stages.append(last)
    for number, module in enumerate(stages):
        in_channels = blocks[-1].out if blocks else model.conv_stem.out_channels
        try:
            block, own = _read_block(module, in_channels)
        except (AttributeError, ArchitectureError) as problem:
            raise ArchitectureError(f"block {number + 1}", f"{type(module).__name__}: {problem}") from None
        blocks.append(block)
        layers |= {f"blocks.{number}.{layer}": theirs for layer, theirs in own}
    layers |= {"features.conv": features, "features.norm": norm}
    same = any(type(module).__name__ == "Conv2dSame" for module in model.modules())
    stem = model.conv_stem
    return Architecture(
        resolution_px=model.pretrained_cfg["input_size"][1],
        stem=Stem(stem.out_channels, _activation(model.bn1.act), stem.kernel_size[0], stem.stride[0]),
        blocks=tuple(blocks),
        head=Head(features.out_channels, hidden, _activation(norm.act), hidden_bias),
        image_channels=stem.in_channels,
        classes=model.classifier.out_features,
        padding="same" if same else "symmetric",
    ), layers


def _read_block(module: Any, in_channels: int) -> tuple[Block, list[tuple[str, nn.Module]]]:
    depthwise = module.conv_dw
    layers: list[tuple[str, nn.Module]] = [("depthwise.conv", depthwise)]
    if hasattr(module, "conv_pwl"):
        if module.conv_pw.out_channels == in_channels:
            raise ArchitectureError("expanded", "a 1x1 expansion at ratio 1, which bneck's blocks leave out")
        norms, project = (module.bn2, module.bn3), module.conv_pwl
        layers += [("expand.conv", module.conv_pw), ("expand.norm", module.bn1)]
    else:
        norms, project = (module.bn1, module.bn2), module.conv_pw
    layers += zip(
        ("depthwise.norm", "project.conv", "project.norm"), (norms[0], project, norms[1]), strict=True
    )
    activation = _activation(norms[0].act)
    block = Block(
        kernel=depthwise.kernel_size[0],
        expanded=depthwise.out_channels,
        out=project.out_channels,
        attention="none",
        activation=activation,
        stride=depthwise.stride[0],
    )
    if isinstance(module.se, nn.Identity):
        return block, layers
    layers += [("attention.reduce", module.se.conv_reduce), ("attention.restore", module.se.conv_expand)]
    gate = cast("Gate", type(module.se.gate).__name__.lower())
    squeeze = module.se.conv_reduce.out_channels
    return replace(block, attention="se", squeeze=squeeze, gate=gate), layers


def _activation(module: nn.Module) -> Activation:
    name = type(module).__name__
    if name not in _ACTIVATIONS:
        raise ArchitectureError("activation", f"must be {', '.join(_ACTIVATIONS)}, got {name}")
    return _ACTIVATIONS[name]


def _state(layers: Layers) -> dict[str, Tensor]:
    return dict(_tensors(layers))


def _tensors(layers: Layers) -> Iterator[tuple[str, Tensor]]:
    for layer, module in layers.items():
        for name, value in module.state_dict().items():
            linear = layer == "hidden.0" and name == "weight"  # a 1x1 convolution in timm
            yield f"{layer}.{name}", value.flatten(1) if linear else value
