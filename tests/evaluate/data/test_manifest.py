"""What a manifest sees of changed files, and which images it keeps out of an evaluation."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from bneck.evaluate.data.dataset import SPLITS, load_data, subsample
from bneck.evaluate.data.image_folder import load_folder
from bneck.evaluate.data.manifest import ImageChanges, Manifest, fingerprint
from bneck.evaluate.data.streaming import StreamingData
from bneck.evaluate.data.training_images import TrainingImages
from bneck.search_space.errors import DataError, RunError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """20 training, 4 validation and 6 test files; nothing is ever decoded."""
    for split, count in (("train", 10), ("val", 2), ("test", 3)):
        for name in ("cat", "dog"):
            (tmp_path / "photos" / split / name).mkdir(parents=True)
            for number in range(count):
                path = tmp_path / "photos" / split / name / f"{split}{number}.jpg"
                path.write_bytes(bytes(100 + number))
    return tmp_path / "photos"


def load(folder: Path) -> StreamingData:
    return load_folder(f"folder:{folder}", folder)


def manifest(folder: Path) -> Manifest:
    recorded = Manifest.of(load(folder))
    assert recorded is not None
    return recorded


def trained_on(folder: Path) -> TrainingImages:
    data = load(folder)
    return TrainingImages(data.name, fingerprint(data), Manifest.of(data))


def move(folder: Path, path: str, to: str) -> None:
    (folder / path).rename(folder / to)


def test_each_kind_of_change_is_counted_once(folder: Path) -> None:
    before = manifest(folder)
    assert not before.changes(manifest(folder))
    move(folder, "train/cat/train0.jpg", "test/cat/train0.jpg")
    move(folder, "train/dog/train1.jpg", "val/dog/train1.jpg")
    move(folder, "val/cat/val0.jpg", "test/cat/val0.jpg")
    (folder / "train" / "cat" / "!new.jpg").write_bytes(b"new")
    (folder / "test" / "dog" / "test2.jpg").unlink()
    (folder / "train" / "dog" / "train7.jpg").write_bytes(b"edited")
    changes = before.changes(manifest(folder))
    assert changes == ImageChanges(leaked=2, moved=1, new=1, missing=1, changed=1)
    assert changes.text.startswith("2 moved from training to validation or test, 1 moved")
    assert changes.text.endswith("1 new, 1 missing and 1 changed")


def test_files_of_one_name_in_several_splits_are_different_images(folder: Path) -> None:
    for split in ("train", "val", "test"):
        (folder / split / "cat" / "same.jpg").write_bytes(b"12345")
    before = manifest(folder)
    assert not before.changes(manifest(folder))
    assert trained_on(folder).held_out(load(folder), "test").n_leaked == 0


def test_a_manifest_survives_its_file_in_17_bytes_per_image(folder: Path, tmp_path: Path) -> None:
    before = manifest(folder)
    before.save(tmp_path / "manifest")
    assert not before.changes(Manifest.load(tmp_path / "manifest"))
    assert Manifest.load(tmp_path / "manifest").fingerprint == fingerprint(load(folder))
    content = (tmp_path / "manifest").read_bytes()
    assert len(content) < 17 * 30 + 300
    (tmp_path / "manifest").write_bytes(content[:-9])
    with pytest.raises(RunError, match="manifest: damaged"):
        Manifest.load(tmp_path / "manifest")
    assert not before.changes(Manifest.from_tensors(before.tensors) or before)


def test_a_limit_of_images_changes_neither_manifest_nor_fingerprint(folder: Path) -> None:
    data, some = load(folder), subsample(load(folder), train=4, validation=2)
    recorded = Manifest.of(some)
    assert recorded is not None
    assert not manifest(folder).changes(recorded)
    assert fingerprint(some) == fingerprint(data)
    digits = load_data("digits")
    assert fingerprint(subsample(digits, train=50)) == fingerprint(digits)


def test_the_fingerprint_covers_labels_and_splits(folder: Path) -> None:
    before = fingerprint(load(folder))
    (folder / "train" / "cat" / "train0.jpg").write_bytes(b"edited")
    assert fingerprint(load(folder)) == before
    move(folder, "train/cat/train0.jpg", "train/dog/train99.jpg")
    assert fingerprint(load(folder)) != before


def test_images_in_memory_have_no_manifest() -> None:
    assert Manifest.of(load_data("digits")) is None


def test_images_that_were_trained_on_are_left_out_of_an_evaluation(folder: Path) -> None:
    record = trained_on(folder)
    move(folder, "train/cat/train0.jpg", "test/cat/train0.jpg")
    held_out = record.held_out(load(folder), "test")
    assert (held_out.n_leaked, held_out.data.count("test")) == (1, 6)
    assert held_out.changes == ImageChanges(leaked=1)
    assert "1 of 7 test images" in held_out.warnings[0]
    assert record.leak(load(folder))


def test_a_split_of_training_images_is_refused(folder: Path) -> None:
    record = trained_on(folder)
    for name in ("test", "train"):
        move(folder, name, f"{name}-before")
    move(folder, "train-before", "test")
    move(folder, "test-before", "train")
    with pytest.raises(DataError, match=r"^20 of 20 test images .* were training images"):
        record.held_out(load(folder), "test")


def test_a_folder_that_has_moved_is_the_same(folder: Path) -> None:
    record = trained_on(folder)
    folder.rename(folder.with_name("moved"))
    held_out = record.held_out(load(folder.with_name("moved")), "test")
    assert (held_out.n_leaked, held_out.changes, held_out.warnings) == (0, ImageChanges(), ())


def test_another_folder_with_equal_names_is_other_data(folder: Path) -> None:
    record = trained_on(folder)
    other = folder.with_name("other")
    shutil.copytree(folder, other)
    for path in other.rglob("*.jpg"):
        path.write_bytes(path.read_bytes() + b"other")
    held_out = record.held_out(load(other), "test")
    assert (held_out.n_leaked, held_out.changes, held_out.warnings) == (0, None, ())


@pytest.mark.parametrize(("known", "words"), [(True, "are not those of the training"), (False, "earlier")])
def test_a_fingerprint_alone_gives_a_warning(folder: Path, known: bool, words: str) -> None:
    before = load(folder)
    record = TrainingImages(before.name, fingerprint(before) if known else "")
    if known:
        assert record.held_out(load(folder), "test").warnings == ()
    (folder / "train" / "cat" / "!new.jpg").write_bytes(b"new")
    (warning,) = record.held_out(load(folder), "test").warnings
    assert words in warning


@pytest.mark.slow
def test_a_million_files_are_compared_in_seconds() -> None:
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**63, 1_300_000).astype(np.uint64)
    splits = (hashes % 3).astype(np.uint8)
    recorded = Manifest(hashes, np.ones(len(hashes), np.int64), splits)
    now = Manifest(hashes[1:], np.ones(len(hashes) - 1, np.int64), splits[1:])
    assert recorded.changes(now) == ImageChanges(missing=1)
    assert len(SPLITS) == 3
