"""Data in folders with one sub-folder of images per class."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from ...search_space.errors import DataError
from .decode import IMAGE_SUFFIXES
from .splits import check_classes, path_hashes, three_splits
from .streaming import LabelledFiles, StreamingData

_VALIDATION_FRACTION = 0.15


def load_folder(name: str, root: Path) -> StreamingData:
    """Data in `root/CLASS/image`, or in `root/train/CLASS/image` with `val` or `test` or both beside it.

    Class folders alone are split into about 70/15/15%. With `train` and one other folder, that one is the
    test split and about 15% of `train` become the validation split. The hash of a file's path relative to the
    folder of the classes determines its split, so that new files move no other; see `hash_split`.
    `validation` is a synonym of `val`.
    Hidden files and files without an image suffix are ignored. Files are listed, not opened.

    Args:
        name: name of the data set.
        root: the folder.
    Raises:
        DataError: missing folder, fewer than two classes, folders with different classes, or a class with
            too few images.
    """
    root = root.absolute()
    if not root.is_dir():
        raise DataError(f"{name}: folder {root} not found; it needs a sub-folder of images for each class")
    folders = {folder.name: folder for folder in _subfolders(root)}
    if "val" in folders and "validation" in folders:
        raise DataError(f"{root}: val and validation are both there; remove or rename one")
    if "train" not in folders or not {"val", "validation", "test"} & folders.keys():
        class_names, files = _read_classes(root, 3)
        return StreamingData(name, class_names, three_splits({"all": files}))
    if "val" in folders:
        folders["validation"] = folders["val"]
    others = [key for key in ("validation", "test") if key in folders]
    class_names, files = _read_classes(folders["train"], 1 if len(others) == 2 else 2)
    parts = {"train": files}
    for key in others:
        other_names, parts[key] = _read_classes(folders[key], 1)
        _require_same_classes(folders["train"], class_names, folders[key], other_names)
    return StreamingData(name, class_names, three_splits(parts, validation_fraction=_VALIDATION_FRACTION))


def _read_classes(folder: Path, min_images: int) -> tuple[tuple[str, ...], LabelledFiles]:
    """Classes and image files of a folder, sorted by name."""
    classes = _subfolders(folder)
    if len(classes) < 2:
        existing = f"only '{classes[0].name}'" if classes else "none"
        raise DataError(f"{folder}: needs sub-folders of images for at least two classes, got {existing}")
    images = [list(_image_paths(str(class_folder))) for class_folder in classes]
    labels = torch.repeat_interleave(torch.tensor([len(paths) for paths in images]))
    class_names = tuple(class_folder.name for class_folder in classes)
    check_classes(str(folder), labels, class_names, min_images)
    files = tuple(path for paths in images for path in paths)
    return class_names, LabelledFiles(files, labels, path_hashes(str(folder), files))


def _require_same_classes(
    first: Path, first_names: Sequence[str], second: Path, second_names: Sequence[str]
) -> None:
    pairs = ((first, first_names, second, second_names), (second, second_names, first, first_names))
    for has, names, lacks, other_names in pairs:
        missing = ", ".join(sorted(set(names) - set(other_names)))
        if missing:
            raise DataError(f"{lacks}: no folder for {missing}, which {has} has; classes must be the same")


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _image_paths(folder: str) -> Iterator[str]:
    """Image files at any depth, sorted by name at each level."""
    with os.scandir(folder) as entries:
        visible = sorted(
            (entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name
        )
    for entry in visible:
        if entry.is_dir(follow_symlinks=False):
            yield from _image_paths(entry.path)
        elif entry.name.lower().endswith(IMAGE_SUFFIXES) and entry.is_file():
            yield entry.path
