"""Image folders: layouts and errors."""

import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from bneck.evaluate.data.image_folder import load_folder, load_whole_folder
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


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "valid", "test"),
        ("Train", "Val", "Test"),
        ("TRAINING", "dev", "testing"),
        ("training", "validation", "evaluation"),
        ("train_set", "val-set", "testset"),
        ("train_images", "valid data", "eval"),
    ],
)
def test_the_usual_words_in_any_case_are_splits(
    train: str, validation: str, test: str, tmp_path: Path
) -> None:
    for folder, count in ((train, 3), (validation, 2), (test, 1)):
        paint_classes(tmp_path / folder, cat=count, dog=1)
    data = load(tmp_path)
    assert (data.class_names, counts(data)) == (("cat", "dog"), [[3, 1], [2, 1], [1, 1]])
    assert data.left_out == {}


@pytest.mark.parametrize("held_out", ["valid", "Test", "testing", "dev"])
def test_any_word_beside_train_is_the_test_set(held_out: str, tmp_path: Path) -> None:
    paint_classes(tmp_path / "Training", cat=20, dog=2)
    paint_classes(tmp_path / held_out, cat=4, dog=5)
    assert counts(load(tmp_path)) == [[17, 1], [3, 1], [4, 5]]


@pytest.mark.parametrize(
    "folders",
    [("fold1", "fold2"), ("seg_train/seg_train", "seg_test/seg_test"), ("val", "test"), ("train", "lab")],
)
def test_folders_of_the_same_class_names_are_never_classes(folders: tuple[str, ...], tmp_path: Path) -> None:
    for folder in folders:
        paint_classes(tmp_path / folder, cat=4, dog=4)
    paint_classes(tmp_path / folders[0], cow=4)  # largely the same
    message = error_of(tmp_path)
    for word in (*(folder.partition("/")[0] for folder in folders), "cat", "train, val and test"):
        assert word in message
    assert f"folder:ROOT/{min(folders).partition('/')[0]}" in message


def test_splits_inside_of_classes_are_refused(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        paint_classes(tmp_path / name, train=4, test=4)
    assert error_of(tmp_path).endswith("move the classes into the splits: train/cat")


def test_a_test_folder_without_classes_is_unused(tmp_path: Path) -> None:
    for folder in ("train", "val"):
        paint_classes(tmp_path / folder, cat=2, dog=2)
    paint_classes(tmp_path, test=3)
    data = load(tmp_path)
    assert data.splits["test"].path(0).parent.parent.name == "val"
    assert data.left_out == {"files in the unused folder test": 3}


def test_classes_may_have_folders_of_different_names(tmp_path: Path) -> None:
    paint_classes(tmp_path / "cat", tabby=2, siam=2)
    paint_classes(tmp_path / "dog", boxer=2, collie=2)
    assert load(tmp_path).class_names == ("cat", "dog")


def test_a_training_folder_without_another_split_is_no_class(tmp_path: Path) -> None:
    paint_classes(tmp_path / "train", cat=4, dog=4)
    paint(tmp_path / "unlabelled" / "1.png")
    assert "folder:ROOT/train" in error_of(tmp_path)


@pytest.mark.parametrize("wrapper", ["photos", "a/b", "train"])
def test_the_error_for_a_wrapper_says_where_the_classes_are(wrapper: str, tmp_path: Path) -> None:
    paint_classes(tmp_path / wrapper, cat=4, dog=4)
    paint_classes(tmp_path, __MACOSX=1)
    (tmp_path / "empty").mkdir()
    assert error_of(tmp_path).endswith(f"folder:ROOT/{wrapper}")
    (tmp_path / "empty").rmdir()
    assert error_of(tmp_path).endswith(f"folder:ROOT/{wrapper}")


def test_unused_folders_and_loose_files_are_counted(tmp_path: Path) -> None:
    for folder in ("train", "val"):
        paint_classes(tmp_path / folder, cat=2, dog=2)
    paint_classes(tmp_path / "extra", cat=1, dog=1)
    for path in ("unlabelled/1.png", "loose.png", "train/loose.png"):
        paint(tmp_path / path)
    (tmp_path / "empty").mkdir()
    assert load(tmp_path).left_out == {
        "files in the root": 1,
        "files in train": 1,
        "files in the unused folder extra": 2,
        "files in the unused folder unlabelled": 1,
    }


def test_a_whole_folder_is_read_with_the_classes_of_the_network(tmp_path: Path) -> None:
    paint_classes(tmp_path, dog=1, cat=2)
    (tmp_path / "ant").mkdir()
    data = load_whole_folder("x", tmp_path, ("dog", "ant", "cat", "eel"))
    assert data.class_names == ("dog", "ant", "cat", "eel")
    # cats come first in the folder, and are class 2 of the network.
    assert [data.labels(split).tolist() for split in ("train", "validation", "test")] == [[], [], [2, 2, 0]]
    assert load_whole_folder("x", tmp_path).class_names == ("ant", "cat", "dog")


@pytest.mark.parametrize("names", [("train", "val", "test"), ("test",), ("Testing", "extra")])
def test_a_whole_folder_may_have_splits(names: tuple[str, ...], tmp_path: Path) -> None:
    for name in names:
        paint_classes(tmp_path / name, cat=2, dog=1)
    read = sum(name != "extra" for name in names)
    for class_names in (("cat", "dog"), None):
        data = load_whole_folder("x", tmp_path, class_names)
        assert data.labels("test").tolist() == [0, 0, 1] * read
        assert data.left_out.get("files in the unused folder extra") == (3 if "extra" in names else None)


def test_a_whole_folder_with_a_class_that_the_network_lacks_is_refused(tmp_path: Path) -> None:
    paint_classes(tmp_path, cat=1, cow=1)
    with pytest.raises(DataError, match="no class cow, only cat, dog"):
        load_whole_folder("x", tmp_path, ("cat", "dog"))
    with pytest.raises(DataError, match=r"no image .*folder:.*/deeper"):
        paint_classes(tmp_path / "b" / "deeper", a=1, b=1)
        load_whole_folder("x", tmp_path / "b", ("a", "b"))


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
    assert error_of(tmp_path) == (
        "ROOT: needs sub-folders of images for at least two classes, got none; left out: 1 file in ROOT"
    )


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


@pytest.mark.slow
def test_a_hundred_thousand_images_are_listed_in_seconds(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(50_000):
            (tmp_path / name / f"{number:06}.jpg").touch()
    start = time.perf_counter()
    assert 69_000 < load(tmp_path).count("train") < 71_000
    assert time.perf_counter() - start < 5
