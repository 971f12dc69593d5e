"""Data augmentation by name.

Each image has its own seeds, drawn for the whole batch, so that the result does not depend on the process
that computes it or on unreadable images in the batch. torch and torchvision are imported lazily, because
recipes name augmentations before any image is read.
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
_CIFAR_POLICY_MAX_PX = 64  # AutoAugment's CIFAR-10 policy up to this side, its ImageNet policy above
_ERASE_PROBABILITY = 0.2
_MIXUP_ALPHA = 0.2
_CUTMIX_ALPHA = 1.0


@dataclass(frozen=True)
class Augmentation:
    """Augmentation of a batch, in this order.

    Attributes:
        flip_crop: translation (data in memory) or random resized crop (streamed data), and mirroring.
        policy: a torchvision policy, applied to each image.
        random_erase: erase a rectangle of each image after normalisation.
        mixes: `mixup`, `cutmix`, or a random choice of both for each batch.
    """

    flip_crop: bool = False
    policy: Policy = ""
    random_erase: bool = False
    mixes: tuple[Mix, ...] = ()

    @property
    def changes_images(self) -> bool:
        """Whether single images are augmented; `mixes` apply to whole batches."""
        return self.flip_crop or self.policy != "" or self.random_erase


NO_AUGMENTATION = Augmentation()


def parse_augmentation(text: str) -> Augmentation:
    """Parse names from `AUGMENTATIONS` in any order, such as `flip-crop+trivialaugment+cutmix`.

    Raises:
        UnknownNameError: a name is not in `AUGMENTATIONS`.
        GoalError: a repeated name, two policies, or `none` combined with another name.
    """
    names = [name.strip() for name in text.split("+")]
    for name in names:
        if name not in AUGMENTATIONS:
            raise UnknownNameError("augmentation", name, AUGMENTATIONS)
        if names.count(name) > 1:
            raise GoalError(f"augmentation '{text}': {name} is repeated; name it once")
    if "none" in names and len(names) > 1:
        raise GoalError(
            f"augmentation '{text}': none cannot be combined with others; remove none or the others"
        )
    policies = [policy for policy in _POLICIES if policy in names]
    if len(policies) > 1:
        raise GoalError(f"augmentation '{text}': {' and '.join(policies)} are mutually exclusive; use one")
    return Augmentation(
        flip_crop="flip-crop" in names,
        policy=policies[0] if policies else "",
        random_erase="random-erase" in names,
        mixes=tuple(mix for mix in _MIXES if mix in names),
    )


def sample_seeds(count: int, augmentation: Augmentation, generator: "Generator | None") -> "Tensor":
    """Sample the seeds of each image for its policy and for random erasing.

    Args:
        count: number of images, `n`.
        generator: advanced only if seeds are needed.
    Returns:
        `n x 2` int64.
    """
    import torch

    if augmentation.policy or augmentation.random_erase:
        return torch.randint(0, 2**31, (count, 2), generator=generator)
    return torch.zeros((count, 2), dtype=torch.int64)


def apply_policy(pixels: "Tensor", augmentation: Augmentation, seeds: "Tensor") -> "Tensor":
    """Apply a torchvision policy to each image with torchvision's default settings.

    AutoAugment uses the CIFAR-10 policy for sides up to 64 pixels and the ImageNet policy above.

    Args:
        pixels: `n x height x width x channels` uint8, 1 or 3 channels.
        augmentation: without `policy`, `pixels` are returned unchanged.
        seeds: from `sample_seeds`, `n x 2`.
    Returns:
        Shape and type of `pixels`.
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
    """Set a rectangle of 2% to 33% of the area to the mean with probability 0.2.

    Args:
        images: `n x channels x height x width` float, normalised.
        augmentation: without `random_erase`, `images` are returned unchanged.
        seeds: from `sample_seeds`, `n x 2`.
    Returns:
        Shape, type and memory format of `images`.
    Source: Zhong et al. 2020, doi:10.1609/aaai.v34i07.7000; the probability is that of torchvision's
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
    """Apply mixup or cutmix to a batch; draws from torch's global generator.

    Args:
        images: `n x channels x height x width` float, on any device.
        labels: `n` int64, on the same device.
        augmentation: without `mixes`, images and labels are returned unchanged.
    Returns:
        Images in the channels_last memory format; class probabilities, `n x classes` float.
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
    """Apply a transform with one seed per image; the state of torch's global generator is restored."""
    import torch

    transformed = []
    with torch.random.fork_rng(devices=[]):
        for image, seed in zip(images, seeds.tolist(), strict=True):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU too
            transformed.append(transform(image))
    return transformed
