"""Knowledge distillation: a network learns from the soft labels of a teacher, too."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ...search_space.network import Network

SOFT_LABEL_WEIGHT = 0.7


@dataclass(frozen=True, eq=False)
class Distillation:
    """A teacher, and how much its soft labels count.

    Attributes:
        teacher: a trained network for the same classes and the same normalisation of pixels.
        weight: of the cross-entropy with the soft labels; that with the labels has the rest.
    Source: Hinton et al. 2015, arXiv 1503.02531, at temperature 1.
    """

    teacher: Network
    weight: float = SOFT_LABEL_WEIGHT

    def soft_labels(self, images: Tensor) -> Tensor:
        """The teacher's probabilities for the images, resized to its resolution, `n x classes`."""
        size_px = self.teacher.architecture.resolution_px
        if images.shape[-1] != size_px:
            images = functional.interpolate(images, size=(size_px, size_px), mode="bilinear", antialias=True)
        with torch.no_grad():
            logits: Tensor = self.teacher(images)
        return logits.softmax(1)

    def loss(self, label_loss: Tensor, logits: Tensor, images: Tensor) -> Tensor:
        """The loss of a student, whose cross-entropy with the labels is `label_loss`."""
        soft_label_loss = functional.cross_entropy(logits, self.soft_labels(images))
        return (1 - self.weight) * label_loss + self.weight * soft_label_loss
