"""Parsing of augmentations, reproducibility by seed, and labels of mixed images."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from bneck.evaluate.data.augmentation import (
    AUGMENTATIONS,
    NO_AUGMENTATION,
    Augmentation,
    Mix,
    Policy,
    apply_policy,
    apply_random_erasing,
    mix_batch,
    parse_augmentation,
    sample_seeds,
)
from bneck.search_space.errors import GoalError, UnknownNameError

POLICIES: tuple[Policy, ...] = ("autoaugment", "randaugment", "trivialaugment")


def noise(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def seeds_of(count: int, augmentation: Augmentation, seed: int = 0) -> Tensor:
    return sample_seeds(count, augmentation, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("none", NO_AUGMENTATION),
        ("flip-crop", Augmentation(flip_crop=True)),
        (
            "flip-crop+trivialaugment+cutmix",
            Augmentation(flip_crop=True, policy="trivialaugment", mixes=("cutmix",)),
        ),
        ("cutmix + mixup+random-erase", Augmentation(random_erase=True, mixes=("mixup", "cutmix"))),
    ],
)
def test_names_are_joined_in_any_order(text: str, meant: Augmentation) -> None:
    assert parse_augmentation(text) == meant


def test_every_name_gives_another_augmentation() -> None:
    assert len({parse_augmentation(name) for name in AUGMENTATIONS}) == len(AUGMENTATIONS) == 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mixup+flip-crop+mixup", "augmentation 'mixup+flip-crop+mixup': mixup is repeated; name it once"),
        (
            "randaugment+autoaugment",
            "augmentation 'randaugment+autoaugment': autoaugment and randaugment are mutually exclusive; "
            "use one",
        ),
        (
            "none+mixup",
            "augmentation 'none+mixup': none cannot be combined with others; remove none or the others",
        ),
    ],
)
def test_invalid_combinations_are_refused(text: str, message: str) -> None:
    with pytest.raises(GoalError) as caught:
        parse_augmentation(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "near"), [("cutmx", "cutmix"), ("flip-crop+randaug", "randaugment"), ("", "none")]
)
def test_an_unknown_name_gets_the_nearest_ones(text: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"^unknown augmentation '{text.split('+')[-1]}'; .*{near}"):
        parse_augmentation(text)


def test_reading_a_recipe_does_not_import_torch() -> None:
    code = (
        "import sys, bneck.evaluate.data.augmentation as augment;"
        "augment.parse_augmentation('mixup'); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("side", "channels"), [(12, 1), (12, 3), (70, 1)])
def test_policies_preserve_type_and_size(policy: Policy, side: int, channels: int) -> None:
    # 60 images cover nearly every operation, including color operations on grayscale.
    augmentation, pixels = Augmentation(policy=policy), noise(60, side, side, channels)
    changed = apply_policy(pixels, augmentation, seeds_of(60, augmentation))
    assert (changed.shape, changed.dtype) == (pixels.shape, torch.uint8)
    different = (changed != pixels).flatten(1).any(1).sum()
    assert different > 20


def test_autoaugment_has_a_policy_for_small_and_one_for_large_images() -> None:
    from torchvision.transforms import v2

    augmentation = Augmentation(policy="autoaugment")
    for side, learnt_on in ((64, v2.AutoAugmentPolicy.CIFAR10), (65, v2.AutoAugmentPolicy.IMAGENET)):
        pixels, seeds = noise(12, side, side, 3), seeds_of(12, augmentation)
        with torch.random.fork_rng(devices=[]):
            expected = []
            for image, seed in zip(pixels, seeds[:, 0].tolist(), strict=True):
                torch.manual_seed(seed)
                expected.append(v2.AutoAugment(learnt_on)(image.permute(2, 0, 1)).permute(1, 2, 0))
        assert apply_policy(pixels, augmentation, seeds).equal(torch.stack(expected))


def test_images_depend_on_their_own_seeds_and_the_global_state_is_restored() -> None:
    augmentation = Augmentation(policy="trivialaugment", random_erase=True)
    pixels, seeds = noise(12, 16, 16, 3), seeds_of(12, augmentation)
    before = torch.get_rng_state()
    changed = apply_policy(pixels, augmentation, seeds)
    erased = apply_random_erasing(pixels.float(), augmentation, seeds)
    assert torch.get_rng_state().equal(before)
    torch.rand(1)
    odd = slice(1, None, 2)
    assert apply_policy(pixels[odd], augmentation, seeds[odd]).equal(changed[odd])
    assert apply_random_erasing(pixels[odd].float(), augmentation, seeds[odd]).equal(erased[odd])


def test_policy_and_erasing_have_separate_seeds() -> None:
    augmentation = Augmentation(policy="randaugment", random_erase=True)
    pixels, seeds = noise(20, 16, 16, 3), seeds_of(20, augmentation)
    for column, stays in ((0, apply_random_erasing), (1, apply_policy)):
        others = seeds.clone()
        others[:, column] = 0
        images = pixels.float() if stays is apply_random_erasing else pixels
        assert stays(images, augmentation, others).equal(stays(images, augmentation, seeds))
    assert not seeds[:, 0].equal(seeds[:, 1])


def test_seeds_are_drawn_only_if_needed() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    sample_seeds(4, Augmentation(flip_crop=True, mixes=("mixup",)), generator)
    assert generator.get_state().equal(before)
    sample_seeds(4, Augmentation(random_erase=True), generator)
    assert not generator.get_state().equal(before)


def test_a_fifth_of_the_images_is_erased() -> None:
    augmentation = Augmentation(random_erase=True)
    images = torch.ones(500, 3, 20, 20).contiguous(memory_format=torch.channels_last)
    erased = apply_random_erasing(images, augmentation, seeds_of(500, augmentation))
    assert images.min() == 1, "the images handed in stay"
    assert erased.is_contiguous(memory_format=torch.channels_last)
    gone = erased[:, 0] == 0
    hit = gone.flatten(1).any(1)
    # 500 draws with p = 0.2: mean 100, five standard deviations are 45.
    assert abs(int(hit.sum()) - 100) < 45
    for image in gone[hit]:
        rows, columns = image.any(1), image.any(0)
        assert image.sum() == rows.sum() * columns.sum(), "a full rectangle"
        assert 0.01 < image.float().mean() < 0.36
    assert gone[hit].equal((erased[hit] == 0).all(1)), "all channels alike"


def blended(augmentation: Augmentation, seed: int) -> tuple[Tensor, Tensor]:
    """Four images, of which the k-th has pixels k and label k."""
    images = torch.arange(4.0)[:, None, None, None].expand(4, 3, 8, 8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return mix_batch(images, torch.arange(4), 5, augmentation)


@pytest.mark.parametrize("mixes", [("mixup",), ("cutmix",), ("mixup", "cutmix")])
def test_labels_are_mixed_in_the_proportion_of_the_images(mixes: tuple[Mix, ...]) -> None:
    augmentation = Augmentation(mixes=mixes)
    partly = 0
    for seed in range(20):
        images, shares = blended(augmentation, seed)
        assert images.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(shares.sum(1), torch.ones(4))
        # Pixels are their labels, so the mean pixel is the mean label.
        torch.testing.assert_close(images.mean((1, 2, 3)), shares @ torch.arange(5.0))
        partly += bool(((shares > 0.01) & (shares < 0.99)).any())
    assert partly > 5


def test_mixup_blends_every_pixel_and_cutmix_moves_whole_ones() -> None:
    def whole_pixels(mix: str) -> bool:
        images = torch.stack([blended(Augmentation(mixes=(mix,)), seed)[0] for seed in range(10)])  # type: ignore[arg-type]
        return images.equal(images.round())

    assert not whole_pixels("mixup")
    assert whole_pixels("cutmix")


def test_one_of_two_mixes_is_chosen_per_batch() -> None:
    both = [blended(Augmentation(mixes=("mixup", "cutmix")), seed)[0] for seed in range(30)]
    whole = sum(images.equal(images.round()) for images in both)
    assert 5 < whole < 25


def test_without_mixes_images_and_labels_are_unchanged() -> None:
    images, labels = torch.ones(2, 3, 4, 4), torch.tensor([0, 1])
    same_images, same_labels = mix_batch(images, labels, 2, Augmentation(flip_crop=True))
    assert same_images is images
    assert same_labels is labels
