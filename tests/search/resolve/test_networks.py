"""Architectures in the words of other programs."""

import json
from pathlib import Path

import pytest

from bneck.search.resolve.networks import resolve_network
from bneck.search_space import RunError, UnknownNameError, cost, published_architecture


def test_a_model_of_torchvision() -> None:
    half = resolve_network("torchvision:mnasnet0_5").architecture
    assert half == published_architecture("mnasnet_b1@0.5")
    with pytest.raises(UnknownNameError, match="unknown network of torchvision 'vgg11'"):
        resolve_network("torchvision:vgg11")


def test_a_config_for_the_hub(tmp_path: Path) -> None:
    architecture = published_architecture("mobilenet_v2@0.35")
    config = {"architecture": "mine", "bneck": architecture.to_dict()}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for name in (f"hf:{tmp_path}", f"hf:{tmp_path / 'config.json'}", str(tmp_path / "config.json")):
        assert resolve_network(name).architecture == architecture
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RunError, match="no config of timm or bneck"):
        resolve_network(f"hf:{tmp_path}")


@pytest.mark.extra
def test_a_config_of_timm_has_its_classes_and_resolution(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm", reason="extra: bneck[timm]")
    config = {
        "architecture": "spnasnet_100",
        "num_classes": 10,
        "pretrained_cfg": {"input_size": [3, 96, 96]},
    }
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    architecture = resolve_network(f"hf:{tmp_path}").architecture
    assert (architecture.classes, architecture.resolution_px) == (10, 96)
    model = timm.create_model("spnasnet_100", num_classes=10)
    assert cost(architecture).params == sum(parameter.numel() for parameter in model.parameters())
