"""From an `Architecture` to a torch network, in torchvision's and timm's layer order and rules."""

import warnings
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from .architecture import Activation, Architecture, Block, Padding
from .cost import conv_output_size, eca_kernel

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hardswish": nn.Hardswish,
    "silu": nn.SiLU,
}


def activation_layer(name: Activation) -> nn.Module:
    return _ACTIVATIONS[name](inplace=True)


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's `SAME` padding, which depends on the size of the maps.

    An odd number of pixels is split with one more at the right and bottom.
    """

    def forward(self, x: Tensor) -> Tensor:
        (top, bottom), (left, right) = (
            _same_padding(size, kernel, stride)
            for size, kernel, stride in zip(_map_sizes(x), self.kernel_size, self.stride, strict=True)
        )
        return super().forward(functional.pad(x, (left, right, top, bottom)))


def _map_sizes(x: Tensor) -> list[int]:
    sizes = list(x.shape[2:])
    if not isinstance(sizes[0], Tensor):
        return sizes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # under torch.jit.trace: the trace is for one size
        return [int(size) for size in sizes]


def _same_padding(map_size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max(0, (conv_output_size(map_size, stride) - 1) * stride + kernel - map_size)
    return total // 2, total - total // 2


class ConvNorm(nn.Sequential):
    """Convolution without bias, then batch normalisation, then activation; maps shrink by the stride."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        activation: Activation | None = None,
        padding: Padding = "symmetric",
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if padding == "same" and stride > 1:  # with stride 1 both are half an (odd) kernel
            layers["conv"] = SameConv2d(in_channels, out_channels, kernel, stride, groups=groups, bias=False)
        else:
            layers["conv"] = nn.Conv2d(
                in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
            )
        layers["norm"] = nn.BatchNorm2d(out_channels)
        if activation is not None:
            layers["activation"] = activation_layer(activation)
        super().__init__(layers)


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation; arXiv 1709.01507, with the hard-sigmoid gate of arXiv 1905.02244.

    Args:
        sigmoid_after: activation before a logistic gate; None for ReLU and a hard-sigmoid gate.
    """

    def __init__(self, channels: int, squeeze: int, sigmoid_after: Activation | None = None) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, squeeze, 1)
        self.activation = activation_layer(sigmoid_after or "relu")
        self.restore = nn.Conv2d(squeeze, channels, 1)
        self.gate: nn.Module = nn.Sigmoid() if sigmoid_after else nn.Hardsigmoid(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        scale: Tensor = self.gate(self.restore(self.activation(self.reduce(self.pool(x)))))
        return x * scale


class EfficientChannelAttention(nn.Module):
    """A 1-d convolution over the pooled channels, without bias, and a sigmoid; arXiv 1910.03151."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        kernel = eca_kernel(channels)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.pool(x).flatten(2).transpose(1, 2)
        scale: Tensor = self.gate(self.conv(pooled)).transpose(1, 2).unsqueeze(-1)
        return x * scale


class DropPath(nn.Module):
    """Drops a residual branch for some images during training and scales the others up.

    Attributes:
        p: probability of dropping the branch.
    Source: stochastic depth, arXiv 1603.09382.
    """

    def __init__(self) -> None:
        super().__init__()
        self.p = 0.0

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep_probability = 1 - self.p
        mask = torch.empty(x.shape[0], 1, 1, 1, dtype=x.dtype, device=x.device).bernoulli_(keep_probability)
        return x * mask.div_(keep_probability)


class Bneck(nn.Module):
    """One block: expansion, depthwise convolution, attention, linear projection, residual."""

    def __init__(self, in_channels: int, block: Block, padding: Padding = "symmetric") -> None:
        super().__init__()
        self.expand = (
            ConvNorm(in_channels, block.expanded, 1, activation=block.activation)
            if block.expanded != in_channels
            else None
        )
        self.depthwise = ConvNorm(
            block.expanded,
            block.expanded,
            block.kernel,
            block.stride,
            groups=block.expanded,
            activation=block.activation,
            padding=padding,
        )
        self.attention: nn.Module | None = None
        if block.attention == "se":
            sigmoid_after = block.activation if block.gate == "sigmoid" else None
            self.attention = SqueezeExcite(block.expanded, block.squeeze, sigmoid_after)
        elif block.attention == "eca":
            self.attention = EfficientChannelAttention(block.expanded)
        self.project = ConvNorm(block.expanded, block.out, 1)
        self.residual = block.stride == 1 and in_channels == block.out
        self.drop_path = DropPath()

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else self.expand(x)
        y = self.depthwise(y)
        if self.attention is not None:
            y = self.attention(y)
        y = self.project(y)
        out: Tensor = x + self.drop_path(y) if self.residual else y
        return out


class Network(nn.Module):
    """A runnable network: images `n x image_channels x resolution x resolution` to logits `n x classes`."""

    def __init__(self, architecture: Architecture, dropout: float = 0.0) -> None:
        super().__init__()
        stem, head = architecture.stem, architecture.head
        self.architecture = architecture
        padding = architecture.padding
        self.stem = ConvNorm(
            architecture.image_channels,
            stem.out,
            stem.kernel,
            stem.stride,
            activation=stem.activation,
            padding=padding,
        )
        self.blocks = nn.Sequential(
            *(Bneck(c, block, padding) for c, block in architecture.blocks_with_in_channels())
        )
        self.features = ConvNorm(architecture.blocks[-1].out, head.features, 1, activation=head.activation)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.hidden = (
            nn.Sequential(
                nn.Linear(head.features, head.hidden, bias=head.hidden_bias),
                activation_layer(head.activation),
            )
            if head.hidden
            else None
        )
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(head.hidden or head.features, architecture.classes)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        size_px = self.architecture.resolution_px
        return self.architecture.image_channels, size_px, size_px

    @property
    def backbone(self) -> tuple[nn.Module, ...]:
        """The modules before the pooling."""
        return self.stem, self.blocks, self.features

    @property
    def early_stages(self) -> tuple[nn.Module, ...]:
        """The stem and the blocks before the last of stride 2; the stem alone without such a block."""
        strides = [block.stride for block in self.architecture.blocks]
        last = max((number for number, stride in enumerate(strides) if stride > 1), default=0)
        return self.stem, *self.blocks[:last]

    def set_drop_path(self, last: float) -> None:
        """Set drop probabilities that grow linearly from block to block, up to `last`."""
        drop_paths = [each.drop_path for each in self.blocks if isinstance(each, Bneck) and each.residual]
        for number, path in enumerate(drop_paths, start=1):
            path.p = last * number / len(drop_paths)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(images)))

    def head(self, maps: Tensor) -> Tensor:
        """Logits from the maps after the last block."""
        return self.forward_classifier(self.features(maps))

    def forward_classifier(self, maps: Tensor) -> Tensor:
        """Logits from the last feature maps: pooling and classifier."""
        x = self.pool(maps).flatten(1)
        if self.hidden is not None:
            x = self.hidden(x)
        logits: Tensor = self.classifier(self.dropout(x))
        return logits


class NetworkPart(nn.Module):
    """The stem, a block, or the head of a network; shares the network's weights.

    Args:
        name: `stem`, `block 1`, ..., or `head`, as in `cost_breakdown`.
    """

    def __init__(self, network: Network, name: str) -> None:
        super().__init__()
        self.network, self.name = network, name
        self.architecture = network.architecture
        self.input_shape = _input_shapes(network.architecture)[name]

    def forward(self, x: Tensor) -> Tensor:
        if self.name == "head":
            return self.network.head(x)
        out: Tensor = (self.network.stem if self.name == "stem" else self.block)(x)
        return out

    @property
    def block(self) -> nn.Module:
        return self.network.blocks[int(self.name.removeprefix("block ")) - 1]


def _input_shapes(architecture: Architecture) -> dict[str, tuple[int, int, int]]:
    """Input channels, height and width of each part."""
    size_px = architecture.resolution_px
    shapes = {"stem": (architecture.image_channels, size_px, size_px)}
    size_px = conv_output_size(size_px, architecture.stem.stride)
    for number, (channels, block) in enumerate(architecture.blocks_with_in_channels(), start=1):
        shapes[f"block {number}"] = (channels, size_px, size_px)
        size_px = conv_output_size(size_px, block.stride)
    return shapes | {"head": (architecture.blocks[-1].out, size_px, size_px)}


def build_network(
    architecture: Architecture,
    *,
    dropout: float = 0.0,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
) -> Network:
    """A network with initial weights.

    The weights follow torch's default initialization, which trains best in short runs
    (`docs/decisions/0003-initialisation.md` compares it with torchvision's and timm's rules).

    Args:
        dropout: dropout probability before the classifier.
        norm_eps, norm_momentum: of batch normalization; torchvision's MobileNetV3 uses 1e-3 and 0.01,
            its V2 and timm's networks 1e-5 and 0.1.
    """
    network = Network(architecture, dropout)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = norm_eps, norm_momentum
    return network


def count_parameters(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def example_images(architecture: Architecture, count: int = 1) -> Tensor:
    """Uniform noise as network input, `count x channels x height x width`; always the same."""
    size_px = architecture.resolution_px
    return _noise(count, architecture.image_channels, size_px, size_px)


def example_input(network: Network | NetworkPart, count: int = 1) -> Tensor:
    """Uniform noise as input of a network or of a part; always the same."""
    return _noise(count, *network.input_shape)


def _noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))
