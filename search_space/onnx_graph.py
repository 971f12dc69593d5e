"""A bneck network as an ONNX model, written operator by operator.

`torch.onnx.export` takes seconds per network, longer than the measurement; this takes milliseconds and
needs no tracing, since the structure is known. `docs/decisions/0004-onnx-writer.md` has the figures.
"""

from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from .network import (
    Bneck,
    ConvNorm,
    EfficientChannelAttention,
    Network,
    NetworkPart,
    SameConv2d,
    SqueezeExcite,
)

OPSET = 18
IR_VERSION = 10  # readable by the oldest supported runtimes


def build_onnx_model(network: Network | NetworkPart) -> onnx.ModelProto:
    """The network in evaluation mode: `images` (n x c x r x r, fp32) to `logits` (n x classes).

    For a part of a network, `images` are its input maps, and the output has the name of the last
    operator (`logits` for the head). Batch normalization is folded into the preceding convolution.
    """
    graph = _GraphBuilder()
    with torch.no_grad():
        if isinstance(network, Network):
            x = graph.conv_norm("stem", "images", network.stem)
            for number, block in enumerate(network.blocks):
                x = graph.bneck(f"blocks.{number}", x, block)
            x = graph.head(x, network)
        elif network.name == "head":
            x = graph.head("images", network.network)
        elif network.name == "stem":
            x = graph.conv_norm("stem", "images", network.network.stem)
        else:
            x = graph.bneck("block", "images", network.block)
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", *network.input_shape])
    classes: list[str | int | None] = ["n", network.architecture.classes]
    maps: list[str | int | None] = ["n", "channels", "height", "width"]
    shape = classes if x == "logits" else maps
    output = helper.make_tensor_value_info(x, TensorProto.FLOAT, shape)
    name = f"bneck-{network.architecture.key}"
    model = helper.make_model(
        helper.make_graph(graph.nodes, name, [images], [output], graph.weights),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="bneck",
    )
    model.ir_version = IR_VERSION
    return model


class _GraphBuilder:
    """Collects nodes and weights; every method returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(
        self, operator: str, name: str, inputs: list[str], output: str | None = None, **attributes: Any
    ) -> str:
        output = output or name
        self.nodes.append(helper.make_node(operator, inputs, [output], name=name, **attributes))
        return output

    def constant(self, name: str, value: Tensor | NDArray[Any]) -> str:
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def conv(
        self, name: str, x: str, conv: nn.Conv1d | nn.Conv2d, weight: Tensor, bias: Tensor | None
    ) -> str:
        inputs = [x, self.constant(f"{name}.weight", weight)]
        if bias is not None:
            inputs.append(self.constant(f"{name}.bias", bias))
        same = isinstance(conv, SameConv2d)
        padding = {"auto_pad": "SAME_UPPER"} if same else {"pads": [int(p) for p in conv.padding] * 2}
        return self.add(
            "Conv",
            name,
            inputs,
            kernel_shape=list(conv.kernel_size),
            strides=list(conv.stride),
            group=conv.groups,
            **padding,
        )

    def conv_norm(self, name: str, x: str, module: ConvNorm) -> str:
        conv, norm = module.conv, module.norm
        assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        assert norm.running_var is not None and norm.running_mean is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        x = self.conv(
            name, x, conv, conv.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale
        )
        return self.activation(f"{name}.activation", x, module[2]) if len(module) == 3 else x

    def linear(self, name: str, x: str, linear: nn.Module, output: str | None = None) -> str:
        assert isinstance(linear, nn.Linear)
        inputs = [x, self.constant(f"{name}.weight", linear.weight)]
        if linear.bias is not None:
            inputs.append(self.constant(f"{name}.bias", linear.bias))
        return self.add("Gemm", name, inputs, output, transB=1)

    def activation(self, name: str, x: str, module: nn.Module) -> str:
        match module:
            case nn.ReLU():
                return self.add("Relu", name, [x])
            case nn.ReLU6():
                bounds = [self.constant(f"{name}.{value}", np.array(value, np.float32)) for value in (0, 6)]
                return self.add("Clip", name, [x, *bounds])
            case nn.Hardswish():
                return self.add("HardSwish", name, [x])
            case nn.SiLU():
                return self.add("Mul", name, [x, self.add("Sigmoid", f"{name}.gate", [x])])
            case nn.Hardsigmoid():
                return self.add("HardSigmoid", name, [x], alpha=1 / 6, beta=0.5)
            case nn.Sigmoid():
                return self.add("Sigmoid", name, [x])
        raise TypeError(f"{name}: no ONNX form of {type(module).__name__}")

    def attention(self, name: str, x: str, module: SqueezeExcite | EfficientChannelAttention) -> str:
        scale = self.add("GlobalAveragePool", f"{name}.pool", [x])
        if isinstance(module, SqueezeExcite):
            for layer, conv, act in (
                ("reduce", module.reduce, module.activation),
                ("restore", module.restore, module.gate),
            ):
                scale = self.conv(f"{name}.{layer}", scale, conv, conv.weight, conv.bias)
                scale = self.activation(f"{name}.{layer}.activation", scale, act)
        else:
            channels = self.constant(f"{name}.as_row", np.array([0, 1, -1], dtype=np.int64))
            scale = self.add("Reshape", f"{name}.row", [scale, channels])
            scale = self.conv(f"{name}.conv", scale, module.conv, module.conv.weight, None)
            scale = self.activation(f"{name}.gate", scale, module.gate)
            maps = self.constant(f"{name}.as_maps", np.array([0, -1, 1, 1], dtype=np.int64))
            scale = self.add("Reshape", f"{name}.maps", [scale, maps])
        return self.add("Mul", f"{name}.scale", [x, scale])

    def head(self, x: str, network: Network) -> str:
        x = self.conv_norm("features", x, network.features)
        x = self.add("GlobalAveragePool", "pool", [x])
        x = self.add("Flatten", "flatten", [x], axis=1)
        if network.hidden is not None:
            x = self.linear("hidden", x, network.hidden[0])
            x = self.activation("hidden.activation", x, network.hidden[1])
        return self.linear("classifier", x, network.classifier, output="logits")

    def bneck(self, name: str, x: str, block: nn.Module) -> str:
        assert isinstance(block, Bneck)
        y = x if block.expand is None else self.conv_norm(f"{name}.expand", x, block.expand)
        y = self.conv_norm(f"{name}.depthwise", y, block.depthwise)
        if isinstance(block.attention, SqueezeExcite | EfficientChannelAttention):
            y = self.attention(f"{name}.attention", y, block.attention)
        y = self.conv_norm(f"{name}.project", y, block.project)
        return self.add("Add", f"{name}.residual", [x, y]) if block.residual else y
