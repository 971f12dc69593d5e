"""Stratified splits and subsets, and batches."""

import numpy as np
import pytest
import torch

from bneck.evaluate.data.splits import (
    augmentation_generator,
    batch_indices,
    check_classes,
    check_statistics,
    hash_split,
    path_hashes,
    stratified_split,
    stratified_subset,
)
from bneck.search_space.errors import DataError


def test_a_tenth_of_50000_images_in_ten_classes_is_500_of_each() -> None:
    labels = torch.arange(50_000) % 10
    rest, part = stratified_split(labels, (0.1,))
    assert torch.bincount(labels[part]).tolist() == [500] * 10
    assert torch.cat([rest, part]).sort().values.equal(torch.arange(50_000))


def test_the_split_is_that_of_seed_0() -> None:
    # numpy.random.RandomState(0).permutation(4) is 2, 3, 1, 0: the last one is the quarter.
    rest, part = stratified_split(torch.zeros(4, dtype=torch.int64), (0.25,))
    assert rest.tolist() == [1, 2, 3]
    assert part.tolist() == [0]


def test_every_part_has_every_class_even_of_three_images() -> None:
    labels = torch.tensor([0] * 3 + [1] * 100)
    sizes = [torch.bincount(labels[part]).tolist() for part in stratified_split(labels, (0.15, 0.15))]
    assert sizes == [[1, 70], [1, 15], [1, 15]]


def test_a_label_without_images_is_ignored() -> None:
    rest, part = stratified_split(torch.tensor([0, 2, 2, 0]), (0.5,))
    assert [sorted(torch.tensor([0, 2, 2, 0])[places].tolist()) for places in (rest, part)] == [[0, 2]] * 2


def test_the_hash_of_a_path_is_blake2b_with_64_bits() -> None:
    # printf cat/1.jpg | b2sum -l 64; printf 'caf\303\251/1.jpg' | b2sum -l 64 (composed)
    decomposed = "/photos/cafe\N{COMBINING ACUTE ACCENT}/1.jpg"
    assert [hex(each) for each in path_hashes("/photos", ["/photos/cat/1.jpg", decomposed])] == [
        "0x32018dafbde900d2",
        "0xa58a01652aa96069",
    ]


def test_the_lowest_hashes_are_for_the_last_part() -> None:
    # 0.15 x 2^64 = 0x2666666666666800, 0.30 x 2^64 = 0x4ccccccccccccc00
    hashes = np.array([0x4D << 56, 0x26 << 56, 0x4C << 56, 0xFF << 56, 0x27 << 56], np.uint64)
    train, validation, test = hash_split(torch.zeros(5, dtype=torch.int64), hashes, (0.15, 0.15))
    assert (train.tolist(), validation.tolist(), test.tolist()) == ([0, 3], [2, 4], [1])


@pytest.mark.parametrize(
    ("eighths", "parts"),
    [
        ((7, 6, 5, 4), [[0, 1], [2], [3]]),
        ((0, 0, 0, 0), [[3], [2], [0, 1]]),
        ((0, 0, 7, 6), [[2], [3], [0, 1]]),
    ],
    ids=["nothing low", "nothing high", "the nearest moves"],
)
def test_a_small_class_has_an_image_in_every_part(eighths: tuple[int, ...], parts: list[list[int]]) -> None:
    hashes = np.array([(number << 61) + place for place, number in enumerate(eighths)], np.uint64)
    split = hash_split(torch.zeros(4, dtype=torch.int64), hashes, (0.15, 0.15))
    assert [part.tolist() for part in split] == parts


def test_the_subset_of_files_does_not_depend_on_their_order() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**63, 60).astype(np.uint64)
    labels = torch.arange(60) % 3
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    some = stratified_subset(labels, 12, hashes)
    other = stratified_subset(labels[order], 12, hashes[order.numpy()])
    assert sorted(hashes[some.numpy()]) == sorted(hashes[order.numpy()][other.numpy()])
    assert torch.bincount(labels[some]).tolist() == [4, 4, 4]


def test_a_subset_keeps_the_proportions_of_the_classes() -> None:
    labels = torch.tensor([0] * 600 + [1] * 300 + [2] * 100)
    chosen = stratified_subset(labels, 50)
    assert torch.bincount(labels[chosen]).tolist() == [30, 15, 5]


def test_a_subset_has_every_class_if_possible() -> None:
    labels = torch.tensor([0] * 997 + [1, 2, 3])
    assert torch.bincount(labels[stratified_subset(labels, 4)]).tolist() == [1, 1, 1, 1]


def test_a_smaller_subset_is_part_of_a_larger_one() -> None:
    labels = torch.arange(100) % 7
    assert set(stratified_subset(labels, 20).tolist()) < set(stratified_subset(labels, 60).tolist())


def test_a_subset_larger_than_the_whole_is_the_whole() -> None:
    assert stratified_subset(torch.tensor([0, 1, 1]), 9).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(8, [4, 4]), (10, [4, 4, 2]), (9, [4, 4]), (1, [1])],
    ids=["even", "half a batch left stays", "less than half goes", "the only batch stays"],
)
def test_a_shuffled_last_batch_below_half_is_dropped(count: int, sizes: list[int]) -> None:
    batches = batch_indices(count, 4, torch.Generator().manual_seed(0))
    assert [len(batch) for batch in batches] == sizes


def test_without_shuffling_all_images_come_in_order() -> None:
    assert [batch.tolist() for batch in batch_indices(5, 4, None)] == [[0, 1, 2, 3], [4]]


def test_augmentation_without_a_generator_is_refused() -> None:
    with pytest.raises(ValueError, match="pass a generator as shuffle"):
        augmentation_generator(None, augment=True)


def test_a_class_with_too_few_images_is_named() -> None:
    message = "^here: class 'dog' needs at least 3 images, got 2; add images or remove the class$"
    with pytest.raises(DataError, match=message):
        check_classes("here", torch.tensor([0, 0, 0, 1, 1]), ("cat", "dog"), 3)


def test_all_classes_with_too_few_images_are_named() -> None:
    message = (
        "^here: class 'ant' needs at least 2 images, got 0; class 'dog' needs at least 2 images, got 1; "
        "add images or remove the classes$"
    )
    with pytest.raises(DataError, match=message):
        check_classes("here", torch.tensor([1, 1, 2]), ("ant", "cat", "dog"), 2)


def test_ten_of_many_such_classes_are_named() -> None:
    with pytest.raises(DataError) as caught:
        check_classes("here", torch.tensor([0]), [str(number) for number in range(100)], 1)
    message = str(caught.value)
    assert "class '10' needs at least 1 image, got 0; 89 more classes; add" in message
    assert "'11'" not in message


def test_statistics_must_fit_the_channels() -> None:
    check_statistics("grey", 1, (1.0,), (2.0,))
    message = "^grey: normalisation needs 1 color channel, got 3 means and 3"
    with pytest.raises(DataError, match=message):
        check_statistics("grey", 1, (1.0,) * 3, (2.0,) * 3)


@pytest.mark.parametrize("wrong", [2, -1])
def test_a_label_without_a_class_is_refused(wrong: int) -> None:
    with pytest.raises(DataError, match=f"^here: labels must be from 0 to 1, got {wrong}$"):
        check_classes("here", torch.tensor([0, wrong, 1]), ("cat", "dog"), 0)
