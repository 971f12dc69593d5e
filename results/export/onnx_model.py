"""The network as an ONNX model with its classes and preprocessing as metadata."""

import json
from typing import TYPE_CHECKING, Any

from ...search_space import architecture_yaml
from .exportable import Exportable

if TYPE_CHECKING:
    import onnx
    from torch import Tensor

PIXELS, PROBABILITIES = "pixels", "probabilities"


def onnx_model(network: Exportable) -> bytes:
    """`images` (n x channels x side x side, normalized) to `logits` (n x classes).

    With `onnx.embed_preprocessing` `pixels` (n x side x side x channels, uint8) to `probabilities`.
    """
    import onnx

    from ...search_space.onnx_graph import build_onnx_model

    model = build_onnx_model(network.network)
    if network.onnx.embed_preprocessing:
        _embed_preprocessing(model, network)
    if network.onnx.batch:
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = network.onnx.batch
    properties = {
        "architecture": architecture_yaml(network.architecture),
        "class_names": json.dumps(network.data.class_names),
        "pixel_mean": json.dumps(network.data.pixel_mean),
        "pixel_std": json.dumps(network.data.pixel_std),
        "preprocessing": json.dumps(network.preprocessing.metadata()),
    }
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def _embed_preprocessing(model: "onnx.ModelProto", network: Exportable) -> None:
    """Normalization before the network, softmax after it."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    graph, architecture = model.graph, network.architecture
    for name, constants in (("mean", network.data.pixel_mean), ("std", network.data.pixel_std)):
        constant = np.array(constants, np.float32)[:, None, None]
        graph.initializer.append(numpy_helper.from_array(constant, f"pixels.{name}"))
    before = [
        helper.make_node("Cast", [PIXELS], ["pixels.float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels.float"], ["pixels.nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["pixels.nchw", "pixels.mean"], ["pixels.centered"]),
        helper.make_node("Div", ["pixels.centered", "pixels.std"], ["images"]),
    ]
    nodes = [*before, *graph.node, helper.make_node("Softmax", ["logits"], [PROBABILITIES], axis=1)]
    size_px = architecture.resolution_px
    shape: list[str | int | None] = ["n", size_px, size_px, architecture.image_channels]
    pixels = helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, shape)
    probabilities = helper.make_tensor_value_info(
        PROBABILITIES, TensorProto.FLOAT, ["n", architecture.classes]
    )
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.input.append(pixels)
    graph.output.append(probabilities)


def onnx_logits(network: Exportable, content: bytes, images: "Tensor") -> "Tensor":
    """By onnxruntime; of a model with embedded preprocessing before its softmax."""
    import onnx
    import torch

    values = images.numpy()
    if network.onnx.embed_preprocessing:
        model = onnx.load_from_string(content)
        del model.graph.output[:]
        model.graph.output.append(onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, None))
        content, values = model.SerializeToString(), network.preprocessing.denormalize(images)
    session = open_session(content, torch.get_num_threads())
    [logits] = session.run(None, {session.get_inputs()[0].name: values})
    return torch.from_numpy(logits)


def open_session(content: bytes, threads: int) -> Any:
    """An `onnxruntime.InferenceSession` on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
