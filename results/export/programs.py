"""The network for runtimes: ExecuTorch, LiteRT, OpenVINO, ncnn, and torch.export."""

import io
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...search_space import RunError
from ...search_space.errors import first_line
from .exportable import Exportable
from .onnx_model import onnx_model

if TYPE_CHECKING:
    from torch import Tensor

_XML, _BIN = "model.xml", "model.bin"
_PARAM, _WEIGHTS = "model.ncnn.param", "model.ncnn.bin"


def pt2_program(network: Exportable) -> bytes:
    """A program of `torch.export`, for any batch unless it is fixed."""
    import torch

    batch = network.onnx.batch
    images = torch.zeros(batch or 2, *network.network.input_shape)
    shapes = None if batch else ({0: torch.export.Dim("n", min=1, max=4096)},)
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(network.network, (images,), dynamic_shapes=shapes), buffer)
    return buffer.getvalue()


def pt2_logits(network: Exportable, content: bytes, images: "Tensor") -> "Tensor":
    import torch

    logits: Tensor = torch.export.load(io.BytesIO(content)).module()(images)
    return logits


def executorch_program(network: Exportable) -> bytes:
    """An ExecuTorch program for XNNPACK, for one image unless another batch is given."""
    from ...evaluate.latency.backends.executorch import export_executorch

    return export_executorch(network.network, network.onnx.batch or 1)


def executorch_logits(network: Exportable, content: bytes, images: "Tensor") -> "Tensor":
    import torch
    from executorch.runtime import Runtime

    method = Runtime.get().load_program(content).load_method("forward")
    return torch.cat([method.execute((part,))[0].clone() for part in _parts(network, images)])


def litert_model(network: Exportable) -> bytes:
    """A LiteRT (TensorFlow Lite) model, for one image unless another batch is given."""
    from ...evaluate.latency.backends.command import model_writer

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.tflite"
        model_writer("tflite")(network.network, network.onnx.batch or 1, file)
        return file.read_bytes()


def litert_logits(network: Exportable, content: bytes, images: "Tensor") -> "Tensor":
    import torch

    interpreter = import_module("ai_edge_litert.interpreter").Interpreter(model_content=content)
    interpreter.allocate_tensors()
    [given], [found] = interpreter.get_input_details(), interpreter.get_output_details()
    logits = []
    for part in _parts(network, images):
        interpreter.set_tensor(given["index"], part.numpy())
        interpreter.invoke()
        logits.append(torch.from_numpy(interpreter.get_tensor(found["index"])))
    return torch.cat(logits)


def openvino_files(network: Exportable) -> Mapping[str, bytes]:
    """OpenVINO's two files, in fp32."""
    openvino = _openvino()
    try:
        model = openvino.Core().read_model(onnx_model(_plain(network)))
        with tempfile.TemporaryDirectory() as folder:
            openvino.save_model(model, str(Path(folder) / _XML), compress_to_fp16=False)
            return {name: (Path(folder) / name).read_bytes() for name in (_XML, _BIN)}
    except RuntimeError as error:
        raise RunError(f"openvino cannot convert the network: {first_line(error)}") from None


def openvino_logits(network: Exportable, files: Mapping[str, bytes], images: "Tensor") -> "Tensor":
    import torch

    core = _openvino().Core()
    model = core.read_model(files[_XML], files[_BIN])
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return torch.from_numpy(compiled(images.numpy())[0].copy())


def ncnn_files(network: Exportable) -> Mapping[str, bytes]:
    """ncnn's two files, in fp32, for one image."""
    from ...evaluate.latency.backends.ncnn import convert_to_ncnn

    with tempfile.TemporaryDirectory() as folder:
        return {path.name: path.read_bytes() for path in convert_to_ncnn(network.network, Path(folder))}


def ncnn_logits(network: Exportable, files: Mapping[str, bytes], images: "Tensor") -> "Tensor":
    import numpy as np
    import torch

    ncnn = import_module("ncnn")
    net, logits = ncnn.Net(), []
    net.opt.use_vulkan_compute = False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        if net.load_param(str(Path(folder) / _PARAM)) or net.load_model(str(Path(folder) / _WEIGHTS)):
            raise RunError("ncnn cannot load the network that pnnx converted")
        for image in images:
            extractor = net.create_extractor()
            extractor.input("in0", ncnn.Mat(np.ascontiguousarray(image.numpy())))
            logits.append(torch.from_numpy(np.array(extractor.extract("out0")[1])).flatten())
    return torch.stack(logits)


def _plain(network: Exportable) -> Exportable:
    return replace(network, onnx=replace(network.onnx, embed_preprocessing=False))


def _parts(network: Exportable, images: "Tensor") -> Iterator["Tensor"]:
    import torch

    yield from torch.split(images, network.onnx.batch or 1)


def _openvino() -> Any:
    from ...evaluate.optional_dependencies import optional_import

    with optional_import("format openvino", extra="openvino", error=RunError):
        import openvino
    return openvino
