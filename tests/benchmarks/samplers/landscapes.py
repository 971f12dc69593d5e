"""Objective functions for samplers: surrogates of tabular benchmarks, and a synthetic one.

A landscape gives accuracy and cost of every network of a bneck space immediately, so that only the choice of
networks is compared. An `Evaluator` adds noise to the accuracy that a sampler sees.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from bneck.evaluate import Constraint, Goals, Objective
from bneck.search_space import Choice, Genes, SearchSpace, cost, load_space
from bneck.search_space.choices import BLOCK_GENES, HeadChoices, StageChoices, StemChoices

from .ofa import OfaObjective
from .synthetic import SPACE, accuracy_percent, latency_ms

WIDTHS, STRIDES = (16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 2, 1, 2, 1)
COLUMNS = {"expansion": "e", "kernel": "k", "depth": "l", "attention": "se"}
ACCURACY = "top1_percent"
NUMBERS = {"none": 0.0, "se": 1.0}


class Evaluation(NamedTuple):
    """An evaluated proposal of a sampler.

    Attributes:
        key: key of the network.
        accuracy: true, in percent.
        observed: accuracy that the sampler saw.
        cost: in the landscape's unit, lower is better.
        violation: of the limit, relative; at most 0 if it is satisfied.
        cpu_seconds: of the sampler, to propose it and to record its values.
    """

    key: str
    accuracy: float
    observed: float
    cost: float
    macs: int
    violation: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def feasible(self) -> bool:
        return self.violation <= 0


@dataclass(frozen=True)
class Landscape:
    """A space with an objective function.

    Attributes:
        objective: accuracy in percent, higher is better, and latency in ms, lower is better.
        worst: reference point of the hypervolume, in the same units.
        limit: on MACs or latency.
    """

    name: str
    space: SearchSpace
    objective: Callable[[Genes], tuple[float, float]]
    worst: tuple[float, float]
    limit: Constraint | None = None

    @property
    def goals(self) -> Goals:
        limits = () if self.limit is None else (self.limit,)
        return Goals((Objective("accuracy"), Objective("latency")), limits)

    def violation(self, macs: int, latency_ms: float) -> float:
        """Of the limit, relative; 0 without one."""
        if self.limit is None:
            return 0.0
        return self.limit.violation(latency_ms if self.limit.quantity == "latency" else macs)


@dataclass
class Evaluator:
    """Evaluates the networks of one search.

    Attributes:
        noise: standard deviation of the noise in points, drawn for each evaluation from the seed and the
            number of the evaluation.
    """

    landscape: Landscape
    noise: float
    seed: int
    count: int = 0

    def __call__(self, genes: Genes) -> Evaluation:
        accuracy, latency_ms = self.landscape.objective(genes)
        network = self.landscape.space.decode(genes)
        macs = cost(network).macs
        noise = self.noise * random.Random(f"{self.seed}/{self.count}").gauss(0, 1)
        self.count += 1
        violation = self.landscape.violation(macs, latency_ms)
        return Evaluation(network.key, accuracy, accuracy + noise, latency_ms, macs, violation)


def accel_space() -> SearchSpace:
    """The space of Accel-NASBench: all blocks of a stage share their choices; 1.04e11 networks.

    Parameter counts equal those of the table; its MACs count about 9% more operations.

    Source: Ahmad et al. 2024, arXiv 2404.08005.
    """
    stages = tuple(
        StageChoices(
            out=(out,),
            stride=(stride,),
            depth=(1, 2, 3, 4) if number == 5 else (1, 2, 3),
            kernel=(3, 5),
            expansion=(1, 4, 6),
            attention=("none", "se"),
            squeeze=("input/4",),
            shared=BLOCK_GENES,
        )
        for number, (out, stride) in enumerate(zip(WIDTHS, STRIDES, strict=True))
    )
    return SearchSpace("accel-nasbench", (224,), StemChoices((32,), ("relu",)), stages, HeadChoices((1280,)))


def features(genes: Genes) -> list[float]:
    """The genes of each stage in the order of `COLUMNS`, as in the table."""
    places = (f"stage{number}.{gene}" for number in range(1, len(WIDTHS) + 1) for gene in COLUMNS)
    return [_number(genes[place]) for place in places]


class Trees:
    """Boosted trees that predict one row at once, in a hundredth of the time of scikit-learn."""

    def __init__(self, model: HistGradientBoostingRegressor) -> None:
        nodes = [tree.nodes for (tree,) in model._predictors]
        starts = np.cumsum([0, *map(len, nodes)])[:-1]
        every = np.concatenate(nodes)
        offset = np.repeat(starts, [len(each) for each in nodes])
        here = np.arange(len(every))
        leaf = every["is_leaf"].astype(np.bool_)
        self.start = float(model._baseline_prediction[0, 0])
        self.roots, self.value = starts, every["value"]
        self.feature, self.threshold = every["feature_idx"], every["num_threshold"]
        self.left = np.where(leaf, here, every["left"] + offset)
        self.right = np.where(leaf, here, every["right"] + offset)
        self.depth = int(every["depth"].max())

    def predict(self, row: Sequence[float]) -> float:
        values, places = np.array(row), self.roots
        for _ in range(self.depth):
            lower = values[self.feature[places]] <= self.threshold[places]
            places = np.where(lower, self.left[places], self.right[places])
        return self.start + float(self.value[places].sum())


@cache
def surrogate(table: Path, column: str) -> HistGradientBoostingRegressor:
    """Boosted trees fitted to all rows."""
    rows = pd.read_csv(table)
    names = [f"block{number}_{short}" for number in range(len(WIDTHS)) for short in COLUMNS.values()]
    model = HistGradientBoostingRegressor(
        max_iter=1000, learning_rate=0.05, max_leaf_nodes=8, min_samples_leaf=10, l2_regularization=1.0
    )
    return model.fit(rows[names].to_numpy(dtype=np.float64), rows[column])


def accel(table: Path, column: str) -> Callable[[Genes], tuple[float, float]]:
    """Accuracy and latency of a device; images per second are converted to milliseconds per image."""
    accuracy, device = Trees(surrogate(table, ACCURACY)), Trees(surrogate(table, column))
    rate = column.startswith("images_per_s")

    def objective(genes: Genes) -> tuple[float, float]:
        row = features(genes)
        measured = device.predict(row)
        return accuracy.predict(row), 1000 / measured if rate else measured

    return objective


def synthetic(space: SearchSpace) -> Callable[[Genes], tuple[float, float]]:
    def objective(genes: Genes) -> tuple[float, float]:
        architecture = space.decode(genes)
        return accuracy_percent(architecture), latency_ms(architecture)

    return objective


@dataclass(frozen=True)
class Sources:
    """Where the data of landscapes are.

    Attributes:
        table: CSV file of Accel-NASBench.
        ofa: folder of the Once-for-All predictor and latencies.
    """

    table: Path | None = None
    ofa: Path | None = None

    def option_of(self, name: str) -> str:
        """The option that a landscape lacks; empty if it has its data."""
        base = name.removesuffix(TIGHT).removesuffix(LOOSE)
        if base in COLUMNS_OF:
            return "" if self.table else "--table"
        return "--ofa" if base == OFA and not self.ofa else ""


SYNTHETIC, OFA, TIGHT, LOOSE = "made-up", "ofa-note10", "-tight", "-loose"
COLUMNS_OF = {
    "zcu102": "latency_ms_zcu102",
    "zcu102-300m": "latency_ms_zcu102",
    "tpuv3": "images_per_s_tpuv3",
}
WORST = {  # reference point; of the synthetic one worse than 80% of random networks in each objective
    "zcu102": (55.0, 12.0),
    "zcu102-300m": (55.0, 12.0),
    "tpuv3": (55.0, 1.7),
    OFA: (75.0, 60.0),
    SYNTHETIC: (51.5, 6.3),
}
LIMITS = {
    "zcu102-300m": Constraint("macs", 300e6),
    "zcu102-tight": Constraint("latency", 4.0, "ms"),
    "zcu102-loose": Constraint("latency", 6.0, "ms"),
    "ofa-note10-tight": Constraint("latency", 19.0, "ms"),
    "ofa-note10-loose": Constraint("latency", 30.0, "ms"),
}
LANDSCAPES = (*WORST, *(name for name in LIMITS if name not in WORST))


@cache
def landscape(name: str, sources: Sources) -> Landscape:
    """A landscape by name; surrogates are fitted once per process."""
    base = name.removesuffix(TIGHT).removesuffix(LOOSE)
    limit, worst = LIMITS.get(name), WORST[base]
    if limit and limit.quantity == "latency":
        worst = worst[0], limit.limit
    if base == OFA:
        assert sources.ofa
        ofa = OfaObjective(sources.ofa)
        return Landscape(name, ofa.space, ofa, worst, limit)
    if base == SYNTHETIC:
        space = load_space(SPACE)
        return Landscape(name, space, synthetic(space), worst, limit)
    assert sources.table
    return Landscape(name, accel_space(), accel(sources.table, COLUMNS_OF[base]), worst, limit)


def landscape_version(name: str, sources: Sources) -> str:
    """Cache key of a landscape; increase the number if the code changes its values."""
    base = name.removesuffix(TIGHT).removesuffix(LOOSE)
    files = [sources.table] if base in COLUMNS_OF and sources.table else []
    if base == OFA and sources.ofa:
        files = sorted(each for each in sources.ofa.iterdir() if each.suffix in (".yaml", ".safetensors"))
    limit = f", {LIMITS[name]}" if name in LIMITS else ""
    digest = hashlib.sha256(b"".join(each.read_bytes() for each in files)).hexdigest()[:8]
    return f"{name}/2{limit}" + (f" of {digest}" if files else "")


def _number(choice: Choice) -> float:
    return NUMBERS[choice] if isinstance(choice, str) else float(choice)
