"""Models of timm in bneck's form."""

import socket
from pathlib import Path
from typing import Any

import pytest
import torch

from bneck.evaluate.training.pretrained import describe_weights, pretrained_network, pretrained_normalization
from bneck.search_space import ArchitectureError, RunError, cost

from ...search_space.test_network import lively

timm = pytest.importorskip("timm", reason="extra: bneck[timm]")
pytestmark = pytest.mark.extra

SMALL = "timm:mobilenetv3_small_050.lamb_in1k"


def saved(name: str, folder: Path) -> tuple[Any, Path]:
    """A model of timm in which every layer shows in the logits, and its file."""
    model = lively(timm.create_model(name.removeprefix("timm:")))
    torch.save(model.state_dict(), folder / "weights.pth")
    return model, folder / "weights.pth"


@pytest.mark.parametrize(
    ("name", "side"),
    [
        (SMALL, 224),
        ("timm:tf_mobilenetv3_large_minimal_100.in1k", 75),  # SAME padding, no attention
        ("timm:mobilenetv2_050.lamb_in1k", 75),
        ("timm:semnasnet_075.rmsp_in1k", 75),  # logistic gates after ReLU
        ("timm:tf_efficientnet_b0.in1k", 75),  # logistic gates after SiLU, SAME padding
        ("timm:tf_efficientnet_lite2.in1k", 260),
        ("timm:hardcorenas_a.miil_green_in1k", 75),
    ],
)
def test_a_model_of_timm_keeps_its_logits(name: str, side: int, tmp_path: Path) -> None:
    model, file = saved(name, tmp_path)
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    ours = pretrained_network(name, file).eval()
    with torch.no_grad():
        expected = model(images)
        assert expected.std() > 0.1
        assert (ours(images) - expected).abs().max() <= 1e-4 * expected.abs().max()
    assert cost(ours.architecture).params == sum(parameter.numel() for parameter in model.parameters())
    assert ours.architecture.resolution_px == model.pretrained_cfg["input_size"][1]
    mean, _ = pretrained_normalization(name)
    assert mean == pytest.approx([255 * value for value in model.pretrained_cfg["mean"]])
    assert describe_weights(name) == f"weights of {name}"


@pytest.mark.parametrize("name", ["resnet18", "mixnet_s", "mobilenetv1_100", "efficientnet_blur_b0"])
def test_models_of_other_families_are_refused(name: str) -> None:
    with pytest.raises(ArchitectureError, match=f"must be a model of the MobileNet family, got timm:{name} "):
        pretrained_network(f"timm:{name}")


def test_the_block_that_cannot_be_expressed_is_named() -> None:
    with pytest.raises(ArchitectureError, match=r"block 1 .*1x1 expansion at ratio 1"):
        pretrained_network("timm:fbnetc_100")


@pytest.mark.parametrize("name", ["mobilenetv3_smal", "mobilenetv3_small_100.nowhere"])
def test_unknown_models_are_named(name: str) -> None:
    with pytest.raises(ArchitectureError, match=f"must be a model of timm, got {name}"):
        pretrained_network(f"timm:{name}")


def test_the_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    _, file = saved("timm:mobilenetv3_small_075", tmp_path)
    with pytest.raises(RunError, match=f"{file}: not the weights of {SMALL}"):
        pretrained_network(SMALL, file)


def test_without_a_network_missing_weights_are_named_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The hub's client would try six times within 50 s."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("bneck.evaluate.training.timm_networks.getproxies", dict)
    asked: list[object] = []

    def unknown(*address: object, **_: object) -> None:
        asked.append(address)
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(RunError, match="--weights FILE"):
        pretrained_network(SMALL)
    assert len(asked) == 1


def test_weights_that_cannot_be_downloaded_are_named_with_url_and_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create = timm.create_model

    def offline(*args: Any, pretrained: bool = False, **options: Any) -> Any:
        if pretrained:
            raise ConnectionError("no network")
        return create(*args, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(RunError) as caught:
        pretrained_network(SMALL)
    message = str(caught.value)
    # 1.59M parameters and the statistics of batch normalisation, 4 bytes each
    for part in ("https://huggingface.co/timm/mobilenetv3_small_050.lamb_in1k (6.4 MB)", "--weights FILE"):
        assert part in message
    assert "\n" not in message
