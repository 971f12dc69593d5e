"""Elastic layers: weights of maximum size, of which a subnetwork uses a slice.

A subnetwork uses the first channels and the center of a kernel. `tensors` returns the slice, named as in the
corresponding layer of `bneck.search_space.network`; `forward` computes with it.
"""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from ...search_space import Activation, Block
from ...search_space.architecture import ACTIVATIONS
from ...search_space.cost import eca_kernel
from ...search_space.network import activation_layer
from .max_sizes import MaxBlockSizes

StateDict = dict[str, Tensor]

_ACTIVATE = {name: activation_layer(name) for name in ACTIVATIONS}


def apply_activation(x: Tensor, activation: Activation | None) -> Tensor:
    """Apply an activation in place; None is the identity."""
    if activation is None:
        return x
    out: Tensor = _ACTIVATE[activation](x)
    return out


def add_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> StateDict:
    """Prefix tensor names with that of a submodule."""
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def _center_slice(largest: int, kernel: int) -> slice:
    edge = (largest - kernel) // 2
    return slice(edge, edge + kernel)


class ElasticConvNorm(nn.Module):
    """Convolution and batch norm; all subnetworks share the running statistics."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def tensors(self, in_channels: int, out_channels: int, kernel: int = 1) -> StateDict:
        center = _center_slice(self.conv.kernel_size[0], kernel)
        norm = {name: value[:out_channels] for name, value in self.norm.named_parameters()}
        assert self.norm.running_mean is not None and self.norm.running_var is not None
        return {
            "conv.weight": self.conv.weight[:out_channels, :in_channels, center, center],
            "norm.weight": norm["weight"],
            "norm.bias": norm["bias"],
            "norm.running_mean": self.norm.running_mean[:out_channels],
            "norm.running_var": self.norm.running_var[:out_channels],
        }

    def forward(
        self,
        x: Tensor,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        activation: Activation | None = None,
    ) -> Tensor:
        weights = self.tensors(x.shape[1], out_channels, kernel)
        groups = 1 if self.conv.groups == 1 else out_channels
        y = functional.conv2d(x, weights["conv.weight"], None, stride, kernel // 2, groups=groups)
        y = functional.batch_norm(
            y,
            weights["norm.running_mean"],
            weights["norm.running_var"],
            weights["norm.weight"],
            weights["norm.bias"],
            self.training,
            self.norm.momentum or 0.0,
            self.norm.eps,
        )
        return apply_activation(y, activation)


class ElasticSqueezeExcite(nn.Module):
    """Elastic squeeze-and-excitation."""

    def __init__(self, channels: int, squeeze: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeeze, 1)
        self.restore = nn.Conv2d(squeeze, channels, 1)

    def tensors(self, channels: int, squeeze: int) -> StateDict:
        assert self.reduce.bias is not None and self.restore.bias is not None
        return {
            "reduce.weight": self.reduce.weight[:squeeze, :channels],
            "reduce.bias": self.reduce.bias[:squeeze],
            "restore.weight": self.restore.weight[:channels, :squeeze],
            "restore.bias": self.restore.bias[:channels],
        }

    def forward(self, x: Tensor, squeeze: int) -> Tensor:
        weights = self.tensors(x.shape[1], squeeze)
        scale = functional.adaptive_avg_pool2d(x, 1)
        scale = functional.conv2d(scale, weights["reduce.weight"], weights["reduce.bias"]).relu_()
        scale = functional.conv2d(scale, weights["restore.weight"], weights["restore.bias"])
        return x * functional.hardsigmoid(scale)


class ElasticChannelAttention(nn.Module):
    """Elastic ECA."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, kernel, bias=False)

    def tensors(self, channels: int) -> StateDict:
        center = _center_slice(self.conv.kernel_size[0], eca_kernel(channels))
        return {"conv.weight": self.conv.weight[..., center]}

    def forward(self, x: Tensor) -> Tensor:
        weight = self.tensors(x.shape[1])["conv.weight"]
        pooled = functional.adaptive_avg_pool2d(x, 1).flatten(2).transpose(1, 2)
        scale = functional.conv1d(pooled, weight, padding=weight.shape[-1] // 2).sigmoid()
        return x * scale.transpose(1, 2).unsqueeze(-1)


class ElasticLinear(nn.Linear):
    """Elastic linear layer."""

    def tensors(self, inputs: int, outputs: int) -> StateDict:
        return {"weight": self.weight[:outputs, :inputs], "bias": self.bias[:outputs]}

    def forward(self, x: Tensor, outputs: int | None = None) -> Tensor:
        weights = self.tensors(x.shape[1], outputs or self.out_features)
        out: Tensor = functional.linear(x, weights["weight"], weights["bias"])
        return out


class ElasticBneck(nn.Module):
    """Elastic bneck block with separate weights per attention type."""

    def __init__(self, sizes: MaxBlockSizes) -> None:
        super().__init__()
        expanded_channels = sizes.expanded
        self.expand = ElasticConvNorm(sizes.in_channels, expanded_channels) if sizes.in_channels else None
        self.depthwise = ElasticConvNorm(
            expanded_channels, expanded_channels, sizes.kernel, groups=expanded_channels
        )
        self.se = ElasticSqueezeExcite(expanded_channels, sizes.squeeze) if sizes.squeeze else None
        self.eca = ElasticChannelAttention(sizes.eca_kernel) if sizes.eca_kernel else None
        self.project = ElasticConvNorm(expanded_channels, sizes.out)

    def tensors(self, in_channels: int, block: Block) -> StateDict:
        """The slices that a block uses, named as in `Bneck`."""
        expanded_channels = block.expanded
        state: StateDict = {}
        if expanded_channels != in_channels:
            assert self.expand is not None
            state |= add_prefix("expand", self.expand.tensors(in_channels, expanded_channels))
        state |= add_prefix("depthwise", self.depthwise.tensors(1, expanded_channels, block.kernel))
        if block.attention == "se":
            assert self.se is not None
            state |= add_prefix("attention", self.se.tensors(expanded_channels, block.squeeze))
        elif block.attention == "eca":
            assert self.eca is not None
            state |= add_prefix("attention", self.eca.tensors(expanded_channels))
        return state | add_prefix("project", self.project.tensors(expanded_channels, block.out))

    def forward(self, x: Tensor, block: Block) -> Tensor:
        y, channels_in = x, x.shape[1]
        if block.expanded != channels_in:
            assert self.expand is not None
            y = self.expand(y, block.expanded, activation=block.activation)
        y = self.depthwise(y, block.expanded, block.kernel, block.stride, block.activation)
        if block.attention == "se":
            assert self.se is not None
            y = self.se(y, block.squeeze)
        elif block.attention == "eca":
            assert self.eca is not None
            y = self.eca(y)
        y = self.project(y, block.out)
        out: Tensor = x + y if block.stride == 1 and channels_in == block.out else y
        return out
