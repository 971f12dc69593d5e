"""Every format of random networks of every preset, against torch."""

import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bneck.evaluate import network_from
from bneck.results import DataSettings
from bneck.results.export.exportable import Exportable
from bneck.results.export.models import FORMATS, write_files
from bneck.search_space import (
    PRESETS,
    Architecture,
    RunError,
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
    return {
        name: replace(each, resolution_px=33, classes=len(CLASSES))
        for name, each in (drawn | published).items()
    }


NETWORKS = networks()


def exportable(architecture: Architecture, folder: Path) -> tuple[Exportable, Network]:
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
    exported = dict(zip(FORMATS, write_files([network], list(FORMATS), tmp_path / "out"), strict=True))
    differences = {name: each.difference for name, each in exported.items()}
    assert differences.pop("config") is None
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
