"""Layout of an image folder: which sub-folders are splits, and where the classes are."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...search_space.errors import DataError
from .folder_files import has_image, image_paths, list_folder

_SPLIT_WORDS = {
    "train": ("train", "training", "trainval", "trn"),
    "validation": ("val", "valid", "validation", "dev", "devel", "development"),
    "test": ("test", "testing", "tst", "eval", "evaluation", "holdout"),
}
_SPLIT_OF_WORD = {word: split for split, words in _SPLIT_WORDS.items() for word in words}
_FILLERS = frozenset({"set", "data", "dataset", "split", "images", "image", "imgs", "img"})
_MAX_NAMES = 5
_MAX_DEPTH = 8


def _split_of(name: str) -> str | None:
    """The split that a folder's name means: `Train` and `training_set` are `train`."""
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if word and word not in _FILLERS]
    return _SPLIT_OF_WORD.get(words[0].removesuffix("set")) if len(words) == 1 else None


def split_folders(root: Path, folders: Iterable[str]) -> dict[str, str]:
    """Names of the folders of `train`, `validation` and `test`, as far as they exist.

    A folder of images without classes is none of them: images without labels are often called `test`.
    """
    found: dict[str, list[str]] = {}
    for folder in folders:
        if (split := _split_of(folder)) and not _is_unlabelled(root / folder):
            found.setdefault(split, []).append(folder)
    if ("train" in found and len(found) > 1) or len(found.get("train", ())) > 1:
        for same in found.values():
            if len(same) > 1:
                raise DataError(f"{root}: {' and '.join(same)} are both there; remove or rename one")
    return {split: names[0] for split, names in found.items()}


def _is_unlabelled(folder: Path) -> bool:
    return has_image(str(folder)) and not list_folder(str(folder)).folders


def image_free_folders(folder: Path) -> tuple[str, ...]:
    """Names of the sub-folders; none if an image lies beside them."""
    return () if has_image(str(folder)) else list_folder(str(folder)).folders


def class_folders(folder: Path) -> tuple[str, ...]:
    """Names of the sub-folders if they look like classes: two or more, and no image beside them.

    A folder that holds nothing but one folder is looked into, as unzipping makes them.
    """
    names = image_free_folders(folder)
    for _ in range(_MAX_DEPTH):
        if len(names) != 1:
            break
        folder = folder / names[0]
        names = image_free_folders(folder)
    return names


def require_no_splits(root: Path, folders: Sequence[str]) -> None:
    """Raise `DataError` if folders that would become classes hold the same names, or are part of a split."""
    nested = {folder: classes for folder in folders if len(classes := class_folders(root / folder)) > 1}
    common = Counter(each for classes in nested.values() for each in classes)
    alike = [
        folder
        for folder, classes in nested.items()
        if 2 * sum(common[each] > 1 for each in classes) >= len(classes)
    ]
    if len(alike) >= 2 and 2 * len(alike) >= len(folders):
        names = sorted({each for folder in alike for each in nested[folder]})
        problem = f"{root}: {listed(alike)} hold folders of the same names ({listed(names)})"
        if all(map(_split_of, names)):
            raise DataError(f"{problem}; move the classes into the splits: {names[-1]}/{alike[0]}")
        raise DataError(
            f"{problem}, as splits do; name them train, val and test, or give one of them: "
            f"folder:{root / alike[0]}; if they are classes, move their images up into them"
        )
    train = next((folder for folder in nested if _split_of(folder) == "train"), None)
    if train and len(folders) > 1:
        raise DataError(
            f"{root}: {train} holds class folders ({listed(nested[train])}), but there is no val or test "
            f"beside it; give the folder of the classes: folder:{root / train}"
        )


def layout_hint(folder: Path) -> str:
    """Where the classes are, if it is one level deeper or more."""
    for _ in range(_MAX_DEPTH):
        inner = [each for each in list_folder(str(folder)).folders if _holds_images(folder / each)]
        if len(inner) != 1:
            break
        folder = folder / inner[0]
        if not has_image(str(folder)) and len(list_folder(str(folder)).folders) > 1:
            return f"; the classes are in a folder below: folder:{folder}"
    return ""


def _holds_images(folder: Path) -> bool:
    return next(image_paths(str(folder), Counter()), None) is not None


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more:,} more" if more > 0 else "")
