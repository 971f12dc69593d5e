"""A synthetic objective with interactions of genes: neither additive nor a function of MACs alone.

Accuracy is a saturating trend in log MACs plus effects of single traits and of pairs of traits. Latency is
a sum over layers, each scaled by a factor of two properties of its block. All effects are drawn with a
fixed seed and depend on the network alone.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import combinations

import numpy as np

from bneck.evaluate.statistics.arrays import Array
from bneck.search_space import Architecture, Block, Operator, cost, load_space, operators

SPACE, SEED = "mobile-small", 2019
LEAST_MACS, MOST_MACS = 4e6, 340e6  # range of most networks of the space
LOWEST_PERCENT, RISE_PERCENT, BEND = 42.0, 22.0, 2.0
MAIN_PERCENT, PAIR_PERCENT = 0.6, 0.7
PAIRED = 0.2  # fraction of all pairs of traits that interact
MS_PER_LAYER, MACS_PER_MS, DEPTHWISE_MACS_PER_MS = 0.02, 40e6, 8e6
SPREAD = 0.4  # standard deviation of the log factor of each of the two combinations
DRAWS = 400

Trait = tuple[str, str]
"""A position and its choice."""


def traits(architecture: Architecture) -> dict[Trait, float]:
    """Features: 1 for a choice of the whole network, the fraction of blocks for a choice of blocks."""
    stem, head = architecture.stem, architecture.head
    found = {
        ("resolution", str(architecture.resolution_px)): 1.0,
        ("stem", str(stem.out)): 1.0,
        ("stem.activation", stem.activation): 1.0,
        ("head.features", str(head.features)): 1.0,
        ("head.hidden", str(head.hidden)): 1.0,
        ("head.activation", head.activation): 1.0,
    }
    for number, blocks in enumerate(parts(architecture)):
        found[f"part{number}.blocks", str(len(blocks))] = 1.0
        counts = Counter(choice for channels, block in blocks for choice in _choices(channels, block))
        found |= {(f"part{number}.{gene}", choice): n / len(blocks) for (gene, choice), n in counts.items()}
    return found


def parts(architecture: Architecture) -> list[list[tuple[int, Block]]]:
    """Blocks with their input channels: the first alone, then grouped by resolution."""
    found: list[list[tuple[int, Block]]] = []
    for number, (channels, block) in enumerate(architecture.blocks_with_in_channels()):
        if number < 2 or block.stride == 2:
            found.append([])
        found[-1].append((channels, block))
    return found


def _choices(channels: int, block: Block) -> Iterator[Trait]:
    yield "out", str(block.out)
    yield "kernel", str(block.kernel)
    yield "expansion", str(round(block.expanded / channels))
    yield "attention", block.attention
    yield "activation", block.activation


def normal(*words: str) -> float:
    """A standard normal number seeded by these words."""
    return random.Random(f"{SEED} {' '.join(words)}").gauss(0, 1)


@cache
def mean_traits() -> dict[Trait, float]:
    """Mean of every trait over random networks."""
    space, rng = load_space(SPACE), random.Random(SEED)
    total: defaultdict[Trait, float] = defaultdict(float)
    for _ in range(DRAWS):
        for trait, share in traits(space.decode(space.sample(rng))).items():
            total[trait] += share
    return {trait: total[trait] / DRAWS for trait in sorted(total)}


@cache
def effects() -> tuple[Array, Array]:
    """Effects in percent of every trait, and of every pair (upper triangle)."""
    names = list(mean_traits())
    main = np.array([MAIN_PERCENT * normal(*name) for name in names])
    pairs = np.zeros((len(names), len(names)))
    for (row, one), (column, other) in combinations(enumerate(names), 2):
        together = random.Random(f"{SEED} paired {one[0]} {other[0]}").random() < PAIRED
        if together and one[0] != other[0]:
            pairs[row, column] = PAIR_PERCENT * normal(*one, *other)
    return main, pairs


def terms_percent(architecture: Architecture) -> tuple[float, float, float]:
    """Terms of the accuracy: trend in MACs, single traits, pairs.

    Traits are centred, so that pairs contribute almost nothing to the effects of single traits.
    """
    place = math.log(cost(architecture).macs / LEAST_MACS) / math.log(MOST_MACS / LEAST_MACS)
    found = traits(architecture)
    centred = np.array([found.get(name, 0.0) - mean for name, mean in mean_traits().items()])
    main, pairs = effects()
    trend = LOWEST_PERCENT + RISE_PERCENT * (1 - math.exp(-BEND * place))
    return trend, float(centred @ main), float(centred @ pairs @ centred)


def accuracy_percent(architecture: Architecture) -> float:
    return sum(terms_percent(architecture))


def latency_ms(architecture: Architecture) -> float:
    return sum(_layer_ms(architecture, operator) for operator in operators(architecture))


def _layer_ms(architecture: Architecture, operator: Operator) -> float:
    rate = DEPTHWISE_MACS_PER_MS if operator.name.endswith("depthwise") else MACS_PER_MS
    return MS_PER_LAYER + operator.macs / rate * _slowness(architecture, operator.name)


def _slowness(architecture: Architecture, layer: str) -> float:
    """Factor of a block: by kernel and attention, and by activation and the power of two of its width."""
    if not layer.startswith("blocks."):
        return 1.0
    _, number, kind = layer.split(".", 2)
    block = architecture.blocks[int(number)]
    width = str(block.expanded.bit_length())
    return _factor(kind, str(block.kernel), block.attention) * _factor(kind, block.activation, width)


@cache
def _factor(*words: str) -> float:
    return math.exp(SPREAD * normal("slow", *words))
