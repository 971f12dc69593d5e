"""Contract of `bneck.evaluate.data.dataset.Data`."""

import pytest
import torch
from torch import Generator, Tensor

from bneck.evaluate.data.augmentation import NO_AUGMENTATION, Augmentation, parse_augmentation
from bneck.evaluate.data.dataset import SPLITS, Data, Split
from bneck.search_space import DataError

RESOLUTION_PX = 12
FLIP_CROP = Augmentation(flip_crop=True)
EVERY_STEP = parse_augmentation("flip-crop+trivialaugment+random-erase")


class DataContract:
    """Tests that every implementation of `Data` must pass; every image must be readable."""

    @pytest.fixture
    def data(self) -> Data:
        """The data set under test: at least two classes with different images, four or more for training."""
        raise NotImplementedError("override the fixture 'data'")

    def test_name_classes_and_normalisation(self, data: Data) -> None:
        assert isinstance(data, Data)
        assert data.name
        assert len(set(data.class_names)) == len(data.class_names) >= 2
        assert data.image_channels in (1, 3)
        assert len(data.pixel_mean) == len(data.pixel_std) == data.image_channels
        assert all(std > 0 for std in data.pixel_std)
        assert data.image_size_px is None or data.image_size_px > 0

    @pytest.mark.parametrize("split", SPLITS)
    def test_batches_hold_every_image_in_a_fixed_order(self, data: Data, split: Split) -> None:
        batches = list(data.batches(split, RESOLUTION_PX, 7))
        images, labels = (torch.cat(column) for column in zip(*batches, strict=True))
        assert images.shape == (data.count(split), data.image_channels, RESOLUTION_PX, RESOLUTION_PX)
        assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
        assert labels.equal(data.labels(split))
        assert 0 <= int(labels.min()) <= int(labels.max()) < len(data.class_names)
        assert all(batch.is_contiguous(memory_format=torch.channels_last) for batch, _ in batches)
        again = torch.cat([images for images, _ in data.batches(split, RESOLUTION_PX, 7)])
        assert again.equal(images)

    def test_every_class_has_training_images(self, data: Data) -> None:
        assert set(data.labels("train").tolist()) == set(range(len(data.class_names)))

    def test_splits_are_disjoint(self, data: Data) -> None:
        seen: set[bytes] = set()
        for split in SPLITS:
            contents = {
                image.numpy().tobytes()
                for images, _ in data.batches(split, RESOLUTION_PX, 64)
                for image in images
            }
            assert not contents & seen
            seen |= contents

    @pytest.mark.parametrize("augment", [NO_AUGMENTATION, EVERY_STEP], ids=["plain", "augmented"])
    def test_the_generator_determines_order_and_augmentation(self, data: Data, augment: Augmentation) -> None:
        def epochs(seed: int) -> list[bytes]:
            generator = Generator().manual_seed(seed)
            return [
                b"".join(images.numpy().tobytes() for images, _ in _train_batches(data, generator, augment))
                for _ in range(2)
            ]

        first, second = epochs(1)
        assert [first, second] == epochs(1)
        assert first != second
        assert first != epochs(2)[0]

    def test_shuffling_keeps_images_with_their_labels(self, data: Data) -> None:
        def pairs(shuffle: Generator | None) -> list[tuple[bytes, int]]:
            return [
                (image.numpy().tobytes(), int(label))
                for images, labels in data.batches(
                    "train", RESOLUTION_PX, data.count("train"), shuffle=shuffle
                )
                for image, label in zip(images, labels, strict=True)
            ]

        shuffled, ordered = pairs(Generator().manual_seed(0)), pairs(None)
        assert shuffled != ordered
        assert sorted(shuffled) == sorted(ordered)

    def test_a_shuffled_last_batch_less_than_half_full_is_dropped(self, data: Data) -> None:
        count = data.count("train")
        for batch_size in (3, 4, count + 1):
            batches = _train_batches(data, Generator().manual_seed(0), NO_AUGMENTATION, batch_size)
            full, rest = divmod(count, batch_size)
            assert len(batches) == max(1, full + (2 * rest >= batch_size))

    def test_augmentation_changes_images_but_not_their_number(self, data: Data) -> None:
        plain, augmented = (
            torch.cat([images for images, _ in _train_batches(data, Generator().manual_seed(0), augment)])
            for augment in (NO_AUGMENTATION, FLIP_CROP)
        )
        assert plain.shape == augmented.shape
        assert not plain.equal(augmented)

    @pytest.mark.parametrize("name", ["flip-crop", "trivialaugment", "random-erase"])
    def test_augmentation_needs_a_generator(self, data: Data, name: str) -> None:
        with pytest.raises(ValueError, match="generator"):
            next(data.batches("train", RESOLUTION_PX, 8, augment=parse_augmentation(name)))

    def test_mixing_is_left_to_the_caller(self, data: Data) -> None:
        mixed, plain = (
            next(data.batches("test", RESOLUTION_PX, 4, augment=Augmentation(mixes=mixes)))
            for mixes in (("mixup",), ())
        )
        assert mixed[0].equal(plain[0])
        assert mixed[1].equal(plain[1])

    def test_shards_partition_each_batch(self, data: Data) -> None:
        def batches(shard: tuple[int, int]) -> list[tuple[Tensor, Tensor]]:
            return _train_batches(data, Generator().manual_seed(4), EVERY_STEP, 6, shard)

        whole, *shards = (batches(shard) for shard in ((0, 1), (0, 3), (1, 3), (2, 3)))
        for batch, *parts in zip(whole, *shards, strict=True):
            for rank, part in enumerate(parts):
                assert all(mine.equal(all_[rank::3]) for mine, all_ in zip(part, batch, strict=True))

    def test_normalisation_can_be_replaced(self, data: Data) -> None:
        channels = data.image_channels
        raw = data.with_normalization((0.0,) * channels, (1.0,) * channels)
        other = raw.with_normalization((10.0,) * channels, (4.0,) * channels)
        assert (other.pixel_mean, other.pixel_std) == ((10.0,) * channels, (4.0,) * channels)
        (pixels, _), (images, _), (own, _) = (
            next(each.batches("test", RESOLUTION_PX, 8)) for each in (raw, other, data)
        )
        assert 0 <= float(pixels.min()) <= float(pixels.max()) <= 255
        torch.testing.assert_close(images, (pixels - 10) / 4)
        mean, std = (torch.tensor(values)[:, None, None] for values in (data.pixel_mean, data.pixel_std))
        torch.testing.assert_close(own, (pixels - mean) / std)
        with pytest.raises(DataError, match="channel"):
            data.with_normalization((0.0,) * (channels + 1), (1.0,) * (channels + 1))

    def test_a_subset_changes_one_split(self, data: Data) -> None:
        positions = torch.tensor([data.count("train") - 1, 0])
        subset = data.subset("train", positions)
        assert subset.labels("train").equal(data.labels("train")[positions])
        assert [subset.count(split) for split in SPLITS[1:]] == [data.count(split) for split in SPLITS[1:]]
        assert (subset.name, subset.class_names) == (data.name, data.class_names)
        assert (subset.pixel_mean, subset.pixel_std) == (data.pixel_mean, data.pixel_std)
        [(images, _)] = subset.batches("train", RESOLUTION_PX, 2)
        every = torch.cat([batch for batch, _ in data.batches("train", RESOLUTION_PX, 64)])
        assert images.equal(every[positions])


def _train_batches(
    data: Data,
    shuffle: Generator,
    augment: Augmentation,
    batch_size: int = 8,
    shard: tuple[int, int] = (0, 1),
) -> list[tuple[Tensor, Tensor]]:
    return list(
        data.batches("train", RESOLUTION_PX, batch_size, shuffle=shuffle, augment=augment, shard=shard)
    )
