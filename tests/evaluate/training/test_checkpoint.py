"""Checkpoints: round trip and errors."""

import json
import math
import os
import pickle
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bneck.evaluate import Epoch, Recipe
from bneck.evaluate.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_trained_network,
    make_checkpoint,
    save_checkpoint,
)
from bneck.search_space import BneckError, Head, RunError
from bneck.search_space.network import Network, build_network, example_images

from ...search_space.helpers import TOY
from ..example_training import noise_data

CURVE = (Epoch(0.1 + 0.2, 1 / 3, 0.9, None, 12.5), Epoch(1e-300, None, None, 2 / 3, None))
RECIPE = Recipe(optimizer="rmsprop", ema=0.9999, augment="mixup+flip-crop", weight_decay=1e-5)


def lively(seed: int = 0, **norm: float) -> Network:
    """A network whose batch normalisation statistics differ from their initial values."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network(TOY, **norm)
    network(example_images(TOY, count=4))
    return network


def checkpoint(network: Network | None = None, **changes: Any) -> Checkpoint:
    result = make_checkpoint(network or lively(), noise_data(), RECIPE, 7, CURVE, {"count": torch.tensor(3)})
    return replace(result, **changes)


def saved(path: Path, **changes: Any) -> Checkpoint:
    given = checkpoint(**changes)
    save_checkpoint(given, path)
    return given


def error_of(path: Path) -> str:
    """The one-line error of a file."""
    with pytest.raises(BneckError) as caught:
        load_checkpoint(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def altered(path: Path, **metadata: str | None) -> None:
    """Change metadata of a checkpoint; None removes an entry."""
    with safe_open(path, framework="pt") as file:
        words = dict(file.metadata()) | metadata
    save_file(load_file(path), path, {name: word for name, word in words.items() if word is not None})


def test_everything_comes_back_as_it_was(tmp_path: Path) -> None:
    given = saved(tmp_path / "net")
    back = load_checkpoint(tmp_path / "net")
    for field in fields(Checkpoint):
        if field.name not in ("weights", "state"):
            assert getattr(back, field.name) == getattr(given, field.name), field.name
    assert (back.data, back.class_names, back.seed, back.curve) == ("noise", ("a", "b"), 7, CURVE)
    assert (back.pixel_mean, back.pixel_std) == (noise_data().pixel_mean, noise_data().pixel_std)


def assert_same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.dtype == second[name].dtype, name
        assert value.numpy().tobytes() == second[name].contiguous().numpy().tobytes(), name


def test_weights_statistics_and_state_come_back_to_the_bit(tmp_path: Path) -> None:
    odd = {
        "nan": torch.tensor([math.nan, -0.0, math.inf, 1e-45]),
        "optimizer.0.step": torch.tensor(5.0),
        "random.cpu": torch.get_rng_state(),
        "empty": torch.zeros(0, 3),
        "weights.inner": torch.tensor(2**53 + 1),
        "state.inner": torch.tensor(True),
    }
    network = lively()
    saved(tmp_path / "net", network=network, state=odd)
    back = load_checkpoint(tmp_path / "net")
    assert_same(network.state_dict(), back.weights)
    assert_same(odd, back.state)
    assert_same(network.state_dict(), back.network().state_dict())


def test_the_tensors_of_a_file_have_the_names_of_the_network(tmp_path: Path) -> None:
    network = lively()
    saved(tmp_path / "net", network=network, state={})
    build_network(TOY).load_state_dict(load_file(tmp_path / "net"), strict=True)


def test_files_whose_weights_have_a_prefix_are_read_as_well(tmp_path: Path) -> None:
    network = lively()
    saved(tmp_path / "net", network=network, state={})
    with safe_open(tmp_path / "net", framework="pt") as file:
        metadata = file.metadata()
    earlier = {f"weights.{name}": value for name, value in load_file(tmp_path / "net").items()}
    save_file(earlier | {"state.step": torch.tensor(1)}, tmp_path / "net", metadata)
    back = load_checkpoint(tmp_path / "net")
    assert_same(network.state_dict(), back.weights)
    assert list(back.state) == ["step"]


def test_channels_last_weights_survive(tmp_path: Path) -> None:
    network = lively().to(memory_format=torch.channels_last)
    assert not network.stem.get_parameter("conv.weight").is_contiguous()
    saved(tmp_path / "net", network=network)
    back = load_checkpoint(tmp_path / "net")
    assert all(value.is_contiguous() for value in back.weights.values())
    for name, value in network.state_dict().items():
        assert value.equal(back.weights[name]), name


def test_non_contiguous_tensors_survive(tmp_path: Path) -> None:
    saved(tmp_path / "net", state={"odd": torch.arange(12.0)[::2], "turned": torch.arange(6).view(2, 3).T})
    back = load_checkpoint(tmp_path / "net").state
    assert back["odd"].tolist() == [0, 2, 4, 6, 8, 10]
    assert back["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_the_network_of_a_file_gives_the_same_logits(tmp_path: Path) -> None:
    network = lively(norm_eps=1e-3, norm_momentum=0.01)
    saved(tmp_path / "net", network=network)
    back = load_checkpoint(tmp_path / "net").network()
    assert not back.training
    images = example_images(TOY, count=3)
    assert back(images).equal(network.eval()(images))
    norms = [module for module in back.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


@pytest.mark.parametrize("names", [("Bär", "猫"), ("a\nb", 'quo"te'), ("no", "12:30"), ("", " ")])
def test_class_names_come_back_letter_by_letter(names: tuple[str, ...], tmp_path: Path) -> None:
    saved(tmp_path / "net", class_names=names, data="folder:/Größe/猫")
    back = load_checkpoint(tmp_path / "net")
    assert (back.class_names, back.data) == (names, "folder:/Größe/猫")


def test_the_old_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    for seed in (1, 2):
        saved(tmp_path / "net", network=lively(seed))
    assert [path.name for path in tmp_path.iterdir()] == ["net"]
    newest = lively(2).stem.get_parameter("conv.weight")
    assert load_checkpoint(tmp_path / "net").weights["stem.conv.weight"].equal(newest)


def test_a_checkpoint_that_is_open_outlives_its_successor(tmp_path: Path) -> None:
    saved(tmp_path / "net", network=lively(1))
    opened = load_checkpoint(tmp_path / "net")
    saved(tmp_path / "net", network=lively(2))
    assert_same(lively(1).state_dict(), opened.weights)


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net"
    saved(path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"net cannot be written: No space left on device$"):
        saved(path, network=lively(1))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["net"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    message = f"{tmp_path / 'net'}: checkpoint file not found"
    assert error_of(tmp_path / "net") == message
    (tmp_path / "net").mkdir()
    assert error_of(tmp_path / "net") == message


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"PK\3\4" + bytes(100),
        bytes(8) + b"{}",
        b"\xff" * 64,
        (2).to_bytes(8, "little") + b"[]",
    ],
    ids=["nothing", "text", "a zip", "no header", "a vast header", "a list"],
)
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net"
    path.write_bytes(content)
    assert error_of(path).startswith(f"{path}: not a bneck checkpoint (")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_file_cut_short_is_refused(share: float, tmp_path: Path) -> None:
    path = tmp_path / "net"
    saved(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert error_of(path).startswith(f"{path}: not a bneck checkpoint (")


class Trap:
    """Runs a command when it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.sprung),)


@pytest.mark.parametrize("torchs", [True, False])
def test_a_file_cannot_run_code(torchs: bool, tmp_path: Path) -> None:
    path, sprung = tmp_path / "net", tmp_path / "sprung"
    if torchs:
        torch.save({"stem.conv.weight": Trap(sprung)}, path)
    else:
        path.write_bytes(pickle.dumps(Trap(sprung)))
    assert error_of(path).startswith(f"{path}: not a bneck checkpoint (")
    assert not sprung.exists()


def test_tensors_of_another_program_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net"
    save_file({"weight": torch.zeros(2)}, path)
    form = "must be a checkpoint with schema checkpoint/1, got"
    assert error_of(path).startswith(f"{path}: {form} no schema")
    assert "--weights FILE" in error_of(path)
    save_file({"weight": torch.zeros(2)}, path, {"format": "pt"})
    assert error_of(path).startswith(f"{path}: {form} no schema")
    assert "--weights FILE" in error_of(path)


def test_a_form_of_another_version_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net"
    saved(path)
    altered(path, bneck="checkpoint/9")
    assert error_of(path) == f"{path}: must be a checkpoint with schema checkpoint/1, got checkpoint/9"


@pytest.mark.parametrize("name", ["architecture", "recipe", "info"])
def test_a_part_that_is_missing_or_broken_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "net"
    for word in (None, "", "[", "7", "[1, 2]", '{"bneck": "other/1"}'):
        saved(path)
        altered(path, **{name: word})
        message = error_of(path)
        assert name in message or message.startswith(f"{path}: the checkpoint is damaged ("), word


@pytest.mark.parametrize(
    ("name", "value"),
    [("curve", None), ("curve", [{"loss": 1}]), ("curve", [3]), ("class_names", 5), ("pixel_mean", None)],
)
def test_facts_of_another_kind_are_refused(name: str, value: Any, tmp_path: Path) -> None:
    path = tmp_path / "net"
    saved(path)
    with safe_open(path, framework="pt") as file:
        info = json.loads(file.metadata()["info"])
    altered(path, info=json.dumps(info | {name: value}))
    assert error_of(path).startswith(f"{path}: the checkpoint is damaged (")


def test_a_fact_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net"
    saved(path)
    with safe_open(path, framework="pt") as file:
        info = json.loads(file.metadata()["info"])
    del info["norm_eps"]
    altered(path, info=json.dumps(info))
    assert error_of(path) == f"{path}: the checkpoint is damaged ('norm_eps')"


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = build_network(replace(TOY, head=Head(11)))
    saved(tmp_path / "net", weights=other.state_dict())
    with pytest.raises(RunError, match=rf"^the weights do not fit network {TOY.key} \("):
        load_checkpoint(tmp_path / "net").network()


def test_a_weight_that_is_missing_is_noticed(tmp_path: Path) -> None:
    weights = dict(lively().state_dict())
    del weights["blocks.0.depthwise.norm.running_var"]
    saved(tmp_path / "net", weights=weights)
    with pytest.raises(RunError, match="the weights do not fit network"):
        load_checkpoint(tmp_path / "net").network()


def test_a_network_is_asked_for_by_its_architecture(tmp_path: Path) -> None:
    path = tmp_path / "net"
    saved(path)
    other = replace(TOY, head=Head(11))
    assert load_trained_network(TOY, path).architecture == TOY
    with pytest.raises(RunError) as caught:
        load_trained_network(other, path)
    assert str(caught.value) == f"{path}: must hold network {other.key}, got {TOY.key}"


def test_other_data_is_seen_as_the_training_data_was() -> None:
    result = checkpoint(pixel_mean=(1.0, 2.0, 3.0), pixel_std=(4.0, 5.0, 6.0))
    data = result.normalize_data(noise_data(train=40))
    assert (data.pixel_mean, data.pixel_std) == ((1, 2, 3), (4, 5, 6))
    first, _ = next(data.batches("validation", 8, 1))
    pixel = noise_data(train=40).splits["validation"].pixels[0, 2, 3].float()
    expected = (pixel - torch.tensor([1.0, 2, 3])) / torch.tensor([4.0, 5, 6])
    torch.testing.assert_close(first[0, :, 2, 3], expected)


def test_data_with_other_classes_or_channels_is_refused() -> None:
    with pytest.raises(RunError, match=r"^noise: the network needs 3 channels, got 1$"):
        checkpoint().normalize_data(noise_data(channels=1))
    # the same names in another order would count right answers as wrong
    with pytest.raises(RunError, match=r"^noise: .*order.* 0 .*'b'.*'a'"):
        checkpoint().normalize_data(noise_data(names=("b", "a")))


def test_a_recipe_that_can_be_made_can_be_read_back(tmp_path: Path) -> None:
    try:
        boundless = replace(RECIPE, max_grad_norm=math.inf)
    except BneckError:
        return
    saved(tmp_path / "net", recipe=boundless)
    assert load_checkpoint(tmp_path / "net").recipe == boundless


def test_a_file_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net"
    saved(path)
    altered(path, info="[" * 100_000)
    error_of(path)
