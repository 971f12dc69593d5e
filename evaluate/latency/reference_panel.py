"""The reference networks that latency is a ratio to, and what a device needs for each."""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from ...search_space import Architecture, cost, published_architecture
from ...search_space.errors import FieldError
from . import hodges_lehmann
from .measurement import (
    AbbaBlock,
    MeasurementPlan,
    ReferenceRunners,
    Runner,
    load_per_core,
    min_time,
    runs_per_timing,
)

PANEL_NETWORKS = ("mobilenet_v3_small@0.5", "mobilenet_v3_small", "mobilenet_v3_large")
CALIBRATION_BLOCKS = 20


@dataclass(frozen=True)
class ReferencePanel:
    """Networks of different size. A network is held against those next to it in time.

    A machine's moods (clock rate, neighbours, caches) do not slow small and large networks alike, so
    one reference leaves more of them in the ratio than two around it.

    Attributes:
        reference: the name of the network whose ratio is 1.
        networks: by name, from the least to the most MACs; the unit is one of them.
    """

    reference: str
    networks: Mapping[str, Architecture]

    def __post_init__(self) -> None:
        if self.reference not in self.networks:
            raise FieldError("reference", f"must be one of {', '.join(self.networks)}, got {self.reference}")

    @property
    def key(self) -> str:
        """12 hexadecimal digits that differ for other networks or another unit."""
        key_parts = [self.reference, *(f"{name} {network.key}" for name, network in self.networks.items())]
        return hashlib.sha256(" ".join(key_parts).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Calibration:
    """What the panel's networks take on a device, and when that was measured.

    Attributes:
        ratios: to the unit's time, by name.
        reference_ms: milliseconds of the unit.
        measured_at: date and time, UTC.
        load: processes that wanted a core, for every core, in the minute before.
    """

    ratios: Mapping[str, float]
    reference_ms: float
    clock: str
    measured_at: str
    load: float

    def references(self, runners: Mapping[str, Runner]) -> ReferenceRunners:
        """The panel's networks with their ratios, the quickest first."""
        names = sorted(self.ratios, key=lambda name: self.ratios[name])
        return ReferenceRunners(
            [runners[name] for name in names], [self.ratios[name] for name in names], self.reference_ms
        )


def build_reference_panel(
    reference: str, adapt_network: Callable[[Architecture], Architecture] = lambda network: network
) -> ReferencePanel:
    """Small, medium, large, and the unit if it is none of these.

    Args:
        adapt_network: adapts a published network to resolution, image channels and classes.
    Raises:
        UnknownNameError: the unit is no published network.
    """
    names = dict.fromkeys((reference, *PANEL_NETWORKS))
    networks = {name: adapt_network(published_architecture(name)) for name in names}
    return ReferencePanel(reference, dict(sorted(networks.items(), key=lambda item: cost(item[1]).macs)))


def calibrate(
    runners: Mapping[str, Runner],
    reference: str,
    plan: MeasurementPlan,
    clock: str,
    n_blocks: int = CALIBRATION_BLOCKS,
) -> Calibration:
    """Measure the panel against its unit, and the unit's milliseconds."""
    n_runs = runs_per_timing(runners[reference], plan)
    times: list[float] = []
    abba_blocks = {
        name: AbbaBlock([(runner, 1.0), (runners[reference], -1.0)], plan)
        for name, runner in runners.items()
        if name != reference
    }
    log_ratios: dict[str, list[float]] = {name: [] for name in abba_blocks}
    for _ in range(min(n_blocks, plan.max_abba_blocks)):
        times.append(min_time(runners[reference], n_runs, plan))
        for name, abba_block in abba_blocks.items():
            log_ratios[name].append(abba_block.log_ratio())
    ratios = {reference: 1.0} | {
        name: math.exp(hodges_lehmann.pseudomedian(each)) for name, each in log_ratios.items()
    }
    return Calibration(
        ratios={name: ratios[name] for name in runners},
        reference_ms=1000 * median(times),
        clock=clock,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        load=load_per_core(),
    )
