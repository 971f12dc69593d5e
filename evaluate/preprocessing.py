"""From an image file to the input of a network, by the rule that it was evaluated with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..search_space import RunError
from .data.crops import PixelArray, center_crop
from .data.decode import decode_image, full_resolution

Crop = Literal["center", "whole"]
_MODES = {1: "L", 3: "RGB"}
RESIZED_OVER_CROP = 256 / 224
_IN_MEMORY = ("digits", "fashion-mnist", "cifar10", "cifar100")


@dataclass(frozen=True)
class Preprocessing:
    """Resizing, crop and normalization.

    Attributes:
        image_channels: 3 for RGB, 1 for grey.
        pixel_mean, pixel_std: of pixels from 0 to 255, one value per channel.
        crop: `center`: the shorter side is resized to 256/224 of the resolution, and the square in the
            middle is taken; `whole`: the whole image is resized to the square.
    """

    resolution_px: int
    image_channels: int
    pixel_mean: tuple[float, ...]
    pixel_std: tuple[float, ...]
    crop: Crop = "center"

    def pixels(self, file: Path) -> PixelArray:
        """Upright pixels, `resolution x resolution x channels` uint8.

        Raises:
            UnreadableImageError: not an image, or truncated.
            RunError: the network has neither 1 nor 3 channels.
        """
        if self.image_channels not in _MODES:
            raise RunError(f"a network for {self.image_channels} channels takes no image files")
        mode, size_px = _MODES[self.image_channels], self.resolution_px
        if self.crop == "center":
            image = Image.fromarray(center_crop(lambda downscale: decode_image(file, downscale), size_px))
        else:
            image = decode_image(file, full_resolution).image.convert(mode)
            image = image.resize((size_px, size_px), Image.Resampling.BILINEAR)
        return np.asarray(image.convert(mode)).reshape(size_px, size_px, self.image_channels)

    def normalize(self, pixels: PixelArray) -> Tensor:
        """Network input, `n x channels x resolution x resolution` float32, from pixels of `n` images."""
        mean, std = (torch.tensor(each, dtype=torch.float32) for each in (self.pixel_mean, self.pixel_std))
        return ((torch.from_numpy(pixels.astype(np.float32)) - mean) / std).permute(0, 3, 1, 2).contiguous()

    def denormalize(self, images: Tensor) -> PixelArray:
        """The pixels of such input."""
        mean, std = (torch.tensor(each, dtype=torch.float32) for each in (self.pixel_mean, self.pixel_std))
        pixels = (images.permute(0, 2, 3, 1) * std + mean).round().clamp(0, 255)
        return pixels.numpy().astype(np.uint8)

    def metadata(self) -> dict[str, Any]:
        """All that another program needs, as plain values; `of` reads them."""
        size_px = self.resolution_px
        return {
            "orientation": "upright, by EXIF",
            "mode": _MODES.get(self.image_channels),
            "crop": self.crop,
            "resize_shorter_side_px": round(size_px * RESIZED_OVER_CROP) if self.crop == "center" else None,
            "crop_px": size_px,
            "filter": "bilinear, antialiased",
            "pixel_range": [0, 255],
            "mean": list(self.pixel_mean),
            "std": list(self.pixel_std),
            "layout": "n x channels x height x width, float32",
        }

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Self:
        """From `metadata`.

        Raises:
            KeyError, TypeError, ValueError: values are missing or of another kind.
        """
        mean, std = (tuple(map(float, metadata[key])) for key in ("mean", "std"))
        if len(mean) != len(std):
            raise ValueError("mean and std differ in length")
        return cls(int(metadata["crop_px"]), len(mean), mean, std, require_crop(metadata["crop"]))


def default_crop(data: str) -> Crop:
    """The crop of files of earlier versions, by the name of their data."""
    return "whole" if data in _IN_MEMORY else "center"


def require_crop(value: object) -> Crop:
    """The crop of a file.

    Raises:
        ValueError: there is no such crop.
    """
    for crop in get_args(Crop):
        if value == crop:
            known: Crop = crop
            return known
    raise ValueError(f"crop must be center or whole, got {value}")
