"""Data in folders: the folder of an image file is its class."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from ...search_space.errors import DataError
from .decode import IMAGE_SUFFIXES
from .splits import check_classes, split_off_validation, split_three_ways
from .streaming import LabelledFiles, StreamingData

_SPLIT_FRACTION = 0.15


def load_folder(name: str, root: Path) -> StreamingData:
    """Data in `root/CLASS/image` or in `root/train/CLASS/image` with `val` or `test` or both beside.

    Class folders alone are divided 70/15/15, class by class. With `train` and one more folder
    that one is the test split, and 15% of `train` validate. `validation` is the same as `val`;
    what is hidden or has no image suffix is ignored. Files are only listed, none is opened.

    Args:
        name: as the user wrote it.
        root: the folder.
    Raises:
        DataError: no such folder, fewer than two classes, different classes in the folders, a
            class with too few images.
    """
    if not root.is_dir():
        raise DataError(f"{name}: no folder {root}; give one with a sub-folder of images for each class")
    folders_by_name = {folder.name: folder for folder in _subfolders(root)}
    if "val" in folders_by_name and "validation" in folders_by_name:
        raise DataError(f"{root}: val and validation are the same split; remove or rename one")
    validation, test = (
        folders_by_name.get("val", folders_by_name.get("validation")),
        folders_by_name.get("test"),
    )
    if "train" not in folders_by_name or validation is test is None:
        class_names, all_files = _read_classes(root, 3)
        return StreamingData(
            name, class_names, split_three_ways(all_files, (_SPLIT_FRACTION, _SPLIT_FRACTION))
        )
    other_folders = [folder for folder in (validation, test) if folder is not None]
    class_names, train = _read_classes(folders_by_name["train"], 1 if len(other_folders) == 2 else 2)
    others = []
    for folder in other_folders:
        other_names, files = _read_classes(folder, 1)
        _require_same_classes(folders_by_name["train"], class_names, folder, other_names)
        others.append(files)
    if len(others) == 1:
        return StreamingData(name, class_names, split_off_validation(train, others[0], _SPLIT_FRACTION))
    return StreamingData(name, class_names, {"train": train, "validation": others[0], "test": others[1]})


def _read_classes(folder: Path, min_images: int) -> tuple[tuple[str, ...], LabelledFiles]:
    """The classes of a folder and their images, both in order of name."""
    classes = _subfolders(folder)
    if len(classes) < 2:
        existing = f"only '{classes[0].name}'" if classes else "none"
        raise DataError(
            f"{folder}: needs a sub-folder of images for each of two or more classes, got {existing}"
        )
    images = [list(_image_paths(str(class_folder))) for class_folder in classes]
    labels = torch.repeat_interleave(torch.tensor([len(paths) for paths in images]))
    class_names = tuple(class_folder.name for class_folder in classes)
    check_classes(str(folder), labels, class_names, min_images)
    return class_names, LabelledFiles(tuple(path for paths in images for path in paths), labels)


def _require_same_classes(
    first: Path, first_names: Sequence[str], second: Path, second_names: Sequence[str]
) -> None:
    pairs = ((first, first_names, second, second_names), (second, second_names, first, first_names))
    for has, names, lacks, other_names in pairs:
        missing = ", ".join(sorted(set(names) - set(other_names)))
        if missing:
            raise DataError(f"{lacks}: lacks {missing}, which {has} has; all need the same classes")


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _image_paths(folder: str) -> Iterator[str]:
    """Image files at any depth; in order of the names along their paths."""
    with os.scandir(folder) as entries:
        visible = sorted((entry for entry in entries if not entry.name.startswith(".")), key=_name)
    for entry in visible:
        if entry.is_dir(follow_symlinks=False):
            yield from _image_paths(entry.path)
        elif entry.name.lower().endswith(IMAGE_SUFFIXES) and entry.is_file():
            yield entry.path


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name
