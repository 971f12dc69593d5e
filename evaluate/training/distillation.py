"""Knowledge distillation: a network learns from the soft labels of a teacher, too."""

import json
from array import array
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...search_space import RunError
from ...search_space.errors import first_line
from ...search_space.network import Network
from ..data.dataset import Data, normalize_as_trained
from ..onnx_session import onnx_session
from .checkpoint import Checkpoint, load_checkpoint

SOFT_LABEL_WEIGHT = 0.7
ONNX_SUFFIX = ".onnx"
_MAX_KEPT_VALUES = 2**26  # probabilities, 256 MB
_ONNX_NEEDS = (
    "a teacher needs one input, float32 `n x channels x side x side`, one output, logits `n x classes`, and "
    "the metadata class_names, pixel_mean and pixel_std (0 to 255) as JSON lists, as `bneck export --format "
    "onnx` writes them"
)


@dataclass(frozen=True, eq=False)
class Teacher:
    """A trained network whose soft labels others learn.

    Attributes:
        model: normalised pixels, `n x channels x resolution x resolution`, to logits, `n x classes`.
        pixel_mean, pixel_std: normalisation of pixels (0 to 255) that it was trained with.
    """

    model: nn.Module
    resolution_px: int
    image_channels: int
    class_names: tuple[str, ...]
    pixel_mean: tuple[float, ...]
    pixel_std: tuple[float, ...]
    _kept: dict[bytes, Tensor] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, network: Network, data: Data | Checkpoint) -> "Teacher":
        """A network that was trained with the classes and the normalisation of some data."""
        architecture = network.architecture
        return cls(
            network.eval(),
            architecture.resolution_px,
            architecture.image_channels,
            data.class_names,
            data.pixel_mean,
            data.pixel_std,
        )

    def require_fits(self, data: Data) -> None:
        """Check that the data has the classes and channels of the teacher.

        Raises:
            RunError: they differ.
        """
        normalize_as_trained(data, self, self.image_channels, "teacher", RunError)

    def soft_labels(self, images: Tensor, data: Data, *, keep: bool = False) -> Tensor:
        """Class probabilities, `n x classes`, for images at the teacher's resolution and normalisation.

        Args:
            images: `n x channels x side x side`, normalised as `data`.
            keep: compute those of an image once, and keep them; for images that are not augmented. They are
                computed one by one, so that they do not depend on the batch.
        """
        with torch.no_grad():
            if not keep:
                return self._probabilities(images, data)
            return torch.cat([self._kept_probabilities(image, data) for image in torch.split(images, 1)])

    def _kept_probabilities(self, image: Tensor, data: Data) -> Tensor:
        pixels = repr((image.shape, data.pixel_mean, data.pixel_std)).encode()
        key = blake2b(image.detach().cpu().contiguous().numpy().tobytes() + pixels, digest_size=16).digest()
        if key in self._kept:
            return self._kept[key]
        probabilities = self._probabilities(image, data)
        if len(self._kept) * probabilities.numel() < _MAX_KEPT_VALUES:
            self._kept[key] = probabilities
        return probabilities

    def _probabilities(self, images: Tensor, data: Data) -> Tensor:
        images = self._normalized(images, data)
        size_px = self.resolution_px
        if images.shape[-1] != size_px:
            images = functional.interpolate(images, size=(size_px, size_px), mode="bilinear", antialias=True)
        logits: Tensor = self.model(images)
        return logits.softmax(1)

    def _normalized(self, images: Tensor, data: Data) -> Tensor:
        pairs = ((data.pixel_mean, self.pixel_mean), (data.pixel_std, self.pixel_std))
        if all(array("f", theirs) == array("f", own) for theirs, own in pairs):  # fp32, as the pixels
            return images
        mean, std, own_mean, own_std = (
            torch.tensor(values, device=images.device)[:, None, None]
            for values in (data.pixel_mean, data.pixel_std, self.pixel_mean, self.pixel_std)
        )
        return images * (std / own_std) + (mean - own_mean) / own_std


@dataclass(frozen=True, eq=False)
class Distillation:
    """A teacher, and how much its soft labels count.

    Attributes:
        weight: of the cross-entropy with the soft labels; that with the labels has the rest.
    Source: Hinton et al. 2015, arXiv 1503.02531, at temperature 1.
    """

    teacher: Teacher
    weight: float = SOFT_LABEL_WEIGHT

    def loss(self, label_loss: Tensor, logits: Tensor, soft_labels: Tensor) -> Tensor:
        """The loss of a student, whose cross-entropy with the labels is `label_loss`."""
        return (1 - self.weight) * label_loss + self.weight * functional.cross_entropy(logits, soft_labels)


def load_teacher(path: Path) -> Teacher:
    """A teacher from a file of bneck, or an ONNX model.

    Raises:
        RunError: the file is missing or damaged, or an ONNX model lacks what a teacher needs.
    """
    if path.suffix == ONNX_SUFFIX:
        return _load_onnx(path)
    checkpoint = load_checkpoint(path)
    return Teacher.of(checkpoint.network(), checkpoint)


def _load_onnx(path: Path) -> Teacher:
    session = onnx_session(path)
    try:
        properties = session.get_modelmeta().custom_metadata_map
        names, mean, std = (
            tuple(json.loads(properties[key])) for key in ("class_names", "pixel_mean", "pixel_std")
        )
        (images,), (logits,) = session.get_inputs(), session.get_outputs()
        batch, channels, height, width = images.shape
        valid = (images.type, height, logits.shape[1:]) == ("tensor(float)", width, [len(names)])
        valid &= isinstance(height, int) and {len(mean), len(std)} == {channels}
        values = tuple(map(float, mean)), tuple(map(float, std))
    except (KeyError, TypeError, ValueError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else first_line(error)
        raise RunError(f"{path}: {_ONNX_NEEDS}; {reason}") from None
    if not valid:
        raise RunError(f"{path}: {_ONNX_NEEDS}; got {images.type} {images.shape} and {logits.shape}")
    model = _OnnxModel(session, batch if isinstance(batch, int) else None)
    return Teacher(model, height, channels, tuple(map(str, names)), *values)


class _OnnxModel(nn.Module):
    """An `onnxruntime.InferenceSession` on the CPU.

    Args:
        batch_size: images per call; None for any number.
    """

    def __init__(self, session: Any, batch_size: int | None) -> None:
        super().__init__()
        self._session, self._batch_size = session, batch_size

    def forward(self, images: Tensor) -> Tensor:
        name = self._session.get_inputs()[0].name
        size = self._batch_size or len(images)
        logits = []
        for part in torch.split(images.detach().float().cpu(), size):
            padded = functional.pad(part, (0, 0, 0, 0, 0, 0, 0, size - len(part))).contiguous()
            (values,) = self._session.run(None, {name: padded.numpy()})
            logits.append(torch.from_numpy(values)[: len(part)])
        return torch.cat(logits).to(images.device)
