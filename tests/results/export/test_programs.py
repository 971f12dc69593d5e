"""Models for other runtimes, and the 8-bit model."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from bneck.evaluate import load_data
from bneck.evaluate.training.metrics import predict
from bneck.results import DataSettings
from bneck.results.export.exportable import Exportable, OnnxOptions
from bneck.results.export.models import write_files
from bneck.search_space import published_architecture
from bneck.search_space.network import Network, build_network

from ...evaluate.example_checkpoint import keep
from ...search_space.test_network import lively

SMALL = published_architecture("mobilenet_v3_small@0.35")


def exportable(folder: Path) -> tuple[Exportable, Network]:
    """A random network for the digits."""
    architecture = replace(SMALL, resolution_px=16, image_channels=1, classes=10)
    network = build_network(architecture)
    lively(network)
    keep(network, folder / "checkpoint.safetensors")
    data = DataSettings("digits").of(load_data("digits"))
    return Exportable("digits", architecture, data, folder / "checkpoint.safetensors", {}), network


@pytest.mark.slow
@pytest.mark.parametrize("batch", [None, 3])
def test_a_program_of_torch_export_gives_the_logits(batch: int | None, tmp_path: Path) -> None:
    network, torch_network = exportable(tmp_path)
    [exported] = write_files([replace(network, onnx=OnnxOptions(batch))], ["pt2"], tmp_path)
    assert exported.difference is not None and exported.difference < 1e-4
    images = torch.rand(batch or 5, 1, 16, 16)
    with torch.no_grad():
        found = torch.export.load(exported.path).module()(images)
        assert (found - torch_network(images)).abs().max() < 1e-4 * torch_network(images).abs().max()


@pytest.mark.backends
@pytest.mark.parametrize("name", ["executorch", "openvino", "ncnn"])
def test_models_for_other_runtimes_give_the_logits(name: str, tmp_path: Path) -> None:
    pytest.importorskip(name, reason=f"extra: bneck[{name}]")
    network, _ = exportable(tmp_path)
    [exported] = write_files([network], [name], tmp_path)
    assert exported.difference is not None and exported.difference < 1e-3
    assert exported.path.is_dir() == (name != "executorch")


@pytest.mark.slow
def test_the_8_bit_model_states_accuracy_size_and_latency(tmp_path: Path) -> None:
    network, torch_network = exportable(tmp_path)
    fp32, int8 = write_files([network], ["onnx", "int8"], tmp_path)
    assert int8.difference is None
    model = onnx.load(int8.path)
    kinds = {node.op_type for node in model.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear", "Conv"} <= kinds
    channels = torch_network.architecture.stem.out
    scales = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    [stem] = [value for name, value in scales.items() if name.startswith("stem.weight") and "scale" in name]
    assert stem.shape == (channels,)  # one scale a channel
    known = {each.key: each.value for each in model.metadata_props}
    assert json.loads(known["class_names"]) == list("0123456789")
    report = json.loads(known["quantization"])
    logits, labels = predict(torch_network, load_data("digits"), "validation")
    assert report["images"] == len(labels)
    assert report["fp32_top1"] == pytest.approx(float((logits.argmax(1) == labels).float().mean()))
    images, _ = next(load_data("digits").batches("validation", 16, 64))
    session = onnxruntime.InferenceSession(int8.path, providers=["CPUExecutionProvider"])
    [quantized] = session.run(None, {"images": images.contiguous().numpy()})
    assert np.corrcoef(quantized.ravel(), logits[:64].numpy().ravel())[0, 1] > 0.9
    assert (report["fp32_size_bytes"], report["calibration_images"]) == (fp32.path.stat().st_size, 128)
    assert report["latency_ms"] > 0 and "validation images" in int8.note
