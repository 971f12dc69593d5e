"""Every format of random networks of every preset, against torch."""

import json
import math
import random
import subprocess
import sys
import warnings
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from bneck.evaluate import network_from
from bneck.results import DataSettings
from bneck.results.export.exportable import Exportable, OnnxOptions
from bneck.results.export.models import FORMATS, write_files
from bneck.results.export.python_file import run_source
from bneck.search_space import (
    PRESETS,
    Architecture,
    ArchitectureError,
    Head,
    RunError,
    cost,
    load_architecture,
    load_space,
    published_architecture,
)
from bneck.search_space.network import Network, build_network, example_images

from ...evaluate.example_checkpoint import keep
from ...search_space.test_network import lively

CLASSES = ("cat", 'the "dog"', 'naïve\\\n\'""" ', *"defghij")
NORM_EPS = 1e-3


def networks() -> dict[str, Architecture]:
    """A random network of each preset, and published ones with parts that presets lack; at 33 px."""
    found = {name: load_space(name) for name in PRESETS}
    drawn = {name: space.decode(space.sample(random.Random(3))) for name, space in found.items()}
    published = {
        name: published_architecture(name)
        for name in ("mobilenet_v3_small@0.5", "mobilenet_v2@0.35", "efficientnet_lite0", "efficientnet_b0")
    }
    small = published_architecture("mobilenet_v3_small")  # grey, with another stem and head
    stem, head = replace(small.stem, stride=1, activation="relu"), Head(96, 0, "relu")
    published["reduced"] = replace(small, image_channels=1, stem=stem, head=head, blocks=small.blocks[:4])
    drawn["no bias"] = replace(drawn["mobile-64"], head=Head(96, 40, hidden_bias=False))
    return {
        name: replace(each, resolution_px=33, classes=len(CLASSES))
        for name, each in (drawn | published).items()
    }


NETWORKS = networks()
TORCHVISION = ("mobilenet_v3_small@0.5", "reduced")  # of ReLU, hard swish and SE of a quarter


def exportable(architecture: Architecture, folder: Path) -> tuple[Exportable, Network]:
    folder.mkdir(exist_ok=True)
    network = build_network(architecture, norm_eps=NORM_EPS)
    lively(network)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data *= 0.7  # or fp32 alone is some 1e-3 from fp64 in deep networks
    file = folder / f"{architecture.key}.safetensors"
    keep(network, file)
    mean = (0.5,) * architecture.image_channels
    data = DataSettings("folder:photos", class_names=CLASSES, pixel_mean=mean, pixel_std=mean)
    metadata = {"run": 'a "run"\\', "trial": 7}
    return Exportable(f"trial7-{architecture.key}", architecture, data, file, metadata), network


@pytest.mark.parametrize("name", NETWORKS)
def test_every_format_of_a_network_gives_its_logits(name: str, tmp_path: Path) -> None:
    network, torch_network = exportable(NETWORKS[name], tmp_path)
    formats = [*FORMATS][: [*FORMATS].index("int8")]  # those that need neither images nor other runtimes
    formats = [each for each in formats if each != "torchvision" or name in TORCHVISION]
    exported = dict(zip(formats, write_files([network], formats, tmp_path / "out"), strict=True))
    differences = {name: each.difference for name, each in exported.items()}
    assert (differences.pop("config"), differences.pop("card")) == (None, None)
    assert (differences["timm"] is None) == (find_spec("timm") is None)
    assert max(each for each in differences.values() if each is not None) < 1e-4
    folder = exported["huggingface"].path
    images = example_images(NETWORKS[name], 2)
    with torch.no_grad():
        expected = torch_network(images)
        assert expected.std() > 0.03
        assert torch.equal(network_from(folder)(images), expected)
        assert torch.equal(network_from(exported["config"].path, exported["weights"].path)(images), expected)
    assert load_architecture(folder / "config.json") == load_architecture(exported["config"].path)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert (config["num_classes"], config["label_names"]) == (len(CLASSES), list(CLASSES))


@pytest.mark.extra
def test_timm_creates_the_network_from_the_folder(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm", reason="extra: bneck[timm]")
    for name in ("mobile-32", "mobilenet_v3_small@0.5"):  # without a hidden layer and with one
        network, torch_network = exportable(NETWORKS[name], tmp_path / name)
        source, folder = write_files([network], ["timm", "huggingface"], tmp_path / name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter has registered the name
            module = run_source(source.path.read_bytes(), source.path.stem)
        model = timm.create_model(f"local-dir:{folder.path}", pretrained=True).eval()
        images = example_images(network.architecture, 2)
        with torch.no_grad():
            difference = (model(images) - torch_network(images)).abs().max()
        assert difference < 1e-4 * torch_network(images).abs().max()
        counted = sum(parameter.numel() for parameter in model.parameters())
        assert counted == cost(network.architecture).params
        transform = timm.data.resolve_model_data_config(model)
        size_px = network.architecture.resolution_px
        assert [*transform["input_size"]] == [network.architecture.image_channels, size_px, size_px]
        assert [*transform["mean"]] == pytest.approx([0.5 / 255] * network.architecture.image_channels)
        maps = timm.create_model(network.model_name, features_only=True)(images)
        assert maps[-1].shape[-1] == -(-size_px // maps_stride(network.architecture))
        state = model.state_dict()
        assert module.from_bneck(state) is state


def maps_stride(architecture: Architecture) -> int:
    return math.prod([architecture.stem.stride, *(block.stride for block in architecture.blocks)])


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"activation": "silu"}, "activation is relu or hardswish, not silu"),
        ({"attention": "eca", "squeeze": 0}, "no ECA attention"),
        ({"gate": "sigmoid"}, "gate is hardsigmoid, not sigmoid"),
        ({"squeeze": 9}, "squeeze is 8, not 9"),
        ({"expanded": 20, "squeeze": 8}, "expanded is a multiple of 8, not 20"),
    ],
)
def test_what_torchvision_cannot_express_names_the_block(
    changed: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    small = NETWORKS["mobilenet_v3_small@0.5"]
    blocks = (replace(small.blocks[0], **changed), *small.blocks[1:])
    network, _ = exportable(replace(small, blocks=blocks), tmp_path)
    with pytest.raises(ArchitectureError, match=f"block 1 .*{problem}; use --format python"):
        write_files([network], ["torchvision"], tmp_path / "out")


@pytest.mark.parametrize(("batch", "embedded"), [(None, True), (3, False), (3, True)])
def test_an_onnx_model_with_a_fixed_batch_and_its_preprocessing(
    batch: int | None, embedded: bool, tmp_path: Path
) -> None:
    network, torch_network = exportable(NETWORKS["mobilenet_v2@0.35"], tmp_path)
    network = replace(network, onnx=OnnxOptions(batch, embedded))
    [exported] = write_files([network], ["onnx"], tmp_path / "out")
    assert exported.difference is not None and exported.difference < 1e-4
    session = onnxruntime.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    [images], [outputs] = session.get_inputs(), session.get_outputs()
    assert (images.name, outputs.name) == (("pixels", "probabilities") if embedded else ("images", "logits"))
    assert images.shape == [batch or "n", *((33, 33, 3) if embedded else (3, 33, 33))]
    if embedded:
        pixels = np.random.default_rng(1).integers(0, 256, (3, 33, 33, 3), np.uint8)
        [probabilities] = session.run(None, {"pixels": pixels})
        with torch.no_grad():
            expected = torch_network((torch.from_numpy(pixels).permute(0, 3, 1, 2) - 0.5) / 0.5).softmax(1)
        assert probabilities == pytest.approx(expected.numpy(), abs=1e-4)


def test_the_python_file_needs_nothing_but_torch(tmp_path: Path) -> None:
    network, torch_network = exportable(NETWORKS["efficientnet_lite0"], tmp_path)
    [source, weights] = write_files([network], ["python", "weights"], tmp_path)
    script = f"""
import runpy, sys, torch
from safetensors.torch import load_file
names = runpy.run_path({str(source.path)!r})
model = names["network"]()
model.load_state_dict(load_file({str(weights.path)!r}))
images = torch.load({str(tmp_path / "images.pt")!r})
torch.save((model(images), names["CLASS_NAMES"]), {str(tmp_path / "logits.pt")!r})
print(*{{"bneck", "torchvision", "timm"}} & set(sys.modules))
"""
    images = example_images(network.architecture, 2)
    torch.save(images, tmp_path / "images.pt")
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
    logits, class_names = torch.load(tmp_path / "logits.pt")
    with torch.no_grad():
        assert (logits - torch_network(images)).abs().max() < 1e-4
    assert class_names == list(CLASSES)


def test_weights_of_another_network_are_named(tmp_path: Path) -> None:
    network, _ = exportable(NETWORKS["tiny"], tmp_path)
    other, _ = exportable(NETWORKS["mobilenet_v2@0.35"], tmp_path)
    [config] = write_files([network], ["config"], tmp_path)
    [weights] = write_files([other], ["weights"], tmp_path)
    with pytest.raises(RunError, match=f"{weights.path}: not the weights of {config.path}"):
        network_from(config.path, weights.path)
    assert load_file(weights.path)
