"""Which file of a data set is in which split: recorded with a run, and compared with what is found later."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save
from torch import Tensor

from ...search_space.errors import RunError, first_line
from ...search_space.serialization.atomic_write import write_atomic
from .dataset import Data
from .in_memory import InMemoryData
from .splits import SPLITS, Hashes, Split
from .streaming import ImageSource, LabelledFiles, StreamingData

Arrays = Mapping[str, NDArray[Any]]
_TRAIN = SPLITS.index("train")
_KEY_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64)


@dataclass(frozen=True)
class ImageChanges:
    """Differences between the files that were recorded and those of now; images are counted once.

    Attributes:
        leaked: training images that are validation or test images now.
        moved: other images that are in another split now.
        new, missing: files by path and split.
        changed: files of another size.
    """

    leaked: int = 0
    moved: int = 0
    new: int = 0
    missing: int = 0
    changed: int = 0

    def __bool__(self) -> bool:
        return any((self.leaked, self.moved, self.new, self.missing, self.changed))

    @property
    def text(self) -> str:
        """`3 new, 1 missing and 2 changed files`."""
        names = {
            "leaked": "moved from training to validation or test",
            "moved": "moved to another split",
            "new": "new",
            "missing": "missing",
            "changed": "changed",
        }
        parts = [f"{getattr(self, name):,} {words}" for name, words in names.items() if getattr(self, name)]
        return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) if parts else "none"


@dataclass(frozen=True, eq=False)
class Manifest:
    """The files of a data set with their splits, 17 bytes per file.

    A file is known by the hash of its path and by its size. Content that changes without a change of size is
    not seen.

    Attributes:
        hashes: `n` uint64; see `splits.path_hashes`.
        sizes: `n` int64, bytes; -1 for a file that cannot be found.
        splits: `n` uint8, indices into `SPLITS`.
    """

    hashes: Hashes
    sizes: NDArray[np.int64]
    splits: NDArray[np.uint8]

    @classmethod
    def of(cls, data: Data) -> "Manifest | None":
        """The files of all splits, also those beyond a limit of images; None if the images are not files."""
        files = _files(data)
        if files is None:
            return None
        parts = [cls.of_split(each, split) for split, each in files.items()]
        return cls(
            np.concatenate([each.hashes for each in parts]),
            np.concatenate([each.sizes for each in parts]),
            np.concatenate([each.splits for each in parts]),
        )

    @classmethod
    def of_split(cls, files: LabelledFiles, split: Split) -> "Manifest":
        """The files of one split."""
        sizes = np.fromiter(map(_size, files.paths), np.int64, len(files.paths))
        return cls(files.hashes, sizes, np.full(len(sizes), SPLITS.index(split), np.uint8))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "Manifest | None":
        """A manifest from `tensors`; None if there is none.

        Raises:
            ValueError: the tensors do not fit each other.
        """
        return cls._from_arrays({name: each.numpy() for name, each in tensors.items()}) if tensors else None

    @classmethod
    def _from_arrays(cls, arrays: Arrays) -> "Manifest":
        hashes, sizes, splits = (arrays[name] for name in ("hashes", "sizes", "splits"))
        if not (
            [str(each.dtype) for each in (hashes, sizes, splits)] == ["int64", "int64", "uint8"]
            and hashes.shape == sizes.shape == splits.shape == (hashes.size,)
            and np.all(splits < len(SPLITS))
        ):
            raise ValueError("not a list of files")
        return cls(hashes.view(np.uint64), sizes, splits.astype(np.uint8))

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The columns as tensors of signed integers, which every reader knows."""
        return {name: torch.from_numpy(each) for name, each in self._arrays.items()}

    @property
    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {"hashes": self.hashes.view(np.int64), "sizes": self.sizes, "splits": self.splits}

    @property
    def fingerprint(self) -> str:
        """See `fingerprint`."""
        columns = enumerate(SPLITS)
        return _fingerprint({split: np.sort(self.hashes[self.splits == index]) for index, split in columns})

    def save(self, path: Path) -> None:
        """Write a file atomically.

        Raises:
            RunError: it cannot be written.
        """
        write_atomic(path, save(self._arrays))

    @classmethod
    def load(cls, path: Path) -> "Manifest":
        """Read a file of `save`.

        Raises:
            RunError: it is damaged or cannot be read.
        """
        try:
            return cls._from_arrays(load(path.read_bytes()))
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise RunError(f"{path}: damaged ({first_line(error)}); remove it") from None

    def changes(self, now: "Manifest") -> ImageChanges:
        """What has changed since this manifest was made."""
        same = _contained(now._files_in_split, self._files_in_split)
        known = ~same & _contained(now._files, self._files)
        leaked = self.leaked(now)
        changed = ~same & ~known & _contained(now._paths_in_split, self._paths_in_split)
        gone = ~_contained(self._paths_in_split, now._paths_in_split) & ~_contained(self._files, now._files)
        return ImageChanges(
            leaked=int(leaked.sum()),
            moved=int((known & ~leaked).sum()),
            new=int((~same & ~known & ~changed).sum()),
            missing=int(gone.sum()),
            changed=int(changed.sum()),
        )

    def leaked(self, now: "Manifest") -> NDArray[np.bool_]:
        """Which files of another manifest were training images and are in another split there."""
        trained = _contained(now._files, self._files[self.splits == _TRAIN])
        same = _contained(now._files_in_split, self._files_in_split)
        leaked: NDArray[np.bool_] = trained & ~same & (now.splits != _TRAIN)
        return leaked

    @cached_property
    def _files(self) -> Hashes:
        return _keys(self.hashes, self.sizes)

    @cached_property
    def _files_in_split(self) -> Hashes:
        return _keys(self._files, self.splits)

    @cached_property
    def _paths_in_split(self) -> Hashes:
        return _keys(self.hashes, self.splits)


def _keys(hashes: Hashes, values: NDArray[np.int64] | NDArray[np.uint8]) -> Hashes:
    """A hash of two columns."""
    mixed = hashes ^ (values.astype(np.int64).view(np.uint64) + np.uint64(1)) * _KEY_FACTORS[0]
    keys: Hashes = (mixed ^ (mixed >> np.uint64(32))) * _KEY_FACTORS[1]
    return keys


def _contained(values: Hashes, known: Hashes) -> NDArray[np.bool_]:
    """Which values are among the known ones; four times as fast as `numpy.isin`."""
    if not len(known):
        return np.zeros(len(values), np.bool_)
    ordered = np.sort(known)
    places = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    contained: NDArray[np.bool_] = ordered[places] == values
    return contained


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return -1


def fingerprint(data: Data) -> str:
    """Short hash of the splits, 16 hexadecimal digits.

    Of files, it covers the path and the split of each; of other data, the labels of every split. A limit of
    images does not change it, except for data of other classes than bneck's.
    """
    files = _files(data)
    if files is None:
        return _fingerprint({split: _all_labels(data, split).numpy() for split in SPLITS})
    return _fingerprint({split: np.sort(each.hashes) for split, each in files.items()})


def _fingerprint(columns: Mapping[Split, NDArray[Any]]) -> str:
    content = blake2b(digest_size=8)
    for split in SPLITS:
        content.update(split.encode())
        content.update(columns[split].tobytes())
    return content.hexdigest()


def _all_labels(data: Data, split: Split) -> Tensor:
    if isinstance(data, StreamingData) and data.whole:
        return data.whole[split].labels
    if isinstance(data, InMemoryData) and data.all_labels:
        return data.all_labels[split]
    return data.labels(split)


def _files(data: Data) -> dict[Split, LabelledFiles] | None:
    """The files of each split without a limit of images; None if the images are not files."""
    if not isinstance(data, StreamingData):
        return None
    splits: Mapping[Split, ImageSource] = data.whole or data.splits
    files = {split: each for split, each in splits.items() if isinstance(each, LabelledFiles)}
    return files if len(files) == len(splits) else None
