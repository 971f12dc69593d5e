"""Augmentation by name: what is changed at random in the images that a network trains on.

Each image has seeds of its own, drawn for the whole batch: what becomes of it depends on nothing
else, whichever process works on it and whatever is left out beside it. torch and torchvision are
imported late, for recipes name augmentations long before any image is seen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ...search_space.errors import GoalError, UnknownNameError

if TYPE_CHECKING:
    from torch import Generator, Tensor

Policy = Literal["", "autoaugment", "randaugment", "trivialaugment"]
Mix = Literal["mixup", "cutmix"]

AUGMENTATIONS = (
    "none", "flip-crop", "autoaugment", "randaugment", "trivialaugment", "mixup", "cutmix", "random-erase",
)  # fmt: skip

_POLICIES: tuple[Policy, ...] = ("autoaugment", "randaugment", "trivialaugment")
_MIXES: tuple[Mix, ...] = ("mixup", "cutmix")
_CIFAR_POLICY_MAX_PX = 64  # up to here AutoAugment's policy for CIFAR-10, beyond it the one for ImageNet
_ERASE_PROBABILITY = 0.2
_MIXUP_ALPHA = 0.2
_CUTMIX_ALPHA = 1.0


@dataclass(frozen=True)
class Augmentation:
    """What is done to a batch, in this order.

    Attributes:
        flip_crop: shift (small images) or crop (folders), and mirror.
        policy: one of torchvision's, image by image.
        random_erase: a rectangle, after normalisation, image by image.
        mixes: `mixup`, `cutmix`, or one of both at random for each batch.
    """

    flip_crop: bool = False
    policy: Policy = ""
    random_erase: bool = False
    mixes: tuple[Mix, ...] = ()

    @property
    def changes_images(self) -> bool:
        """Whether anything is done to single images; mixing is of whole batches."""
        return self.flip_crop or self.policy != "" or self.random_erase


NO_AUGMENTATION = Augmentation()


def parse_augmentation(text: str) -> Augmentation:
    """Read `flip-crop+trivialaugment+cutmix`: some of `AUGMENTATIONS`, in any order.

    Raises:
        UnknownNameError: a name outside `AUGMENTATIONS`.
        GoalError: a name twice, two policies, or `none` with another.
    """
    names = [name.strip() for name in text.split("+")]
    for name in names:
        if name not in AUGMENTATIONS:
            raise UnknownNameError("augmentation", name, AUGMENTATIONS)
        if names.count(name) > 1:
            raise GoalError(f"augmentation '{text}': {name} is there twice; name it once")
    if "none" in names and len(names) > 1:
        raise GoalError(f"augmentation '{text}': none stands alone; leave out none or the others")
    policies = [policy for policy in _POLICIES if policy in names]
    if len(policies) > 1:
        raise GoalError(f"augmentation '{text}': {' and '.join(policies)} exclude each other; keep one")
    return Augmentation(
        flip_crop="flip-crop" in names,
        policy=policies[0] if policies else "",
        random_erase="random-erase" in names,
        mixes=tuple(mix for mix in _MIXES if mix in names),
    )


def sample_seeds(count: int, augmentation: Augmentation, generator: "Generator | None") -> "Tensor":
    """Seeds for what torchvision does to each image: its policy, and erasing.

    Args:
        count: images, `n`.
        generator: only drawn from where the seeds are needed.
    Returns:
        `n x 2` int64.
    """
    import torch

    if augmentation.policy or augmentation.random_erase:
        return torch.randint(0, 2**31, (count, 2), generator=generator)
    return torch.zeros((count, 2), dtype=torch.int64)


def apply_policy(pixels: "Tensor", augmentation: Augmentation, seeds: "Tensor") -> "Tensor":
    """Change each image by one of torchvision's policies, at its usual settings.

    AutoAugment is the policy learnt on CIFAR-10 for sides up to 64 pixels, else that of ImageNet.

    Args:
        pixels: `n x height x width x channels` uint8, 1 or 3 channels.
        augmentation: without a policy nothing changes.
        seeds: of `sample_seeds`, `n x 2`.
    Returns:
        As `pixels`.
    Source: Cubuk et al. 2019, doi:10.1109/CVPR.2019.00020; Cubuk et al. 2020,
    doi:10.1109/CVPRW50498.2020.00359; Müller and Hutter 2021, doi:10.1109/ICCV48922.2021.00081.
    """
    if not augmentation.policy or not len(pixels):
        return pixels
    import torch

    transform = _policy(augmentation.policy, max(pixels.shape[1:3]))
    transformed = _apply_seeded(transform, pixels.permute(0, 3, 1, 2), seeds[:, 0])
    return torch.stack(transformed).permute(0, 2, 3, 1).contiguous()


def apply_random_erasing(images: "Tensor", augmentation: Augmentation, seeds: "Tensor") -> "Tensor":
    """Set a rectangle of 2% to 33% of the area to the mean, in one of five images.

    Args:
        images: `n x channels x height x width` float, normalised.
        augmentation: without `random_erase` nothing changes.
        seeds: of `sample_seeds`, `n x 2`.
    Returns:
        As `images`, in the same memory format.
    Source: Zhong et al. 2020, doi:10.1609/aaai.v34i07.7000; the share is that of torchvision's
    recipe for MobileNetV3.
    """
    if not augmentation.random_erase:
        return images
    from torchvision.transforms import v2

    erased = images.clone()
    _apply_seeded(v2.RandomErasing(p=_ERASE_PROBABILITY, inplace=True), erased, seeds[:, 1])
    return erased


def mix_batch(
    images: "Tensor", labels: "Tensor", classes: int, augmentation: Augmentation
) -> "tuple[Tensor, Tensor]":
    """Blend each image of a batch with another one, and their labels in the same proportion.

    Draws from torch's global generator.

    Args:
        images: `n x channels x height x width` float, on any device.
        labels: `n` int64, likewise.
        augmentation: without `mixes` both are handed back as they are.
    Returns:
        Images in the channels_last memory format; labels, `n x classes` float, adding up to 1.
    Source: Zhang et al. 2018, arXiv:1710.09412; Yun et al. 2019, doi:10.1109/ICCV.2019.00612.
    """
    if not augmentation.mixes:
        return images, labels
    import torch
    from torchvision.transforms import v2

    transforms = {
        "mixup": v2.MixUp(alpha=_MIXUP_ALPHA, num_classes=classes),
        "cutmix": v2.CutMix(alpha=_CUTMIX_ALPHA, num_classes=classes),
    }
    mix = augmentation.mixes[int(torch.randint(len(augmentation.mixes), ()))]
    blended, soft_labels = transforms[mix](images, labels)
    return blended.contiguous(memory_format=torch.channels_last), soft_labels


def _policy(policy: Policy, side_px: int) -> "Callable[[Tensor], Tensor]":
    from torchvision.transforms import v2

    dataset_policy = (
        v2.AutoAugmentPolicy.CIFAR10 if side_px <= _CIFAR_POLICY_MAX_PX else v2.AutoAugmentPolicy.IMAGENET
    )
    transforms: dict[str, Callable[[Tensor], Tensor]] = {
        "autoaugment": v2.AutoAugment(dataset_policy),
        "randaugment": v2.RandAugment(),
        "trivialaugment": v2.TrivialAugmentWide(),
    }
    return transforms[policy]


def _apply_seeded(
    transform: "Callable[[Tensor], Tensor]", images: "Tensor", seeds: "Tensor"
) -> "list[Tensor]":
    """Change each image; torchvision draws from torch's global generator, which does not notice."""
    import torch

    transformed = []
    with torch.random.fork_rng(devices=[]):
        for image, seed in zip(images, seeds.tolist(), strict=True):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU too
            transformed.append(transform(image))
    return transformed
