"""Images in folders: the two layouts, what is wrong with them, cropping."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bneck.evaluate.image_folder import FolderData, crop_box, load_folder, read_crop, read_middle
from bneck.search_space.errors import DataError

RED, BLUE = (255, 0, 0), (0, 0, 255)


def paint(path: Path, colour: tuple[int, int, int] = RED, size: tuple[int, int] = (8, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def paint_classes(folder: Path, **counts: int) -> Path:
    """A folder of classes with so many images each."""
    for number, (name, count) in enumerate(counts.items()):
        for image in range(count):
            paint(folder / name / f"{image:03}.png", (number, image, 0))
    return folder


def load(folder: Path) -> FolderData:
    return load_folder(f"folder:{folder}", folder)


def counts(data: FolderData) -> list[list[int]]:
    """Images of each class in train, validation and test."""
    return [torch.bincount(data.labels(split)).tolist() for split in ("train", "validation", "test")]


def error_of(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        load(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(folder), "ROOT")


def test_class_folders_are_divided_70_15_15_class_by_class(tmp_path: Path) -> None:
    data = load(paint_classes(tmp_path, cat=20, dog=40))
    assert data.class_names == ("cat", "dog")
    assert counts(data) == [[14, 28], [3, 6], [3, 6]]


@pytest.mark.parametrize("middle", ["val", "validation"])
def test_three_named_folders_are_the_splits(tmp_path: Path, middle: str) -> None:
    for folder, count in (("train", 3), (middle, 2), ("test", 1)):
        paint_classes(tmp_path / folder, cat=count, dog=1)
    data = load(tmp_path)
    assert counts(data) == [[3, 1], [2, 1], [1, 1]]
    assert {path.parent.parent.name for path in data.splits["validation"].paths} == {middle}


@pytest.mark.parametrize("held_out", ["val", "test"])
def test_one_folder_beside_train_is_the_test_set(tmp_path: Path, held_out: str) -> None:
    paint_classes(tmp_path / "train", cat=20, dog=2)
    paint_classes(tmp_path / held_out, cat=4, dog=5)
    data = load(tmp_path)
    assert counts(data) == [[17, 1], [3, 1], [4, 5]]
    assert {path.parent.parent.name for path in data.splits["test"].paths} == {held_out}


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert load(paint_classes(tmp_path, bus=3, train=3)).class_names == ("bus", "train")


def test_hidden_and_other_files_are_ignored_and_deep_ones_found(tmp_path: Path) -> None:
    paint_classes(tmp_path, cat=3, dog=2)
    paint(tmp_path / "dog" / "more" / "deep.JPG")
    paint_classes(tmp_path, **{".checkpoints": 1})
    (tmp_path / "dog" / "._000.png").write_text("not an image")
    (tmp_path / "dog" / "notes.txt").write_text("not an image")
    data = load(tmp_path)
    assert data.class_names == ("cat", "dog")
    assert counts(data) == [[1, 1], [1, 1], [1, 1]]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert error_of(tmp_path / "none") == (
        "folder:ROOT: no folder ROOT; give one with a sub-folder of images for each class"
    )


def test_a_folder_without_classes_says_what_it_needs(tmp_path: Path) -> None:
    paint(tmp_path / "stray.png")
    assert (
        error_of(tmp_path) == "ROOT: needs a sub-folder of images for each of two or more classes, got none"
    )


def test_one_class_is_not_enough(tmp_path: Path) -> None:
    assert error_of(paint_classes(tmp_path, cat=5)).endswith("two or more classes, got only 'cat'")


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
    assert error_of(tmp_path) == "ROOT/test: lacks cow, dog, which ROOT/train has; all need the same classes"


def test_a_class_that_train_lacks_is_named(tmp_path: Path) -> None:
    paint_classes(tmp_path / "train", cat=2, dog=2)
    paint_classes(tmp_path / "val", cat=2, dog=2, pig=2)
    assert error_of(tmp_path) == "ROOT/train: lacks pig, which ROOT/val has; all need the same classes"


def test_val_and_validation_together_are_refused(tmp_path: Path) -> None:
    for folder in ("train", "val", "validation"):
        paint_classes(tmp_path / folder, cat=2, dog=2)
    assert error_of(tmp_path) == "ROOT: val and validation are the same split; remove or rename one"


def test_a_truncated_image_is_found_when_the_folder_is_opened(tmp_path: Path) -> None:
    paint_classes(tmp_path, cat=3, dog=3)
    broken = tmp_path / "dog" / "001.png"
    broken.write_bytes(broken.read_bytes()[:40])
    assert error_of(tmp_path) == "ROOT/dog/001.png: not a readable image; remove or replace it"


def test_an_image_that_breaks_only_when_decoded_is_named_too(tmp_path: Path) -> None:
    paint_classes(tmp_path, cat=3, dog=3)
    for number in range(3):
        photo = paint(tmp_path / "dog" / f"00{number}.jpg", size=(200, 200))
        photo.write_bytes(photo.read_bytes()[:700])
        (tmp_path / "dog" / f"00{number}.png").unlink()
    with pytest.raises(DataError, match=r"dog/00\d\.jpg: not a readable image; remove or replace it$"):
        list(load(tmp_path).batches("test", 8, 4))


def test_a_red_image_is_normalised_as_for_imagenet(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for number in range(3):
            paint(tmp_path / name / f"{number}.png")
    images, _ = next(load(tmp_path).batches("train", 8, 4))
    # (1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0 - 0.406) / 0.225
    expected = torch.tensor([2.24890829, -2.03571429, -1.80444444])
    torch.testing.assert_close(images[0, :, 3, 3], expected)


def test_the_middle_of_a_wide_image_is_its_middle_square(tmp_path: Path) -> None:
    # 448 x 256 at resolution 224: not resized, columns 112 to 335 and rows 16 to 239 are taken.
    path = tmp_path / "wide.png"
    image = Image.new("RGB", (448, 256), RED)
    image.paste(BLUE, (112, 16, 336, 240))
    image.save(path)
    middle = read_middle(path, 224)
    assert middle.shape == (224, 224, 3)
    assert np.unique(middle.reshape(-1, 3), axis=0).tolist() == [list(BLUE)]


def test_a_crop_of_everything_is_the_image_and_may_be_mirrored(tmp_path: Path) -> None:
    path = tmp_path / "halves.png"
    image = Image.new("RGB", (8, 8), RED)
    image.paste(BLUE, (4, 0, 8, 8))
    image.save(path)
    # Half of the ratios' logarithms is a square; area 1 is everything.
    straight, mirrored = (read_crop(path, 8, (1, 0.5, 0, 0, flip)) for flip in (0.9, 0.1))
    assert straight[0, 0].tolist() == list(RED)
    assert straight[0, 7].tolist() == list(BLUE)
    assert (mirrored == straight[:, ::-1]).all()


def test_crops_keep_to_their_limits() -> None:
    for chances in torch.rand(500, 4, generator=torch.Generator().manual_seed(0)).tolist():
        top, left, height, width = crop_box(300, 400, chances)
        assert 0 <= top <= 300 - height
        assert 0 <= left <= 400 - width
        assert 0.34 < height * width / (300 * 400) <= 1
        assert 0.74 < width / height < 1.35


def test_the_smallest_square_crop_is_59_pixels_of_100() -> None:
    # The square root of 0.35 is 0.5916; chances of 1 put it into the far corner.
    assert crop_box(100, 100, (0, 0.5, 1, 1)) == (41, 41, 59, 59)


def test_a_crop_never_leaves_a_narrow_image() -> None:
    assert crop_box(10, 1000, (1, 1, 1, 1)) == (0, 885, 10, 115)


def test_threads_do_not_change_what_a_seed_gives(tmp_path: Path) -> None:
    data = load(paint_classes(tmp_path, cat=9, dog=9))
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 4):
            torch.set_num_threads(threads)
            generator = torch.Generator().manual_seed(3)
            results.append(list(data.batches("train", 8, 5, shuffle=generator, augment=True)))
    finally:
        torch.set_num_threads(before)
    for (images, labels), (same_images, same_labels) in zip(*results, strict=True):
        assert images.equal(same_images)
        assert labels.equal(same_labels)
