"""Weights that go to disk and come back."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bneck.evaluate.weights import save_weights, trained_network
from bneck.search_space import Head, RunError
from bneck.search_space.network import Network, build_network, example_images

from ..search_space.helpers import TOY


def after_some_training(seed: int = 0) -> Network:
    """Batch normalisation has seen images, so that its statistics are not those of a new network."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network(TOY)
    network(example_images(TOY, count=4))
    return network


def error_of(path: Path) -> str:
    with pytest.raises(RunError) as caught:
        trained_network(TOY, path)
    return str(caught.value)


def test_weights_and_statistics_come_back_to_the_bit(tmp_path: Path) -> None:
    network = after_some_training()
    save_weights(network, tmp_path / "net.pt")
    again = trained_network(TOY, tmp_path / "net.pt")
    assert list(again.state_dict()) == list(network.state_dict())
    for name, value in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    assert again.architecture == TOY


def test_one_file_is_written_and_the_old_one_replaced(tmp_path: Path) -> None:
    for seed in (1, 2):
        save_weights(after_some_training(seed), tmp_path / "net.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["net.pt"]
    newest = after_some_training(2).stem.get_parameter("conv.weight")
    assert trained_network(TOY, tmp_path / "net.pt").stem.get_parameter("conv.weight").equal(newest)


def test_a_write_cut_short_leaves_the_old_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.pt"
    save_weights(after_some_training(), path)
    before = path.read_bytes()

    def cut_short(state: Any, target: Path) -> None:
        target.write_bytes(before[: len(before) // 2])
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", cut_short)
    with pytest.raises(OSError, match="no space left"):
        save_weights(after_some_training(1), path)
    assert path.read_bytes() == before


def test_missing_weights_are_named_with_their_network(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    assert error_of(path) == f"{path}: the weights of network {TOY.key} are missing"


@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        b"PK\3\4",
        b"",
    ],
    ids=["text", "the start of a zip", "nothing"],
)
def test_a_file_without_weights_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    path.write_bytes(content)
    assert error_of(path).startswith(f"{path}: no weights of network {TOY.key}: ")


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    save_weights(after_some_training(), path)
    path.write_bytes(path.read_bytes()[:-100])
    assert error_of(path).startswith(f"{path}: no weights of network {TOY.key}: ")


def test_the_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    save_weights(build_network(replace(TOY, head=Head(11))), path)
    assert error_of(path).startswith(f"{path}: no weights of network {TOY.key}: ")


class Trap:
    """What runs a command when it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.sprung),)


def test_a_file_cannot_run_code(tmp_path: Path) -> None:
    path, sprung = tmp_path / "net.pt", tmp_path / "sprung"
    torch.save({"stem.conv.weight": Trap(sprung)}, path)
    assert error_of(path).startswith(f"{path}: no weights of network {TOY.key}: ")
    assert not sprung.exists()
