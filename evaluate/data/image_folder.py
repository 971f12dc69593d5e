"""Data in folders with one sub-folder of images per class."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from ...search_space.errors import DataError
from .folder_files import (
    Listing,
    count_files,
    image_paths,
    left_out_text,
    list_folder,
    require_folder,
)
from .folder_layout import image_free_folders, layout_hint, listed, require_no_splits, split_folders
from .splits import check_classes, path_hashes, three_splits
from .streaming import LabelledFiles, StreamingData

_VALIDATION_FRACTION = 0.15


def load_folder(name: str, root: Path) -> StreamingData:
    """Data in `root/CLASS/image`, or in `root/train/CLASS/image` with `val` or `test` or both beside it.

    Class folders alone are split into about 70/15/15%. With `train` and one other folder, that one is the
    test split and about 15% of `train` become the validation split. The hash of a file's path relative to the
    folder of the classes determines its split, so that new files move no other; see `hash_split`.
    The folders of the splits may have any of the usual names in any case, such as `Training`, `valid`,
    `test_set`. Files are listed, not opened; `left_out` of the data counts what is no image, and the files of
    folders that are no split.

    Args:
        name: name of the data set.
        root: the folder.
    Raises:
        DataError: missing folder, fewer than two classes, folders with different classes, a class with
            too few images, or a layout that may be meant in two ways.
    """
    root = root.absolute()
    require_folder(name, root)
    top = list_folder(str(root))
    left_out = top.left_out + Counter({"files in the root": len(top.files)})
    splits = split_folders(root, top.folders)
    if "train" in splits and len(splits) > 1:
        return _load_splits(name, root, top, splits, left_out)
    require_no_splits(root, top.folders)
    class_names, files = _read_classes(root, 3, left_out)
    return StreamingData(name, class_names, three_splits({"all": files}), left_out=left_out)


def load_whole_folder(name: str, root: Path, class_names: Sequence[str] | None = None) -> StreamingData:
    """All images of a folder as the test split, to evaluate a network on; the other splits are empty.

    Args:
        root: with class folders, or with folders of splits that have them.
        class_names: classes of the network, in order; any of them may be missing or empty. By default the
            class folders.
    Raises:
        DataError: missing folder, no image, or images of a class that the network does not have.
    """
    root = root.absolute()
    require_folder(name, root)
    top = list_folder(str(root))
    left_out = top.left_out + Counter({"files in the root": len(top.files)})
    splits = split_folders(root, top.folders)
    nested = {folder: image_free_folders(root / folder) for folder in splits.values()}
    is_split_layout = any(nested.values()) and not set(top.folders) & set(class_names or ())
    places = [root / folder for folder, classes in nested.items() if classes] if is_split_layout else [root]
    if is_split_layout:
        _count_unused(root, [folder for folder in top.folders if not nested.get(folder)], left_out)
    found = {place: list_folder(str(place)).folders for place in places}
    known = tuple(class_names or sorted({each for classes in found.values() for each in classes}))
    images = [
        (place, each, list(image_paths(str(place / each), left_out)))
        for place, classes in found.items()
        for each in classes
    ]
    images = [(place, each, paths) for place, each, paths in images if paths]
    unknown = {each: place for place, each, _ in images if each not in known}
    if len(unknown) == len({each for _, each, _ in images}):
        hint = layout_hint(root)
        raise DataError(f"{root}: no image in a folder of a class ({listed(known)}){hint}{_and(left_out)}")
    if unknown:
        raise DataError(
            f"{next(iter(unknown.values()))}: the network has no class {listed(list(unknown))}, only "
            f"{listed(known)}; rename or remove the folder{'s' if len(unknown) > 1 else ''}"
        )
    labels = torch.tensor([known.index(each) for _, each, paths in images for _ in paths])
    hashes = np.concatenate([path_hashes(str(place), paths) for place, _, paths in images])
    files = LabelledFiles(tuple(path for *_, paths in images for path in paths), labels, hashes)
    none = files[torch.arange(0)]
    parts = {"train": none, "validation": none, "test": files}
    return StreamingData(name, known, three_splits(parts), left_out=left_out)


def _load_splits(
    name: str, root: Path, top: Listing, splits: Mapping[str, str], left_out: Counter[str]
) -> StreamingData:
    for folder in splits.values():
        if loose := list_folder(str(root / folder)).files:
            left_out[f"files in {folder}"] += len(loose)
    _count_unused(root, [folder for folder in top.folders if folder not in splits.values()], left_out)
    others = [key for key in ("validation", "test") if key in splits]
    train = root / splits["train"]
    class_names, files = _read_classes(train, 1 if len(others) == 2 else 2, left_out)
    parts = {"train": files}
    for key in others:
        other = root / splits[key]
        other_names, parts[key] = _read_classes(other, 1, left_out)
        _require_same_classes(train, class_names, other, other_names)
    data = three_splits(parts, validation_fraction=_VALIDATION_FRACTION)
    return StreamingData(name, class_names, data, left_out=left_out)


def _count_unused(root: Path, folders: Iterable[str], left_out: Counter[str]) -> None:
    for folder in folders:
        if count := count_files(str(root / folder)):
            left_out[f"files in the unused folder {folder}"] += count


def _read_classes(
    folder: Path, min_images: int, left_out: Counter[str]
) -> tuple[tuple[str, ...], LabelledFiles]:
    """Classes and image files of a folder, sorted by name."""
    top = list_folder(str(folder))
    if len(top.folders) < 2:
        existing = f"only '{top.folders[0]}'" if top.folders else "none"
        hint = layout_hint(folder) or _and(top.left_out + Counter({f"files in {folder}": len(top.files)}))
        raise DataError(
            f"{folder}: needs sub-folders of images for at least two classes, got {existing}{hint}"
        )
    counts = [Counter[str]() for _ in top.folders]
    images = [
        list(image_paths(str(folder / each), count)) for each, count in zip(top.folders, counts, strict=True)
    ]
    left_out.update(sum(counts, Counter()))
    if sum(map(bool, images)) == 1 and (hint := layout_hint(folder)):
        raise DataError(f"{folder}: needs images of at least two classes{hint}")
    labels = torch.repeat_interleave(torch.tensor([len(paths) for paths in images]))
    try:
        check_classes(str(folder), labels, top.folders, min_images)
    except DataError as error:
        lacking = (count for count, paths in zip(counts, images, strict=True) if len(paths) < min_images)
        raise DataError(f"{error}{_and(sum(lacking, Counter()))}") from None
    files = tuple(path for paths in images for path in paths)
    return top.folders, LabelledFiles(files, labels, path_hashes(str(folder), files))


def _require_same_classes(
    first: Path, first_names: Sequence[str], second: Path, second_names: Sequence[str]
) -> None:
    pairs = ((first, first_names, second, second_names), (second, second_names, first, first_names))
    for has, names, lacks, other_names in pairs:
        missing = ", ".join(sorted(set(names) - set(other_names)))
        if missing:
            raise DataError(f"{lacks}: no folder for {missing}, which {has} has; classes must be the same")


def _and(left_out: Mapping[str, int]) -> str:
    text = left_out_text(Counter(left_out))
    return f"; {text}" if text else ""
