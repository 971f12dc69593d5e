"""Objective functions for samplers: surrogates of a tabular benchmark, and a synthetic one.

A landscape gives accuracy and cost of every network of a bneck space immediately and without noise, so
that only the choice of networks is compared.
"""

import hashlib
from collections.abc import Callable
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

from .synthetic import SPACE, accuracy_percent, latency_ms

WIDTHS, STRIDES = (16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 2, 1, 2, 1)
COLUMNS = {"expansion": "e", "kernel": "k", "depth": "l", "attention": "se"}
ACCURACY = "top1_percent"
NUMBERS = {"none": 0.0, "se": 1.0}


class Evaluation(NamedTuple):
    """An evaluated proposal of a sampler.

    Attributes:
        accuracy: in percent.
        cost: in the landscape's unit, lower is better.
        cpu_seconds: of the sampler, to propose it and to record its values.
        feasible: whether it satisfies the limit on MACs.
        key: key of the network.
    """

    accuracy: float
    cost: float
    cpu_seconds: float
    feasible: bool
    key: str


@dataclass(frozen=True)
class Landscape:
    """A space with an objective function.

    Attributes:
        objective: accuracy in percent, higher is better, and cost, lower is better.
        worst: reference point of the hypervolume, in the same units.
    """

    name: str
    space: SearchSpace
    objective: Callable[[Genes], tuple[float, float]]
    worst: tuple[float, float]
    max_macs: float | None = None

    @property
    def goals(self) -> Goals:
        limits = () if self.max_macs is None else (Constraint("macs", self.max_macs),)
        return Goals((Objective("accuracy"), Objective("latency")), limits)

    def excess(self, genes: Genes) -> float:
        """MACs above the limit relative to it; negative if feasible, 0 without a limit."""
        return cost(self.space.decode(genes)).macs / self.max_macs - 1 if self.max_macs else 0.0

    def evaluate(self, genes: Genes, cpu_seconds: float = 0.0) -> Evaluation:
        key = self.space.decode(genes).key
        return Evaluation(*self.objective(genes), cpu_seconds, self.excess(genes) <= 0, key)


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


@cache
def surrogate(table: Path, column: str) -> HistGradientBoostingRegressor:
    """Boosted trees fitted to all rows."""
    rows = pd.read_csv(table)
    names = [f"block{number}_{short}" for number in range(len(WIDTHS)) for short in COLUMNS.values()]
    model = HistGradientBoostingRegressor(
        max_iter=1000, learning_rate=0.05, max_leaf_nodes=8, min_samples_leaf=10, l2_regularization=1.0
    )
    return model.fit(rows[names].to_numpy(dtype=np.float64), rows[column])


def accel(name: str, table: Path, column: str, worst: tuple[float, float], limit: float | None) -> Landscape:
    """The landscape of a device; images per second are converted to milliseconds per image."""
    accuracy, device = surrogate(table, ACCURACY), surrogate(table, column)
    rate = column.startswith("images_per_s")

    def objective(genes: Genes) -> tuple[float, float]:
        row = np.array([features(genes)])
        measured = float(device.predict(row)[0])
        return float(accuracy.predict(row)[0]), 1000 / measured if rate else measured

    return Landscape(name, accel_space(), objective, worst, limit)


def synthetic() -> Landscape:
    """The reference point is worse than 80% of random networks in each objective."""
    space = load_space(SPACE)

    def objective(genes: Genes) -> tuple[float, float]:
        architecture = space.decode(genes)
        return accuracy_percent(architecture), latency_ms(architecture)

    return Landscape(SYNTHETIC, space, objective, (51.5, 6.3))


DEVICES: dict[str, tuple[str, tuple[float, float], float | None]] = {
    # column, reference point, limit on MACs
    "zcu102": ("latency_ms_zcu102", (55.0, 12.0), None),
    "zcu102-300m": ("latency_ms_zcu102", (55.0, 12.0), 300e6),
    "tpuv3": ("images_per_s_tpuv3", (55.0, 1.7), None),
}
SYNTHETIC = "made-up"
LANDSCAPES = (*DEVICES, SYNTHETIC)


@cache
def landscape(name: str, table: Path) -> Landscape:
    """A landscape by name; surrogates are fitted once per process."""
    return synthetic() if name == SYNTHETIC else accel(name, table, *DEVICES[name])


def landscape_version(name: str, table: Path) -> str:
    """Cache key of a landscape; increase the number if the code changes its values."""
    if name == SYNTHETIC:
        return f"{name}/1"
    return f"{name}/1 of {hashlib.sha256(table.read_bytes()).hexdigest()[:8]}"


def _number(choice: Choice) -> float:
    return NUMBERS[choice] if isinstance(choice, str) else float(choice)
