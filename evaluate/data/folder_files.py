"""Files of an image folder: the images in a fixed order, and a count of everything that is left out."""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ...search_space.errors import DataError
from ...search_space.printable import printable, utf8_problem
from .decode import PLUGINS, image_suffixes

DANGLING, LINKED_FOLDER = "dangling links", "links to folders"
SPECIAL, NO_SUFFIX, OTHER = "FIFOs, sockets or devices", "files without a suffix", "other files"
_SINGULAR = {SPECIAL: "FIFO, socket or device"}
_SYSTEM_FILES = frozenset({
    "__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "thumbs.db",
    "desktop.ini",
})  # fmt: skip
_ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst"})
_MAX_LISTED = 8

FOLDER, IMAGE = "folder", "image"


def require_folder(name: str, root: Path) -> None:
    """Raise `DataError` unless `root` is a folder whose path can be stored in text files."""
    try:
        mode = root.stat().st_mode
    except ValueError:  # a NUL character
        raise DataError(f"{printable(name)}: not a path") from None
    except FileNotFoundError:
        raise DataError(
            f"{printable(name)}: folder {printable(str(root))} not found; it needs a sub-folder of images "
            "for each class"
        ) from None
    except OSError as error:
        raise unreadable_folder(root, error) from None
    if not stat.S_ISDIR(mode):
        remedy = "unpack it and give the folder" if root.suffix.lower() in _ARCHIVES else "give a folder"
        raise DataError(f"{printable(name)}: {printable(str(root))} is not a folder; {remedy}")
    if problem := utf8_problem(str(root.absolute())):
        raise DataError(f"{printable(name)}: {problem}")


def visible_entries(folder: str) -> list["os.DirEntry[str]"]:
    """Entries sorted by name, without hidden files and those that operating systems add.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not _is_ignored(entry.name)]
    except OSError as error:
        raise unreadable_folder(folder, error) from None
    return sorted(visible, key=lambda entry: entry.name)


def unreadable_folder(folder: object, error: OSError) -> DataError:
    """The error for a folder that cannot be listed."""
    remedy = (
        "chmod -R u+rX makes it readable" if isinstance(error, PermissionError) else "remove or replace it"
    )
    return DataError(f"{printable(str(folder))}: {(error.strerror or str(error)).lower()}; {remedy}")


class Listing(NamedTuple):
    """The top level of a folder.

    Attributes:
        folders: names of the sub-folders, sorted. Links are followed, unless they lead back to this folder,
            to one above it or to another sub-folder, whose images would be listed twice.
        files: names of the files, sorted.
        left_out: count of all else by kind.
    """

    folders: tuple[str, ...]
    files: tuple[str, ...]
    left_out: Counter[str]


def list_folder(folder: str) -> Listing:
    """List the top level of a folder.

    Raises:
        DataError: the folder cannot be read.
    """
    folders: list[str] = []
    files: list[str] = []
    targets: set[str] = set()
    left_out: Counter[str] = Counter()
    own = os.path.realpath(folder)
    for entry in sorted(visible_entries(folder), key=lambda entry: entry.is_symlink()):
        kind = kind_of(entry)
        if kind in (FOLDER, LINKED_FOLDER):
            target = os.path.realpath(entry.path)
            if target in targets or f"{own}/".startswith(f"{target.rstrip('/')}/"):
                left_out[kind] += 1
            else:
                folders.append(entry.name)
                targets.add(target)
        elif kind in (DANGLING, SPECIAL):
            left_out[kind] += 1
        else:
            files.append(entry.name)
    return Listing(tuple(sorted(folders)), tuple(sorted(files)), left_out)


def image_paths(folder: str, left_out: Counter[str]) -> Iterator[str]:
    """Image files at any depth, sorted by name at each level; links to folders are not followed.

    Args:
        left_out: the count of all other files by kind is added.
    Raises:
        DataError: a folder cannot be read.
    """
    levels = [iter(visible_entries(folder))]
    while levels:
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
        elif (kind := kind_of(entry)) == FOLDER:
            levels.append(iter(visible_entries(entry.path)))
        elif kind == IMAGE:
            yield entry.path
        else:
            left_out[kind] += 1


def kind_of(entry: "os.DirEntry[str]") -> str:
    """`FOLDER`, `IMAGE`, or why the entry is left out: its suffix or what it is instead of a file."""
    try:
        if entry.is_dir(follow_symlinks=False):
            return FOLDER
        if not entry.is_file():
            dangling = entry.is_symlink() and not Path(entry.path).exists()
            return LINKED_FOLDER if entry.is_dir() else DANGLING if dangling else SPECIAL
    except OSError:  # a circle of links
        return DANGLING
    _, dot, suffix = entry.name.lower().rpartition(".")
    if f".{suffix}" in image_suffixes() and dot:
        return IMAGE
    if not dot:
        return NO_SUFFIX
    return f".{suffix}" if re.fullmatch(r"[a-z0-9_]{1,10}", suffix) else OTHER


def has_image(folder: str) -> bool:
    """Whether an image lies directly in the folder.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return any(not _is_ignored(entry.name) and kind_of(entry) == IMAGE for entry in entries)
    except OSError as error:
        raise unreadable_folder(folder, error) from None


def count_files(folder: str) -> int:
    """Number of visible files at any depth."""
    left_out: Counter[str] = Counter()
    return sum(1 for _ in image_paths(folder, left_out)) + left_out.total()


def left_out_text(left_out: Mapping[str, int]) -> str | None:
    """`left out: 12 .heic (install pillow-heif), 3 dangling links`; None if nothing was left out."""
    by_count = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    listed = [_counted(kind, count) for kind, count in by_count[:_MAX_LISTED]]
    if rest := sum(count for _, count in by_count[_MAX_LISTED:]):
        listed.append(f"{rest:,} more")
    return f"left out: {', '.join(listed)}" if listed else None


def _counted(kind: str, count: int) -> str:
    kind = printable(kind)
    if kind in PLUGINS:
        return f"{count:,} {kind} (install {PLUGINS[kind]})"
    if count == 1:
        kind = _SINGULAR.get(kind) or re.sub(r"\b(link|file|folder)s\b", r"\1", kind, count=1)
    return f"{count:,} {kind}"


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in _SYSTEM_FILES
