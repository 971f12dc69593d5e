"""Data sets that do not fit in memory: images are decoded in threads, a few batches ahead."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Generator, Tensor

from ...search_space.errors import DataError
from ...search_space.printable import printable
from ..cores import usable_cores
from .augmentation import NO_AUGMENTATION, Augmentation, apply_policy, apply_random_erasing, sample_seeds
from .crops import PixelArray, center_crop, random_resized_crop
from .decode import DecodedImage, DownscaleFn, UnreadableImageError, decode_image, full_resolution
from .folder_files import left_out_text
from .in_memory import normalize
from .prefetch import prefetch
from .splits import SPLITS, Hashes, Split, augmentation_generator, batch_indices, check_statistics

IMAGENET_MEAN: tuple[float, ...] = tuple((torch.tensor([0.485, 0.456, 0.406]) * 255).tolist())
IMAGENET_STD: tuple[float, ...] = tuple((torch.tensor([0.229, 0.224, 0.225]) * 255).tolist())
_MAX_WORKERS = 8
_MAX_LISTED = 5
_CHECK_BATCH_SIZE = 32


class ImageSource(Protocol):
    """Labeled images of any origin in a fixed order."""

    @property
    def labels(self) -> Tensor:
        """`n` int64."""

    @property
    def hashes(self) -> Hashes | None:
        """Hash of each image's path, `n` uint64; None if images are known by their position only."""

    def path(self, index: int) -> Path:
        """Identifies an image in messages."""

    def read(self, index: int, downscale_fn: DownscaleFn) -> DecodedImage:
        """Decode an image; called from several threads concurrently.

        Raises:
            UnreadableImageError: the image cannot be decoded.
        """

    def __getitem__(self, positions: Tensor) -> "ImageSource":
        """The images at these positions, `m` int64."""


@dataclass(frozen=True, eq=False)
class LabelledFiles:
    """Image files with labels; implements `ImageSource`.

    Attributes:
        paths: `n` files as `str`, which takes less memory than `Path`.
        labels: `n` int64.
        hashes: `n` uint64, of the paths relative to the folder of the classes.
    """

    paths: tuple[str, ...]
    labels: Tensor
    hashes: Hashes

    def path(self, index: int) -> Path:
        return Path(self.paths[index])

    def read(self, index: int, downscale_fn: DownscaleFn) -> DecodedImage:
        return decode_image(self.path(index), downscale_fn)

    def __getitem__(self, positions: Tensor) -> "LabelledFiles":
        paths = tuple(self.paths[index] for index in positions.tolist())
        return LabelledFiles(paths, self.labels[positions], self.hashes[positions.numpy()])


@dataclass(frozen=True, eq=False)
class StreamingData:
    """Color images that are decoded again for every batch; implements `bneck.evaluate.data.dataset.Data`.

    `flip_crop` is a random crop of 35% to 100% of the area, mirrored with probability 0.5; without it a
    center crop is used. Unreadable images are left out of their batch.

    Attributes:
        pixel_mean, pixel_std: one value per channel, scale 0 to 255; by default those of ImageNet.
        horizontal_flip: whether `flip_crop` mirrors images.
        workers: decoding threads; None for the number of cores minus one, at most 8, and for one thread
            if torch computes on one thread, because other processes then use the other cores.
        left_out: number of files of a folder that are not used, by kind, such as `.heic` or `dangling links`.
        unreadable_images: cause by path; shared by all data derived from this.
        bit_depths: bits used by images with 16-bit pixels that were decoded so far; shared likewise.
        whole: the splits before images were left out; empty if none were.
    """

    name: str
    class_names: tuple[str, ...]
    splits: Mapping[Split, ImageSource]
    pixel_mean: tuple[float, ...] = IMAGENET_MEAN
    pixel_std: tuple[float, ...] = IMAGENET_STD
    horizontal_flip: bool = True
    workers: int | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    unreadable_images: dict[Path, str] = field(default_factory=dict, repr=False)
    bit_depths: set[int] = field(default_factory=set, repr=False)
    whole: Mapping[Split, ImageSource] = field(default_factory=dict, repr=False)

    @property
    def image_channels(self) -> int:
        return 3

    @property
    def image_size_px(self) -> int | None:
        return None

    def count(self, split: Split) -> int:
        return len(self.splits[split].labels)

    def labels(self, split: Split) -> Tensor:
        return self.splits[split].labels

    def hashes(self, split: Split) -> Hashes | None:
        """Hash of the path of each file, `n` uint64; None for images that are not files."""
        return self.splits[split].hashes

    def subset(self, split: Split, positions: Tensor) -> "StreamingData":
        splits = {**self.splits, split: self.splits[split][positions]}
        return replace(self, splits=splits, whole=self.whole or self.splits)

    def with_normalization(self, mean: tuple[float, ...], std: tuple[float, ...]) -> "StreamingData":
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
        generator = augmentation_generator(shuffle, augment.changes_images)
        images = self.splits[split]
        mean, std = torch.tensor(self.pixel_mean), torch.tensor(self.pixel_std)
        shard_slice = slice(shard[0], None, shard[1])

        def batch_tasks() -> Iterator[tuple[tuple[Tensor, Tensor], list[Callable[[], PixelArray | None]]]]:
            """Labels, augmentation seeds and decoding functions of each batch."""
            for positions in batch_indices(self.count(split), batch_size, shuffle):
                # Drawn here, because the order of execution in threads is not deterministic.
                uniforms_by_image = (
                    torch.rand(len(positions), 5, generator=generator)[shard_slice].tolist()
                    if augment.flip_crop
                    else [None] * len(positions[shard_slice])
                )
                seeds = sample_seeds(len(positions), augment, generator)[shard_slice]
                reads = [
                    partial(self._pixels, images, index, resolution_px, uniforms)
                    for index, uniforms in zip(
                        positions[shard_slice].tolist(), uniforms_by_image, strict=True
                    )
                ]
                yield (images.labels[positions[shard_slice]], seeds), list(reads)

        images_requested, images_decoded = 0, 0
        for (labels, seeds), decoded in prefetch(batch_tasks(), self.workers or default_workers()):
            valid, pixels = _stack_decoded(decoded, resolution_px)
            images_requested, images_decoded = images_requested + len(decoded), images_decoded + len(valid)
            if not valid and shard[1] == 1:
                continue
            pixels = apply_policy(pixels, augment, seeds[valid])
            yield apply_random_erasing(normalize(pixels, mean, std), augment, seeds[valid]), labels[valid]
        if images_requested and not images_decoded:
            raise DataError(
                f"{self.name}: none of the {images_requested:,} images of the {split} split can be read: "
                f"{_listed(self.unreadable_images)}; replace them"
            )

    def _pixels(
        self, images: ImageSource, index: int, resolution_px: int, uniforms: Sequence[float] | None
    ) -> PixelArray | None:
        read = partial(self._read, images, index)
        try:
            if uniforms is None:
                return center_crop(read, resolution_px)
            flipped = self.horizontal_flip and uniforms[4] < 0.5
            return random_resized_crop(read, resolution_px, uniforms[:4], flipped)
        except UnreadableImageError as error:
            self.unreadable_images[error.path] = error.reason  # item assignment is atomic
            return None

    def read(self, split: Split, index: int, downscale_fn: DownscaleFn) -> DecodedImage:
        """Decode one image.

        Raises:
            UnreadableImageError: the image cannot be decoded.
        """
        return self._read(self.splits[split], index, downscale_fn)

    def _read(self, images: ImageSource, index: int, downscale_fn: DownscaleFn) -> DecodedImage:
        decoded = images.read(index, downscale_fn)
        if decoded.bit_depth is not None:
            self.bit_depths.add(decoded.bit_depth)
        return decoded


def _stack_decoded(decoded: Sequence[PixelArray | None], resolution_px: int) -> tuple[list[int], Tensor]:
    """Indices of the readable images of a batch, and their pixels, `n x r x r x 3` uint8."""
    valid = {index: pixels for index, pixels in enumerate(decoded) if pixels is not None}
    stacked = np.empty((len(valid), resolution_px, resolution_px, 3), np.uint8)
    for row, pixels in enumerate(valid.values()):
        stacked[row] = pixels
    return list(valid), torch.from_numpy(stacked)


def default_workers() -> int:
    """Number of decoding threads; see `StreamingData.workers`."""
    if torch.get_num_threads() == 1:
        return 1
    return min(_MAX_WORKERS, max(1, usable_cores() - 1))


def unreadable_images_text(data: object) -> str | None:
    """`3 of 5,000 images could not be read and were left out: dog/1.jpg (truncated), ...`.

    If images with 16 bits per pixel use fewer, it says how many.

    Returns:
        None if no image was unreadable so far and none uses fewer bits, or the data is in memory.
    """
    if not isinstance(data, StreamingData):
        return None
    sentences = []
    if unreadable := data.unreadable_images:
        total = sum(data.count(split) for split in SPLITS)
        left_out = f"{'was' if len(unreadable) == 1 else 'were'} left out: {_listed(unreadable)}"
        sentences.append(f"{len(unreadable):,} of {total:,} images could not be read and {left_out}")
    if bit_depths := bit_depths_text(data.bit_depths):
        sentences.append(bit_depths)
    return "; ".join(sentences) or None


def bit_depths_text(bit_depths: Collection[int]) -> str | None:
    """How images with 16 bits per pixel were scaled; None if they use all 16."""
    if not set(bit_depths) - {16}:
        return None
    used = " or ".join(map(str, sorted(bit_depths)))
    scale = "; the scale differs between images, so convert them to one" if len(bit_depths) > 1 else ""
    return f"16-bit images use {used} bits, and black to white was scaled from these{scale}"


def left_out_notice(data: object) -> str | None:
    """`folder:photos: left out: 12 .heic (install pillow-heif), 3 dangling links`: files that are not used.

    Returns:
        None if every file is used, or the data is not a folder.
    """
    text = left_out_text(data.left_out) if isinstance(data, StreamingData) else None
    return f"{printable(data.name)}: {text}" if isinstance(data, StreamingData) and text else None


def find_unreadable_images(
    data: object, on_image: Callable[[int, int], None] | None = None
) -> dict[Path, str]:
    """Decode every image of all splits at full resolution.

    Args:
        on_image: called after each image with the number done and the total.
    Returns:
        Cause by path of each unreadable image; empty for data in memory.
    """
    if not isinstance(data, StreamingData):
        return {}
    total = sum(data.count(split) for split in SPLITS)
    unreadable_images: dict[Path, str] = {}
    done = 0

    def batch_tasks() -> Iterator[tuple[None, list[Callable[[], UnreadableImageError | None]]]]:
        for split in SPLITS:
            for indices in batch_indices(data.count(split), _CHECK_BATCH_SIZE, None):
                yield None, [partial(_decode_error, data, split, index) for index in indices.tolist()]

    for _, errors in prefetch(batch_tasks(), data.workers or default_workers()):
        for error in errors:
            done += 1
            if error is not None:
                unreadable_images[error.path] = error.reason
            if on_image is not None:
                on_image(done, total)
    return unreadable_images


def _decode_error(data: StreamingData, split: Split, index: int) -> UnreadableImageError | None:
    try:
        data.read(split, index, full_resolution)
    except UnreadableImageError as error:
        return error
    return None


def _listed(unreadable_images: Mapping[Path, str]) -> str:
    listed = [
        f"{printable('/'.join(path.parts[-2:]))} ({reason})"
        for path, reason in list(unreadable_images.items())[:_MAX_LISTED]
    ]
    unlisted = len(unreadable_images) - len(listed)
    return ", ".join(listed) + (f" and {unlisted:,} more" if unlisted else "")
