"""Image folders: layouts and errors."""

import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from bneck.evaluate.data.image_folder import _image_paths, load_folder
from bneck.evaluate.data.splits import SPLITS
from bneck.evaluate.data.streaming import StreamingData
from bneck.search_space.errors import DataError

RED = (255, 0, 0)


def paint(path: Path, colour: tuple[int, int, int] = RED, size: tuple[int, int] = (8, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def paint_classes(folder: Path, **counts: int) -> Path:
    """A folder of classes with the given number of images."""
    for number, (name, count) in enumerate(counts.items()):
        for image in range(count):
            paint(folder / name / f"{image:03}.png", (number, image, 0))
    return folder


def load(folder: Path) -> StreamingData:
    return load_folder(f"folder:{folder}", folder)


def counts(data: StreamingData) -> list[list[int]]:
    """Images of each class in train, validation and test."""
    return [torch.bincount(data.labels(split)).tolist() for split in ("train", "validation", "test")]


def error_of(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        load(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(folder), "ROOT")


def test_class_folders_are_split_by_the_hash_of_the_path(tmp_path: Path) -> None:
    # By `printf cat/000.png | b2sum -l 64`: test below 0x2666... (15%), validation below 0x4ccc... (30%).
    data = load(paint_classes(tmp_path, cat=20, dog=40))
    assert data.class_names == ("cat", "dog")
    assert counts(data) == [[14, 29], [3, 5], [3, 6]]


def splits_of(data: StreamingData) -> dict[str, str]:
    """The split of each image by its path from the folder of its class."""
    return {
        "/".join(data.splits[split].path(place).parts[-2:]): split
        for split in SPLITS
        for place in range(data.count(split))
    }


def test_new_and_removed_files_move_no_other(tmp_path: Path) -> None:
    before = splits_of(load(paint_classes(tmp_path, cat=40, dog=40)))
    paint(tmp_path / "cat" / "!first.png")
    paint_classes(tmp_path, ant=9)
    (tmp_path / "dog" / "000.png").unlink()
    after = splits_of(load(tmp_path))
    assert len(after) == len(before) + 1 + 9 - 1
    assert {path: split for path, split in after.items() if path in before} == {
        path: split for path, split in before.items() if path != "dog/000.png"
    }


def test_the_validation_images_of_train_do_not_move_either(tmp_path: Path) -> None:
    paint_classes(tmp_path / "train", cat=40, dog=40)
    paint_classes(tmp_path / "test", cat=1, dog=1)
    before = [str(load(tmp_path).splits["validation"].path(place)) for place in range(3)]
    paint(tmp_path / "train" / "cat" / "!first.png")
    after = load(tmp_path)
    paths = {str(after.splits["validation"].path(place)) for place in range(after.count("validation"))}
    assert set(before) <= paths


def test_the_folder_may_be_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = splits_of(load(paint_classes(tmp_path / "here", cat=20, dog=20)))
    (tmp_path / "here").rename(tmp_path / "there")
    assert splits_of(load(tmp_path / "there")) == expected
    monkeypatch.chdir(tmp_path / "there")
    assert splits_of(load(Path())) == expected


@pytest.mark.parametrize("middle", ["val", "validation"])
def test_three_named_folders_are_the_splits(tmp_path: Path, middle: str) -> None:
    for folder, count in (("train", 3), (middle, 2), ("test", 1)):
        paint_classes(tmp_path / folder, cat=count, dog=1)
    data = load(tmp_path)
    assert counts(data) == [[3, 1], [2, 1], [1, 1]]
    assert data.splits["validation"].path(0).parent.parent.name == middle


@pytest.mark.parametrize("held_out", ["val", "test"])
def test_one_folder_beside_train_is_the_test_set(tmp_path: Path, held_out: str) -> None:
    paint_classes(tmp_path / "train", cat=20, dog=2)
    paint_classes(tmp_path / held_out, cat=4, dog=5)
    data = load(tmp_path)
    assert counts(data)[2] == [4, 5]
    assert [sum(pair) for pair in zip(*counts(data)[:2], strict=True)] == [20, 2]
    assert data.splits["test"].path(0).parent.parent.name == held_out


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert load(paint_classes(tmp_path, bus=3, train=3)).class_names == ("bus", "train")


def test_hidden_and_other_files_are_ignored_and_nested_images_found(tmp_path: Path) -> None:
    paint_classes(tmp_path, cat=3, dog=2)
    paint(tmp_path / "dog" / "more" / "deep.JPG")
    paint_classes(tmp_path, **{".checkpoints": 1})
    (tmp_path / "dog" / "._000.png").write_text("not an image")
    paint_classes(tmp_path / "dog", **{".ipynb_checkpoints": 1})
    (tmp_path / "dog" / "notes.txt").write_text("not an image")
    data = load(tmp_path)
    assert data.class_names == ("cat", "dog")
    assert counts(data) == [[1, 1], [1, 1], [1, 1]]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert error_of(tmp_path / "none") == (
        "folder:ROOT: folder ROOT not found; it needs a sub-folder of images for each class"
    )


def test_a_folder_without_classes_says_what_it_needs(tmp_path: Path) -> None:
    paint(tmp_path / "stray.png")
    assert error_of(tmp_path) == "ROOT: needs sub-folders of images for at least two classes, got none"


def test_one_class_is_not_enough(tmp_path: Path) -> None:
    assert error_of(paint_classes(tmp_path, cat=5)).endswith("at least two classes, got only 'cat'")


def test_an_empty_class_is_named(tmp_path: Path) -> None:
    (tmp_path / "dog").mkdir()
    assert error_of(paint_classes(tmp_path, cat=5)) == (
        "ROOT: class 'dog' needs at least 3 images, got 0; add images or remove the class"
    )


def test_a_class_that_cannot_be_split_is_named(tmp_path: Path) -> None:
    assert "class 'dog' needs at least 3 images, got 2" in error_of(paint_classes(tmp_path, cat=5, dog=2))


def test_a_training_class_of_one_image_cannot_give_validation_images(tmp_path: Path) -> None:
    paint_classes(tmp_path / "train", cat=2, dog=1)
    paint_classes(tmp_path / "test", cat=1, dog=1)
    assert error_of(tmp_path).startswith("ROOT/train: class 'dog' needs at least 2 images, got 1")


def test_classes_that_differ_are_named(tmp_path: Path) -> None:
    paint_classes(tmp_path / "train", cat=2, cow=2, dog=2)
    paint_classes(tmp_path / "test", cat=2, pig=2)
    assert (
        error_of(tmp_path)
        == "ROOT/test: no folder for cow, dog, which ROOT/train has; classes must be the same"
    )


def test_a_class_that_train_lacks_is_named(tmp_path: Path) -> None:
    paint_classes(tmp_path / "train", cat=2, dog=2)
    paint_classes(tmp_path / "val", cat=2, dog=2, pig=2)
    assert error_of(tmp_path) == "ROOT/train: no folder for pig, which ROOT/val has; classes must be the same"


def test_val_and_validation_together_are_refused(tmp_path: Path) -> None:
    for folder in ("train", "val", "validation"):
        paint_classes(tmp_path / folder, cat=2, dog=2)
    assert error_of(tmp_path) == "ROOT: val and validation are both there; remove or rename one"


def test_listing_opens_no_image(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(4):
            (tmp_path / name / f"{number}.jpg").write_text("not an image")
    assert sum(map(sum, counts(load(tmp_path)))) == 8


def test_files_are_sorted_by_name_at_each_level(tmp_path: Path) -> None:
    paint_classes(tmp_path, cat=3, dog=3)
    # As text `a-b` comes before `a/b`, as folders `a` before `a-b`.
    for path in ("a-b/1.png", "a/2.png", "a/b/0.png", "b.png"):
        paint(tmp_path / "cat" / path)
    expected = [f"00{number}.png" for number in range(3)] + ["a/2.png", "a/b/0.png", "a-b/1.png", "b.png"]
    (cats,) = [list(_image_paths(str(tmp_path / "cat")))]
    assert cats == [str(tmp_path / "cat" / path) for path in expected]
    assert cats == [str(path) for path in sorted((tmp_path / "cat").rglob("*.png"))]


def test_a_circular_link_is_not_followed(tmp_path: Path) -> None:
    paint_classes(tmp_path, cat=4, dog=4)
    (tmp_path / "cat" / "again").symlink_to(tmp_path / "cat", target_is_directory=True)
    assert counts(load(tmp_path)) == [[2, 2], [1, 1], [1, 1]]


@pytest.mark.slow
def test_a_hundred_thousand_images_are_listed_in_seconds(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(50_000):
            (tmp_path / name / f"{number:06}.jpg").touch()
    start = time.perf_counter()
    assert 69_000 < load(tmp_path).count("train") < 71_000
    assert time.perf_counter() - start < 5
