"""Every torchvision data set in the table is read from its own files; nothing is downloaded unasked."""

from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch

from bneck.evaluate.data.dataset import SPLITS, load_data
from bneck.evaluate.data.in_memory import InMemoryData
from bneck.evaluate.data.streaming import StreamingData
from bneck.evaluate.data.torchvision_datasets import TORCHVISION_DATASETS
from bneck.search_space.errors import DataError, UnknownNameError

from .example_torchvision import WRITERS, noise, write_cifar10, write_cifar100

IN_MEMORY = ("CIFAR10", "CIFAR100", "EMNIST", "KMNIST", "MNIST", "SVHN", "USPS")


def error_of(name: str, root: Path, download: bool = False) -> str:
    with pytest.raises(DataError) as caught:
        load_data(name, root=root, download=download)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Requested addresses; every request fails."""
    requests: list[str] = []

    def refuse(request: Any, *_: Any, **__: Any) -> None:
        requests.append(getattr(request, "full_url", request))
        raise URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    return requests


def test_every_data_set_of_the_table_is_tested() -> None:
    assert set(WRITERS) == set(TORCHVISION_DATASETS)


@pytest.mark.parametrize("dataset", WRITERS)
def test_a_data_set_is_read_from_its_own_files(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, counts, first_class = WRITERS[dataset]
    write(tmp_path, monkeypatch)
    data = load_data(f"torchvision:{dataset}", root=tmp_path)
    assert [data.count(split) for split in SPLITS] == counts
    assert (data.name, data.class_names[0]) == (f"torchvision:{dataset}", first_class)
    assert isinstance(data, InMemoryData if dataset in IN_MEMORY else StreamingData)
    for split in SPLITS:
        assert set(data.labels(split).tolist()) == set(range(len(data.class_names)))
    test = torch.cat([labels for _, labels in data.batches("test", 8, 16)])
    assert test.equal(data.labels("test"))


@pytest.mark.parametrize("dataset", ["EMNIST", "GTSRB", "KMNIST", "MNIST", "SVHN", "USPS"])
def test_characters_and_signs_are_not_mirrored(dataset: str) -> None:
    assert not TORCHVISION_DATASETS[dataset].horizontal_flip
    assert TORCHVISION_DATASETS["CIFAR10"].horizontal_flip


@pytest.mark.parametrize("in_folder", [False, True])
def test_cifar10_by_its_short_name(in_folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar10(tmp_path, monkeypatch)
    root = tmp_path / "cifar-10-batches-py" if in_folder else tmp_path
    data = load_data("cifar10", root=root)
    assert (data.name, data.class_names[3], data.image_size_px) == ("cifar10", "cat", 32)
    images, labels = next(data.with_normalization((0.0,) * 3, (1.0,) * 3).batches("test", 32, 20))
    assert labels.tolist() == [*range(10), *range(10)]
    # A row holds 1024 red, 1024 green, 1024 blue bytes, each row by row.
    assert images.contiguous().equal(torch.from_numpy(noise(5, 20, 3072)).reshape(20, 3, 32, 32).float())


def test_cifar100_has_its_fine_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar100(tmp_path, monkeypatch)
    data = load_data("cifar100", root=tmp_path)
    assert (data.name, len(data.class_names), data.class_names[41]) == ("cifar100", 100, "thing 41")
    images, labels = next(data.with_normalization((0.0,) * 3, (1.0,) * 3).batches("test", 32, 100))
    assert labels.tolist() == list(range(100))
    assert images.contiguous().equal(torch.from_numpy(noise(1, 100, 3072)).reshape(100, 3, 32, 32).float())


def test_a_pickle_with_a_wrong_checksum_is_not_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar10(tmp_path, monkeypatch)
    witness = tmp_path / "witness"
    program = b"cos\nsystem\n(S'touch " + str(witness).encode() + b"'\ntR."
    for name in ("data_batch_1", "batches.meta"):
        path = tmp_path / "cifar-10-batches-py" / name
        original = path.read_bytes()
        path.write_bytes(program)
        message = error_of("cifar10", tmp_path)
        assert message.startswith(f"cifar10: cannot be read from {tmp_path} (")
        assert message.endswith("; --download fetches it")
        assert not witness.exists()
        path.write_bytes(original)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", *(f"torchvision:{key}" for key in WRITERS)])
def test_missing_files_are_downloaded_only_when_asked(name: str, tmp_path: Path, offline: list[str]) -> None:
    message = error_of(name, tmp_path)
    assert message.startswith(f"{name}: cannot be read from {tmp_path} (")
    assert message.endswith("; --download fetches it")
    assert offline == []
    message = error_of(name, tmp_path, download=True)
    assert message.startswith(f"{name}: cannot be downloaded to {tmp_path} (")
    assert offline != []


def test_files_that_are_there_are_not_downloaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offline: list[str]
) -> None:
    write_cifar10(tmp_path, monkeypatch)
    assert load_data("cifar10", root=tmp_path, download=True).count("test") == 20
    assert offline == []


@pytest.mark.parametrize(("name", "nearest"), [("SVNH", "SVHN"), ("Flowers", "Flowers102")])
def test_an_unknown_name_gets_the_nearest_ones(name: str, nearest: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=f"'{name}'.*{nearest}"):
        load_data(f"torchvision:{name}", root=tmp_path)
