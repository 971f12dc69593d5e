"""A network of the MobileNet family as a frozen value: stem, bneck blocks, head."""

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

from .errors import ArchitectureError

Attention = Literal["none", "se", "eca"]
Activation = Literal["relu", "relu6", "hardswish", "silu"]
Gate = Literal["hardsigmoid", "sigmoid"]
Padding = Literal["symmetric", "same"]
Tuned = Literal["all", "last-stage", "head"]

ATTENTIONS: tuple[Attention, ...] = get_args(Attention)
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)
GATES: tuple[Gate, ...] = get_args(Gate)
PADDINGS: tuple[Padding, ...] = get_args(Padding)
TUNED: tuple[Tuned, ...] = get_args(Tuned)
KERNELS = (3, 5, 7)
STRIDES = (1, 2)
FORMAT = "architecture/1"

# Beyond any network of the family; they bound the memory and time that a file or a caller can ask for.
MAX_CHANNELS = 16_384
MAX_BLOCKS = 128
MAX_RESOLUTION_PX = 4096
MAX_IMAGE_CHANNELS = 1024
MAX_CLASSES = 100_000


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Round to the nearest multiple of `divisor`, never more than 10% down.

    Source: tensorflow/models `research/slim/nets/mobilenet/mobilenet.py`.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def require_one_of(field: str, value: object, allowed: Collection[object]) -> None:
    """Raise `ArchitectureError` unless the value is allowed; 3.0 and True are not 3 and 1."""
    if not any(type(value) is type(item) and value == item for item in allowed):
        allowed_values = [str(item) for item in allowed]
        raise ArchitectureError(
            field, f"must be {', '.join(allowed_values[:-1])} or {allowed_values[-1]}, got {shown(value)}"
        )


def require_between(field: str, value: object, minimum: int, maximum: int) -> None:
    """Raise `ArchitectureError` unless the value is a whole number in the range, both ends included."""
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise ArchitectureError(field, f"must be a whole number of at least {minimum}, got {shown(value)}")
    if value > maximum:
        raise ArchitectureError(
            field, f"must be a whole number from {minimum} to {maximum}, got {shown(value)}"
        )


def shown(value: object) -> str:
    """A value for a message; Python refuses to print huge whole numbers."""
    text = f"about 2^{value.bit_length()}" if isinstance(value, int) and abs(value) > 1e30 else str(value)
    return text[:80]


@dataclass(frozen=True, slots=True)
class Block:
    """One bneck: 1x1 expansion, depthwise convolution, attention, linear 1x1 projection.

    There is no expansion where `expanded` equals the input channels. There is a residual
    where the stride is 1 and the input and output channels are equal.

    Attributes:
        kernel: kernel size of the depthwise convolution: 3, 5 or 7.
        expanded: channels of the depthwise convolution (absolute, not a ratio).
        out: output channels.
        attention: attention after the depthwise convolution; `se` as in MobileNetV3, `eca` as in ECA-Net,
            arXiv 1910.03151.
        activation: activation after the expansion and the depthwise convolution.
        stride: stride of the depthwise convolution: 1 or 2.
        squeeze: channels between the two layers of `se`; 0 otherwise.
        gate: last operator of `se`: `hardsigmoid`, after a ReLU, as in MobileNetV3, or `sigmoid`, after the
            activation of the block, as in MnasNet and EfficientNet.
    """

    kernel: int
    expanded: int
    out: int
    attention: Attention
    activation: Activation
    stride: int
    squeeze: int = 0
    gate: Gate = "hardsigmoid"

    def __post_init__(self) -> None:
        require_one_of("kernel", self.kernel, KERNELS)
        require_between("expanded", self.expanded, 1, MAX_CHANNELS)
        require_between("out", self.out, 1, MAX_CHANNELS)
        require_one_of("attention", self.attention, ATTENTIONS)
        require_one_of("activation", self.activation, ACTIVATIONS)
        require_one_of("stride", self.stride, STRIDES)
        require_between("squeeze", self.squeeze, 0, MAX_CHANNELS)
        if (self.attention == "se") != (self.squeeze > 0):
            expected = "at least 1 with attention se" if self.attention == "se" else "0 without attention se"
            raise ArchitectureError("squeeze", f"must be {expected}, got {self.squeeze}")
        require_one_of("gate", self.gate, GATES if self.attention == "se" else GATES[:1])


def _block_dict(block: Block) -> dict[str, Any]:
    return {name: value for name, value in asdict(block).items() if (name, value) != ("gate", "hardsigmoid")}


@dataclass(frozen=True, slots=True)
class Stem:
    """The first convolution with batch normalization and activation."""

    out: int
    activation: Activation = "hardswish"
    kernel: int = 3
    stride: int = 2

    def __post_init__(self) -> None:
        require_between("out", self.out, 1, MAX_CHANNELS)
        require_one_of("activation", self.activation, ACTIVATIONS)
        require_one_of("kernel", self.kernel, KERNELS)
        require_one_of("stride", self.stride, STRIDES)


@dataclass(frozen=True, slots=True)
class Head:
    """The layers after the blocks: 1x1 convolution, global pool, optional hidden layer, classifier.

    Attributes:
        features: channels of the 1x1 convolution before the pool.
        hidden: width of the layer between pool and classifier (MobileNetV3 has one); 0 for none.
        activation: activation after both.
        hidden_bias: whether the hidden layer has a bias; that of Once-for-All has none.
    """

    features: int
    hidden: int = 0
    activation: Activation = "hardswish"
    hidden_bias: bool = True

    def __post_init__(self) -> None:
        require_between("features", self.features, 1, MAX_CHANNELS)
        require_between("hidden", self.hidden, 0, MAX_CHANNELS)
        require_one_of("activation", self.activation, ACTIVATIONS)
        require_one_of("hidden_bias", self.hidden_bias, (True, False) if self.hidden else (True,))


def _head_dict(head: Head) -> dict[str, Any]:
    return {name: value for name, value in asdict(head).items() if (name, value) != ("hidden_bias", True)}


@dataclass(frozen=True, slots=True)
class FineTuning:
    """The pretrained network that training starts from, and how much of it is trained.

    Attributes:
        parent: name of the pretrained network.
        tuned: `all`; `last-stage`: the blocks from the last of stride 2 on, and the head; `head`: the layers
            after the pooling. What is not trained keeps its weights and batch normalisation statistics.
        dropped_blocks: number of residual blocks of the parent that the network does not have.
        dropped_stages: number of stages before the parent's head that the network does not have.
    """

    parent: str
    tuned: Tuned = "all"
    dropped_blocks: int = 0
    dropped_stages: int = 0

    def __post_init__(self) -> None:
        require_one_of("tuned", self.tuned, TUNED)
        require_between("dropped_blocks", self.dropped_blocks, 0, MAX_BLOCKS)
        require_between("dropped_stages", self.dropped_stages, 0, MAX_BLOCKS)

    @property
    def is_cut(self) -> bool:
        """Whether the network is smaller than the parent, at equal resolution."""
        return self.dropped_blocks > 0 or self.dropped_stages > 0

    def to_dict(self) -> dict[str, Any]:
        """Without the numbers of dropped blocks and stages that are 0, as in earlier versions."""
        return {name: value for name, value in asdict(self).items() if value != 0}


@dataclass(frozen=True)
class Architecture:
    """A whole network, from pixels to class logits.

    Equal values are equal networks. `key` identifies a network in files and studies.

    Attributes:
        resolution_px: side of the square input image.
        image_channels: 1 for grey, 3 for colour.
        classes: number of outputs of the classifier.
        padding: `symmetric`, half a kernel on each side as in torch, or `same` as in TensorFlow: on maps of
            even size, convolutions of stride 2 have one pixel less at the left and top. MACs, parameters and
            sizes of maps are equal.
        fine_tuning: None for a network that is trained from scratch. It changes nothing of the network but
            its weights; see `without_fine_tuning`.
    """

    resolution_px: int
    stem: Stem
    blocks: tuple[Block, ...]
    head: Head
    image_channels: int = 3
    classes: int = 1000
    padding: Padding = "symmetric"
    fine_tuning: FineTuning | None = None

    def __post_init__(self) -> None:
        require_between("resolution_px", self.resolution_px, 8, MAX_RESOLUTION_PX)
        require_between("image_channels", self.image_channels, 1, MAX_IMAGE_CHANNELS)
        require_between("classes", self.classes, 2, MAX_CLASSES)
        require_one_of("padding", self.padding, PADDINGS)
        if not self.blocks:
            raise ArchitectureError("blocks", "must hold at least one block, got none")
        if len(self.blocks) > MAX_BLOCKS:
            raise ArchitectureError("blocks", f"must be at most {MAX_BLOCKS}, got {len(self.blocks)}")

    def blocks_with_in_channels(self) -> Iterator[tuple[int, Block]]:
        """Each block with its number of input channels."""
        channels = self.stem.out
        for block in self.blocks:
            yield channels, block
            channels = block.out

    @property
    def without_fine_tuning(self) -> "Architecture":
        """The network alone, whatever its weights start from."""
        return replace(self, fine_tuning=None) if self.fine_tuning else self

    def to_dict(self) -> dict[str, Any]:
        """The versioned form used in files: plain dicts, lists, strings and integers.

        Symmetric padding, hard-sigmoid gates, the bias of a hidden layer and no fine-tuning are left out,
        which keeps the keys of earlier versions.
        """
        padding = {} if self.padding == "symmetric" else {"padding": self.padding}
        fine_tuning = {"fine_tuning": self.fine_tuning.to_dict()} if self.fine_tuning else {}
        return {
            "bneck": FORMAT,
            "resolution_px": self.resolution_px,
            "image_channels": self.image_channels,
            "classes": self.classes,
            **padding,
            "stem": asdict(self.stem),
            "blocks": [_block_dict(block) for block in self.blocks],
            "head": _head_dict(self.head),
            **fine_tuning,
        }

    @cached_property
    def key(self) -> str:
        """The first twelve hexadecimal digits of the SHA-256 of the canonical JSON form."""
        canonical = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]
