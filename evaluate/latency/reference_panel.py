"""The reference networks that latency is a ratio to, and what a device needs for each."""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from ...search_space import Architecture, cost, published
from ...search_space.errors import FieldError
from . import hodges_lehmann as signed_rank
from .measurement import Palindromes, Plan, References, Runner, load_per_core, repeats_of, turn

SMALL_MEDIUM_LARGE = ("mobilenet_v3_small@0.5", "mobilenet_v3_small", "mobilenet_v3_large")
CALIBRATION_PALINDROMES = 20


@dataclass(frozen=True)
class Panel:
    """Networks of different size. A network is held against those next to it in time.

    A machine's moods (clock rate, neighbours, caches) do not slow small and large networks alike, so
    one reference leaves more of them in the ratio than two around it.

    Attributes:
        unit: the name of the network whose ratio is 1.
        networks: by name, from the least to the most MACs; the unit is one of them.
    """

    unit: str
    networks: Mapping[str, Architecture]

    def __post_init__(self) -> None:
        if self.unit not in self.networks:
            raise FieldError("unit", f"must be one of {', '.join(self.networks)}, got {self.unit}")

    @property
    def key(self) -> str:
        """12 hexadecimal digits that differ for other networks or another unit."""
        words = [self.unit, *(f"{name} {network.key}" for name, network in self.networks.items())]
        return hashlib.sha256(" ".join(words).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Calibration:
    """What the panel's networks take on a device, and when that was measured.

    Attributes:
        ratios: to the unit's time, by name.
        unit_ms: milliseconds of the unit.
        measured: date and time, UTC.
        load: processes that wanted a core, for every core, in the minute before.
    """

    ratios: Mapping[str, float]
    unit_ms: float
    clock: str
    measured: str
    load: float

    def references(self, runners: Mapping[str, Runner]) -> References:
        """The panel's networks with their ratios, the quickest first."""
        names = sorted(self.ratios, key=lambda name: self.ratios[name])
        return References(
            [runners[name] for name in names], [self.ratios[name] for name in names], self.unit_ms
        )


def panel_of(unit: str, fit: Callable[[Architecture], Architecture] = lambda network: network) -> Panel:
    """Small, medium, large, and the unit if it is none of these.

    Args:
        fit: adapts a published network to resolution, image channels and classes.
    Raises:
        UnknownNameError: the unit is no published network.
    """
    names = dict.fromkeys((unit, *SMALL_MEDIUM_LARGE))
    networks = {name: fit(published(name)) for name in names}
    return Panel(unit, dict(sorted(networks.items(), key=lambda item: cost(item[1]).macs)))


def calibrate(
    runners: Mapping[str, Runner],
    unit: str,
    plan: Plan,
    clock: str,
    palindromes: int = CALIBRATION_PALINDROMES,
) -> Calibration:
    """Measure the panel against its unit, and the unit's milliseconds."""
    repeats = repeats_of(runners[unit], plan)
    times: list[float] = []
    against_unit = {
        name: Palindromes([(runner, 1.0), (runners[unit], -1.0)], plan)
        for name, runner in runners.items()
        if name != unit
    }
    logs: dict[str, list[float]] = {name: [] for name in against_unit}
    for _ in range(min(palindromes, plan.most_palindromes)):
        times.append(turn(runners[unit], repeats, plan))
        for name, pair in against_unit.items():
            logs[name].append(pair.log())
    ratios = {unit: 1.0} | {name: math.exp(signed_rank.centre(each)) for name, each in logs.items()}
    return Calibration(
        ratios={name: ratios[name] for name in runners},
        unit_ms=1000 * median(times),
        clock=clock,
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
        load=load_per_core(),
    )
