"""Ground truth: long training runs, and the short ones of a search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from bneck.evaluate import Recipe
from bneck.search_space import Architecture, cost

from ..job_cache import Job, Result, run_all
from ..setting import Protocol, networks, trained

REPLICATES = 3
SHARES, REPLICATE_EVERY, NOT_EVERY = 144, 4, 24
SEED = 2
CALM = Recipe(augment="none")
LONG = Protocol("long", 54_000, replace(CALM, epochs=4))
SHORT = Protocol("short", 10_000, replace(CALM, epochs=2))

Array = NDArray[np.float64]


@cache
def few() -> list[Architecture]:
    """Networks evenly spaced in log MACs, in increasing order; the protocol was chosen on others."""
    spread = networks(SHARES, SEED)
    return [
        each for place, each in enumerate(spread) if place % REPLICATE_EVERY == 2 and place % NOT_EVERY != 22
    ]


def jobs(protocol: Protocol, chosen: Sequence[Architecture]) -> list[Job]:
    """All networks with the first seed, then with the next."""
    return [
        Job(
            f"{protocol.name}/{each.key}/{replicate}",
            trained,
            (each, protocol, replicate, True),
            protocol.train_images * protocol.recipe.epochs * (0.2e6 + cost(each).macs),
        )
        for replicate in range(REPLICATES)
        for each in chosen
    ]


@dataclass(frozen=True, eq=False)
class Truth:
    """Results of a protocol for `n` networks with `k` seeds.

    Attributes:
        accuracy, loss, test: `n x k`, on the validation and test images.
        cpu_seconds: `n x k`.
    """

    networks: Sequence[Architecture]
    accuracy: Array
    loss: Array
    test: Array
    cpu_seconds: Array

    @property
    def macs(self) -> Array:
        return np.array([float(cost(each).macs) for each in self.networks])

    @property
    def keys(self) -> list[str]:
        return [each.key for each in self.networks]

    @property
    def value(self) -> Array:
        """`n`: the mean accuracy."""
        mean: Array = self.accuracy.mean(1)
        return mean


def truth(
    protocol: Protocol, chosen: Sequence[Architecture], cache: Path, workers: int, console: Console
) -> Truth:
    """Train what is not cached."""
    results = run_all(jobs(protocol, chosen), cache, workers, console)

    def table(read: object) -> Array:
        rows = [
            [read(results[f"{protocol.name}/{each.key}/{r}"]) for r in range(REPLICATES)]  # type: ignore[operator]
            for each in chosen
        ]
        return np.array(rows)

    def last(place: int) -> object:
        def read(result: Result) -> float:
            reading: Mapping[str, Sequence[float]] = result["readings"]
            return reading["last/settled"][place]

        return read

    return Truth(
        chosen,
        accuracy=table(last(0)),
        loss=table(last(1)),
        test=table(lambda result: result["test"][0]),
        cpu_seconds=table(lambda result: result["cpu_seconds"]),
    )
