"""Data too large for memory: images are decoded when they are wanted, a few batches ahead of their use."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Generator, Tensor

from ...search_space.errors import DataError
from ..latency.device import usable_cores
from .augmentation import NO_AUGMENTATION, Augmentation, draw_seeds, with_erasing, with_policy
from .crops import Bytes, crop, middle
from .decode import Picture, Shrink, UnreadableImageError, read_picture, whole
from .in_memory import normalised
from .prefetch import read_ahead
from .splits import SPLITS, Split, augmentation_source, batch_positions, check_statistics

IMAGENET_MEAN: tuple[float, ...] = tuple((torch.tensor([0.485, 0.456, 0.406]) * 255).tolist())
IMAGENET_STD: tuple[float, ...] = tuple((torch.tensor([0.229, 0.224, 0.225]) * 255).tolist())
_MOST_WORKERS = 8
_MOST_TOLD = 5
_CHECKED_TOGETHER = 32


class Images(Protocol):
    """Images with their classes, wherever they come from, in a fixed order."""

    @property
    def labels(self) -> Tensor:
        """`n` int64."""

    def path(self, place: int) -> Path:
        """What the image at a place is called, when it must be named."""

    def read(self, place: int, shrink: Shrink) -> Picture:
        """The picture at a place; called from many threads at once.

        Raises:
            UnreadableImageError: it cannot be used.
        """

    def __getitem__(self, chosen: Tensor) -> "Images":
        """Those at some places, `m` int64."""


@dataclass(frozen=True, eq=False)
class LabelledFiles:
    """Image files with their classes; implements `Images`.

    Attributes:
        paths: `n` files; as text, which is smaller than as many `Path`s.
        labels: `n` int64.
    """

    paths: tuple[str, ...]
    labels: Tensor

    def path(self, place: int) -> Path:
        return Path(self.paths[place])

    def read(self, place: int, shrink: Shrink) -> Picture:
        return read_picture(self.path(place), shrink)

    def __getitem__(self, chosen: Tensor) -> "LabelledFiles":
        return LabelledFiles(tuple(self.paths[place] for place in chosen.tolist()), self.labels[chosen])


@dataclass(frozen=True, eq=False)
class FolderData:
    """Colour images that are read anew for every batch; implements `bneck.evaluate.data.dataset.Data`.

    Augmentation by `flip_crop` is a random crop of 35% to 100% of the area, mirrored half of the
    time; without it, the middle of the image is taken. An image that cannot be read is left out
    of its batch.

    Attributes:
        pixel_mean, pixel_std: from 0 to 255, one a channel; those of ImageNet.
        flips: whether crops are mirrored.
        workers: threads that read; None for one a core but one, 8 at most, and a single one where
            torch itself computes on one thread, for then other processes have the rest.
        broken: why images were left out, by path; shared by all that is made from this data.
    """

    name: str
    class_names: tuple[str, ...]
    splits: Mapping[Split, Images]
    pixel_mean: tuple[float, ...] = IMAGENET_MEAN
    pixel_std: tuple[float, ...] = IMAGENET_STD
    flips: bool = True
    workers: int | None = None
    broken: dict[Path, str] = field(default_factory=dict, repr=False)

    @property
    def image_channels(self) -> int:
        return 3

    @property
    def side_px(self) -> int | None:
        return None

    def count(self, split: Split) -> int:
        return len(self.splits[split].labels)

    def labels(self, split: Split) -> Tensor:
        return self.splits[split].labels

    def keep(self, split: Split, chosen: Tensor) -> "FolderData":
        return replace(self, splits={**self.splits, split: self.splits[split][chosen]})

    def normalised_by(self, mean: tuple[float, ...], std: tuple[float, ...]) -> "FolderData":
        check_statistics(self.name, self.image_channels, mean, std)
        return replace(self, pixel_mean=mean, pixel_std=std)

    def batches(
        self,
        split: Split,
        resolution_px: int,
        batch_size: int,
        *,
        shuffle: Generator | None = None,
        augment: Augmentation = NO_AUGMENTATION,
        shard: tuple[int, int] = (0, 1),
    ) -> Iterator[tuple[Tensor, Tensor]]:
        source = augmentation_source(shuffle, augment.changes_images)
        images = self.splits[split]
        mean, std = torch.tensor(self.pixel_mean), torch.tensor(self.pixel_std)
        mine = slice(shard[0], None, shard[1])

        def plans() -> Iterator[tuple[tuple[Tensor, Tensor], list[Callable[[], Bytes | None]]]]:
            """For each batch the labels and seeds of its images, and how to get their pixels."""
            for chosen in batch_positions(self.count(split), batch_size, shuffle):
                # Drawn here and not by the readers, whose order is not fixed.
                chances = (
                    torch.rand(len(chosen), 5, generator=source)[mine].tolist()
                    if augment.flip_crop
                    else [None] * len(chosen[mine])
                )
                seeds = draw_seeds(len(chosen), augment, source)[mine]
                reads = [
                    partial(self._pixels, images, place, resolution_px, chance)
                    for place, chance in zip(chosen[mine].tolist(), chances, strict=True)
                ]
                yield (images.labels[chosen[mine]], seeds), list(reads)

        planned, readable = 0, 0
        for (labels, seeds), found in read_ahead(plans(), self.workers or default_workers()):
            good, pixels = _readable(found, resolution_px)
            planned, readable = planned + len(found), readable + len(good)
            if not good and shard[1] == 1:
                continue
            pixels = with_policy(pixels, augment, seeds[good])
            yield with_erasing(normalised(pixels, mean, std), augment, seeds[good]), labels[good]
        if planned and not readable:
            raise DataError(
                f"{self.name}: none of the {planned:,} images of the {split} split can be read: "
                f"{_told(self.broken)}; replace them"
            )

    def _pixels(
        self, images: Images, place: int, resolution_px: int, chance: Sequence[float] | None
    ) -> Bytes | None:
        try:
            if chance is None:
                return middle(partial(images.read, place), resolution_px)
            mirrored = self.flips and chance[4] < 0.5
            return crop(partial(images.read, place), resolution_px, chance[:4], mirrored)
        except UnreadableImageError as error:
            self.broken[error.path] = error.reason  # one item at a time, so threads need no lock
            return None


def _readable(found: Sequence[Bytes | None], resolution_px: int) -> tuple[list[int], Tensor]:
    """Which images of a batch there are, and their pixels, `n x r x r x 3` uint8."""
    good = {place: pixels for place, pixels in enumerate(found) if pixels is not None}
    stacked = np.empty((len(good), resolution_px, resolution_px, 3), np.uint8)
    for row, pixels in enumerate(good.values()):
        stacked[row] = pixels
    return list(good), torch.from_numpy(stacked)


def default_workers() -> int:
    """The number of reading threads."""
    if torch.get_num_threads() == 1:
        return 1
    return min(_MOST_WORKERS, max(1, usable_cores() - 1))


def broken_text(data: object) -> str | None:
    """`3 of 5,000 images could not be read and were left out: dog/1.jpg (truncated), ...`.

    Returns:
        None where every image wanted so far could be read, or data is in memory.
    """
    if not isinstance(data, FolderData) or not data.broken:
        return None
    total = sum(data.count(split) for split in SPLITS)
    left_out = f"{'was' if len(data.broken) == 1 else 'were'} left out: {_told(data.broken)}"
    return f"{len(data.broken):,} of {total:,} images could not be read and {left_out}"


def unreadable(data: object, on_image: Callable[[int, int], None] | None = None) -> dict[Path, str]:
    """Decode every image of all splits once, in full.

    Args:
        on_image: called after each image with the number done and the number of all.
    Returns:
        Why an image cannot be read, by path; nothing for data in memory.
    """
    if not isinstance(data, FolderData):
        return {}
    total = sum(data.count(split) for split in SPLITS)
    broken: dict[Path, str] = {}
    done = 0

    def plans() -> Iterator[tuple[None, list[Callable[[], UnreadableImageError | None]]]]:
        for split in SPLITS:
            for places in batch_positions(data.count(split), _CHECKED_TOGETHER, None):
                yield None, [partial(_fault, data.splits[split], place) for place in places.tolist()]

    for _, faults in read_ahead(plans(), data.workers or default_workers()):
        for fault in faults:
            done += 1
            if fault is not None:
                broken[fault.path] = fault.reason
            if on_image is not None:
                on_image(done, total)
    return broken


def _fault(images: Images, place: int) -> UnreadableImageError | None:
    try:
        images.read(place, whole)
    except UnreadableImageError as error:
        return error
    return None


def _told(broken: Mapping[Path, str]) -> str:
    """The first of the images with the reasons: class folder and file name tell them apart."""
    told = [f"{'/'.join(path.parts[-2:])} ({why})" for path, why in list(broken.items())[:_MOST_TOLD]]
    more = len(broken) - len(told)
    return ", ".join(told) + (f" and {more:,} more" if more else "")
