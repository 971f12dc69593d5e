"""The network as an ONNX model with its preprocessing as metadata."""

import json
from typing import TYPE_CHECKING

from ...search_space import architecture_yaml
from .exportable import Exportable

if TYPE_CHECKING:
    from torch import Tensor


def onnx_model(network: Exportable) -> bytes:
    """`images` (n x channels x side x side, normalized) to `logits` (n x classes)."""
    import onnx

    from ...search_space.onnx_graph import build_onnx_model

    model = build_onnx_model(network.network)
    properties = {
        "architecture": architecture_yaml(network.architecture),
        "class_names": json.dumps(network.data.class_names),
        "pixel_mean": json.dumps(network.data.pixel_mean),
        "pixel_std": json.dumps(network.data.pixel_std),
    }
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def onnx_logits(network: Exportable, content: bytes, images: "Tensor") -> "Tensor":
    """By onnxruntime."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    [logits] = session.run(None, {"images": images.numpy()})
    return torch.from_numpy(logits)
