"""Data sets in memory: uint8 tensors, augmented batch by batch."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Generator, Tensor
from torch.nn.functional import interpolate, pad

from .augmentation import NO_AUGMENTATION, Augmentation, apply_policy, apply_random_erasing, sample_seeds
from .splits import Split, augmentation_generator, batch_indices, check_statistics

CACHE_BYTES = 2**30
_MAX_SHIFT_DIVISOR = 8


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Labeled images of one size.

    Attributes:
        pixels: `n x height x width x channels` uint8.
        labels: `n` int64.
    """

    pixels: Tensor
    labels: Tensor

    @property
    def hashes(self) -> None:
        """Images are known by their position."""

    def __getitem__(self, positions: Tensor) -> "LabelledImages":
        return LabelledImages(self.pixels[positions], self.labels[positions])


@dataclass(frozen=True, eq=False)
class InMemoryData:
    """A data set in memory; implements `bneck.evaluate.data.dataset.Data`.

    Each split is resized once per resolution and cached (least recently used, `CACHE_BYTES` in total);
    a split larger than the cache is resized batch by batch.

    Attributes:
        mean, std: normalisation constants, one value per channel, scale 0 to 255.
        horizontal_flip: whether `flip_crop` mirrors images; False where mirroring changes the class, as
            for digits.
        all_labels: labels of the splits before images were left out; empty if none were.
    """

    name: str
    class_names: tuple[str, ...]
    splits: Mapping[Split, LabelledImages]
    mean: Tensor
    std: Tensor
    horizontal_flip: bool
    all_labels: Mapping[Split, Tensor] = field(default_factory=dict, repr=False)
    _resized: OrderedDict[tuple[Split, int], Tensor] = field(
        default_factory=OrderedDict, init=False, repr=False
    )

    @property
    def image_channels(self) -> int:
        return self.splits["train"].pixels.shape[-1]

    @property
    def pixel_mean(self) -> tuple[float, ...]:
        return tuple(self.mean.tolist())

    @property
    def pixel_std(self) -> tuple[float, ...]:
        return tuple(self.std.tolist())

    @property
    def image_size_px(self) -> int | None:
        return max(self.splits["train"].pixels.shape[1:3])

    def count(self, split: Split) -> int:
        return len(self.splits[split].labels)

    def labels(self, split: Split) -> Tensor:
        return self.splits[split].labels

    def subset(self, split: Split, positions: Tensor) -> "InMemoryData":
        # The normalisation does not depend on the subset.
        all_labels = self.all_labels or {each: images.labels for each, images in self.splits.items()}
        splits = {**self.splits, split: self.splits[split][positions]}
        return replace(self, splits=splits, all_labels=all_labels)

    def with_normalization(self, mean: tuple[float, ...], std: tuple[float, ...]) -> "InMemoryData":
        check_statistics(self.name, self.image_channels, mean, std)
        return replace(self, mean=torch.tensor(mean), std=torch.tensor(std))

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
        resized = self._resized_split(split, resolution_px)
        max_shift_px = resolution_px // _MAX_SHIFT_DIVISOR
        shard_slice = slice(shard[0], None, shard[1])
        for positions in batch_indices(len(images.labels), batch_size, shuffle):
            # Drawn for the whole batch, so that the generators of all shards stay in step.
            source_indices = (
                sample_shifts_and_flips(
                    len(positions), resolution_px, max_shift_px, self.horizontal_flip, generator
                )
                if augment.flip_crop and generator is not None
                else None
            )
            seeds = sample_seeds(len(positions), augment, generator)[shard_slice]
            shard_positions = positions[shard_slice]
            pixels = (
                resize(images.pixels[shard_positions], resolution_px)
                if resized is None
                else resized[shard_positions]
            )
            if source_indices is not None:
                pixels = apply_shifts_and_flips(pixels, source_indices[:, shard_slice], max_shift_px)
            pixels = apply_policy(pixels, augment, seeds)
            yield (
                apply_random_erasing(normalize(pixels, self.mean, self.std), augment, seeds),
                images.labels[shard_positions],
            )

    def _resized_split(self, split: Split, resolution_px: int) -> Tensor | None:
        """Pixels of a split at a resolution; None if they exceed the cache."""
        pixels = self.splits[split].pixels
        if pixels.shape[1:3] == (resolution_px, resolution_px):
            return pixels
        if len(pixels) * resolution_px**2 * self.image_channels > CACHE_BYTES:
            return None
        key = (split, resolution_px)
        if key not in self._resized:
            self._resized[key] = resize(pixels, resolution_px)
        self._resized.move_to_end(key)
        while sum(resized_split.nbytes for resized_split in self._resized.values()) > CACHE_BYTES:
            self._resized.popitem(last=False)
        return self._resized[key]


def in_memory_data(
    name: str, class_names: tuple[str, ...], splits: Mapping[Split, LabelledImages], *, horizontal_flip: bool
) -> InMemoryData:
    """A data set in memory, normalised by the mean and standard deviation of its training images."""
    mean, std = channel_statistics(splits["train"].pixels)
    return InMemoryData(name, class_names, splits, mean, std, horizontal_flip)


def channel_statistics(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, scale 0 to 255.

    Standard deviations below 1 become 1, which avoids division by zero for constant channels.

    Args:
        pixels: `n x height x width x channels` uint8.
    Returns:
        Mean and standard deviation, `channels` float32 each.
    """
    count = pixels[..., 0].numel()
    total = torch.zeros(pixels.shape[-1], dtype=torch.float64)
    squares = torch.zeros_like(total)
    for chunk in torch.split(pixels, 1024):  # a float64 copy of all pixels would take eight times the memory
        values = chunk.double()
        total += values.sum((0, 1, 2))
        squares += values.square().sum((0, 1, 2))
    mean = total / count
    std = (squares / count - mean.square()).clamp(min=1).sqrt()
    return mean.float(), std.float()


def resize(pixels: Tensor, resolution_px: int) -> Tensor:
    """Resize to squares of side `resolution_px` with an antialiased bilinear filter.

    Args:
        pixels: `n x height x width x channels` uint8.
    Returns:
        `n x resolution x resolution x channels` uint8.
    """
    if pixels.shape[1:3] == (resolution_px, resolution_px):
        return pixels
    size = (resolution_px, resolution_px)
    resized = interpolate(pixels.permute(0, 3, 1, 2), size=size, mode="bilinear", antialias=True)
    return resized.permute(0, 2, 3, 1).contiguous()


def sample_shifts_and_flips(
    count: int, image_size_px: int, max_shift_px: int, horizontal_flip: bool, generator: Generator
) -> Tensor:
    """Sample a random translation of each of `n` images of side `r`, and mirror each with probability 0.5.

    Returns:
        `2 x n x r` int64: source row and source column in the image padded by `max_shift_px`.
    """
    rows, columns = torch.randint(0, 2 * max_shift_px + 1, (2, count, 1), generator=generator) + torch.arange(
        image_size_px
    )
    if horizontal_flip:
        flipped = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(flipped, columns.flip(1), columns)
    return torch.stack([rows, columns])


def apply_shifts_and_flips(pixels: Tensor, source_indices: Tensor, max_shift_px: int) -> Tensor:
    """Translate and mirror images, `n x r x r x channels` uint8; the border is black."""
    rows, columns = source_indices
    padded = pad(pixels, (0, 0, max_shift_px, max_shift_px, max_shift_px, max_shift_px))
    return padded[torch.arange(len(pixels))[:, None, None], rows[:, :, None], columns[:, None, :]]


def normalize(pixels: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Normalise pixels for the network: `(pixels - mean) / std`.

    Args:
        pixels: `n x height x width x channels` uint8.
        mean, std: one value per channel, scale 0 to 255.
    Returns:
        `n x channels x height x width` float32 in the channels_last memory format.
    """
    return pixels.to(torch.float32).sub_(mean).div_(std).permute(0, 3, 1, 2)
