"""Networks to test with, and counts of them that bneck did not make."""

import logging
import math
import random
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from bneck.search_space import Architecture, Block, Head, SearchSpace, Stem, load_space
from bneck.search_space.network import build_network, example_images
from bneck.search_space.serialization.space import read_space
from bneck.search_space.serialization.yaml_nodes import parse

REMEDY = "; use the version of bneck that wrote it, or create it anew"
TOY = Architecture(
    resolution_px=8,
    stem=Stem(4),
    blocks=(Block(3, 8, 4, "se", "relu", 1, squeeze=2), Block(5, 4, 6, "none", "hardswish", 2)),
    head=Head(10),
    classes=2,
)


preset = cache(load_space)


def random_networks(name: str, count: int, seed: int = 0) -> list[Architecture]:
    space, rng = preset(name), random.Random(seed)
    return [space.decode(space.sample(rng)) for _ in range(count)]


def space_of(
    stages: str, *, resolution: str = "32", stem: str = "{out: 8}", head: str = "{features: 64}"
) -> SearchSpace:
    """A space from its stages, one flow mapping a line."""
    rows = "".join(f"  - {row.strip()}\n" for row in stages.strip().splitlines())
    top = f"bneck: space/1\nname: small\nresolution_px: {resolution}\nstem: {stem}\nhead: {head}\n"
    return read_space(parse(f"{top}stages:\n{rows}", "small.yaml"))


def write(folder: Path, text: str, name: str = "net.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@dataclass(frozen=True)
class OperatorCounts:
    """What fvcore and torch say of a network.

    Attributes:
        macs: of convolutions and linear layers, by the name of the module they are in.
        outputs: elements of each convolution's and linear layer's output.
    """

    macs: dict[str, int]
    params: int
    outputs: tuple[int, ...]


@cache
def counted(architecture: Architecture) -> OperatorCounts:
    network = build_network(architecture).eval()
    images = example_images(architecture)
    return OperatorCounts(
        fvcore_macs(network, images), sum(p.numel() for p in network.parameters()), _outputs(network, images)
    )


def fvcore_macs(network: nn.Module, images: Tensor) -> dict[str, int]:
    """Fvcore's count by module, without normalisation and pooling, which are no MACs."""
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # fvcore rests on torch.jit, which is deprecated
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis

        def nothing(inputs: list[Any], outputs: list[Any]) -> int:
            return 0

        analysis = FlopCountAnalysis(network, images)
        # None instead of a handle would leave fvcore's own in place
        analysis.set_op_handle("aten::batch_norm", nothing, "aten::adaptive_avg_pool2d", nothing)
        analysis.uncalled_modules_warnings(False)
        return {name: int(count) for name, count in analysis.by_module().items()}


def _outputs(network: nn.Module, images: Tensor) -> tuple[int, ...]:
    seen: list[int] = []
    # on the meta device shapes are computed and nothing else
    network, images = network.to("meta"), images.to("meta")
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv1d | nn.Linear):
            module.register_forward_hook(lambda _m, _i, output: seen.append(math.prod(output.shape)))
    network(images)
    return tuple(seen)
