"""The space of a search whose request names none: chosen from the images."""

from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from ...evaluate.plugins import is_object_label
from ...search_space import DataError
from .datasets import open_images
from .environment import torch_device
from .objects import SearchObjects
from .requests import SearchRequest

if TYPE_CHECKING:
    from ...evaluate.data.dataset import Data

PRETRAINED = "pretrained"
PHOTO_PX = 64  # from here on pretrained networks are worth it
MANY_IMAGES = 100_000  # from here on training from scratch is level with fine-tuning
SAMPLED_IMAGES = 25


@dataclass(frozen=True)
class ImageStatistics:
    """What the default space depends on.

    Attributes:
        side_px: median of the shorter side.
        gpu: whether networks are trained on one.
        pretrained: whether weights of pretrained networks are on this machine, and the request allows them.
    """

    side_px: float
    train_images: int
    gpu: bool = False
    pretrained: bool = False


def default_space(images: ImageStatistics) -> str:
    """Name of a preset, or `pretrained` for a search over pretrained networks.

    On a CPU images of up to 32 px get `tiny`, whose networks train in seconds.
    """
    photos = images.side_px >= PHOTO_PX
    if photos and images.pretrained and images.train_images < MANY_IMAGES:
        return PRETRAINED
    return _preset(images)


def _preset(images: ImageStatistics) -> str:
    """The preset for training from scratch."""
    if images.side_px <= 32:
        return "mobile-32" if images.gpu and images.side_px > 16 else "tiny"
    if images.side_px <= PHOTO_PX:
        return "mobile-64"
    return "mobile" if images.gpu and images.train_images >= MANY_IMAGES else "mobile-128"


def with_default_space(request: SearchRequest, objects: SearchObjects) -> tuple[SearchRequest, "Data", str]:
    """A request that names no space with one, the opened images, and a line that says which space and why.

    Raises:
        BneckError: the images are missing or broken.
    """
    _, data = open_images(request, objects.data)
    side = typical_side_px(data)
    gpu = torch_device(request.device) == "cuda"
    images = ImageStatistics(side, data.count("train"), gpu, bool(_pretrained_networks(request)))
    name = default_space(images)
    text = f"{images.train_images:,} training images of {side:g} px"
    if name == PRETRAINED:
        text = f"--pretrained for {text}; to train from scratch: bneck search {_preset(images)}"
        return replace(request, pretrained=True), data, text
    text = f"space {name} for {text}; another: bneck search SPACE"
    if side >= PHOTO_PX and images.train_images < MANY_IMAGES and not images.pretrained:
        text += "; pretrained networks are more accurate here: pip install 'bneck[lite]', --pretrained"
    return replace(request, space=name), data, text


def typical_side_px(data: "Data") -> float:
    """Median of the shorter side of training images, px.

    Raises:
        DataError: none of the sampled images can be read.
    """
    from ...evaluate.data.streaming import StreamingData

    if not isinstance(data, StreamingData):
        return float(data.image_size_px or PHOTO_PX)
    count = data.count("train")
    sides = []
    for index in range(0, count, -(-count // SAMPLED_IMAGES)):
        try:
            decoded = data.read("train", index, lambda height, width: 8)
        except DataError:
            continue
        sides.append(min(decoded.width, decoded.height))
    return float(median(sides)) if sides else float(PHOTO_PX)


def _pretrained_networks(request: SearchRequest) -> tuple[str, ...]:
    """Those on this machine; none if a setting of the request is for networks of a space."""
    from ...evaluate.training.pretrained import available_pretrained

    trains = request.evaluator == "train" or is_object_label(request.evaluator)
    names = ("enqueue_published", "latency_predictor", "transfer_from", "baselines", "teacher")
    of_a_space = any(getattr(request, name) for name in names)
    return available_pretrained() if trains and not of_a_space else ()
