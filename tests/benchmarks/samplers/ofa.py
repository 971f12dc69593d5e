"""The Once-for-All MobileNetV3 space: an ImageNet accuracy predictor and latencies of a Samsung Note 10.

The folder holds `accuracy_predictor.safetensors` and `latency_RESOLUTION.yaml`, converted from CompOFA.

Source: Cai et al. 2020, arXiv 1908.09791; Sahni et al. 2021, arXiv 2104.12642 (CompOFA).
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import load_file

from bneck.evaluate.statistics.arrays import Array
from bneck.search_space import Architecture, Choice, Genes, SearchSpace
from bneck.search_space.choices import HeadChoices, StageChoices, StemChoices
from bneck.search_space.cost import conv_output_size

KERNELS, EXPANSIONS, DEPTHS = (3, 5, 7), (3, 4, 6), (2, 3, 4)
RESOLUTIONS = (160, 176, 192, 208, 224)
ENCODED_RESOLUTIONS = (112, 128, 144, *RESOLUTIONS)
FIRST_STAGE, STAGES = 2, 5  # stage 1 is a fixed block
PREDICTOR = "accuracy_predictor.safetensors"


IS_HARDSWISH = {"relu": 0, "hardswish": 1}


def ofa_space() -> SearchSpace:
    """Width 1.2: five stages of 2 to 4 blocks, each with its own kernel and expansion."""
    rows = (  # channels, stride, attention, activation
        (32, 2, "none", "relu"),
        (48, 2, "se", "relu"),
        (96, 2, "none", "hardswish"),
        (136, 1, "se", "hardswish"),
        (192, 2, "se", "hardswish"),
    )
    stages: Any = (
        StageChoices(out=(24,), kernel=(3,), expansion=(1,)),
        *(
            StageChoices(
                out=(out,),
                depth=DEPTHS,
                kernel=KERNELS,
                expansion=EXPANSIONS,
                attention=(attention,),  # type: ignore[arg-type]
                activation=(activation,),  # type: ignore[arg-type]
                stride=(stride,),
            )
            for out, stride, attention, activation in rows
        ),
    )
    return SearchSpace("ofa", RESOLUTIONS, StemChoices((24,)), stages, HeadChoices((1152,), (1536,)))


def encode(genes: Genes) -> Array:
    """128 inputs: kernels of 20 places, expansions, resolution; one-hot, or zero beyond the depth."""
    kernels = [
        one for place in _places(genes) for one in _one_hot(place and genes[f"{place}.kernel"], KERNELS)
    ]
    expansions = [
        one for place in _places(genes) for one in _one_hot(place and genes[f"{place}.expansion"], EXPANSIONS)
    ]
    return np.array([*kernels, *expansions, *_one_hot(genes["resolution_px"], ENCODED_RESOLUTIONS)])


def accuracy_percent(genes: Genes, weights: Mapping[str, Array]) -> float:
    """Predicted ImageNet top-1 of the supernet's subnet, on images held out of the training set."""
    values = encode(genes)
    for layer in (1, 2, 3):
        values = np.maximum(weights[f"layer{layer}.weight"] @ values + weights[f"layer{layer}.bias"], 0)
    return 100 * float((weights["layer4.weight"] @ values + weights["layer4.bias"])[0])


def operator_keys(network: Architecture) -> Iterator[str]:
    """The keys of a network's operators in the latency tables."""
    side = conv_output_size(network.resolution_px, network.stem.stride)
    image, stem, head = network.resolution_px, network.stem.out, network.head
    yield f"Conv-input:{image}x{image}x3-output:{side}x{side}x{stem}"
    channels = stem
    for block in network.blocks:
        smaller = conv_output_size(side, block.stride)
        yield (
            f"expanded_conv-input:{side}x{side}x{channels}-output:{smaller}x{smaller}x{block.out}"
            f"-expand:{block.expanded}-kernel:{block.kernel}-stride:{block.stride}"
            f"-idskip:{int(block.stride == 1 and block.out == channels)}"
            f"-se:{int(block.attention == 'se')}-hs:{IS_HARDSWISH[block.activation]}"
        )
        channels, side = block.out, smaller
    features, hidden = head.features, head.hidden
    yield f"Conv_1-input:{side}x{side}x{channels}-output:{side}x{side}x{features}"
    yield f"AvgPool2D-input:{side}x{side}x{features}-output:1x1x{features}"
    yield f"Conv_2-input:1x1x{features}-output:1x1x{hidden}"
    yield f"Logits-input:1x1x{hidden}-output:1000"


class OfaObjective:
    """Accuracy in percent and latency in milliseconds of genes of `ofa_space`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.space = ofa_space()

    @cached_property
    def weights(self) -> Mapping[str, Array]:
        return {name: each.astype(np.float64) for name, each in load_file(self.folder / PREDICTOR).items()}

    @cached_property
    def milliseconds(self) -> Mapping[int, Mapping[str, float]]:
        """By resolution and operator."""
        return {side: _table(self.folder / f"latency_{side}.yaml") for side in RESOLUTIONS}

    def __call__(self, genes: Genes) -> tuple[float, float]:
        network = self.space.decode(genes)
        table = self.milliseconds[network.resolution_px]
        return accuracy_percent(genes, self.weights), sum(table[key] for key in operator_keys(network))


def _table(path: Path) -> dict[str, float]:
    operators = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {key.rstrip(":"): entry["mean"] for key, entry in operators.items()}


def _places(genes: Genes) -> Iterator[str]:
    """The prefixes of the genes of 20 block places; empty beyond a stage's depth."""
    for stage in range(FIRST_STAGE, FIRST_STAGE + STAGES):
        depth = genes[f"stage{stage}.depth"]
        for block in range(1, max(DEPTHS) + 1):
            yield f"stage{stage}.block{block}" if block <= int(depth) else ""


def _one_hot(choice: Choice, choices: tuple[int, ...]) -> list[float]:
    return [float(choice == each) for each in choices]
