"""The reference networks that latency is a ratio to, and their calibration on a device."""

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import median

from ...search_space import Architecture, cost, published_architecture
from ...search_space.errors import FieldError
from ...search_space.reference_networks import MAX_WIDTH
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
    """Reference networks of different sizes.

    A network is measured against the one or two references nearest in latency: clock rate, cache state and
    other processes do not slow small and large networks alike, and two references around a network cancel
    more of it than one.

    Attributes:
        reference: name of the network whose ratio is 1; one of `networks`. `NAME@224px` names its resolution.
        networks: by name, in ascending order of MACs.
    Raises:
        FieldError: the reference is not one of the networks.
    """

    reference: str
    networks: Mapping[str, Architecture]

    def __post_init__(self) -> None:
        if self.reference not in self.networks:
            raise FieldError("reference", f"must be one of {', '.join(self.networks)}, got {self.reference}")

    @property
    def reference_network(self) -> Architecture:
        """The network whose ratio is 1."""
        return self.networks[self.reference]

    @property
    def reference_name(self) -> str:
        """The reference with its resolution, as an option takes it: `mobilenet_v3_small@224px`."""
        name = parse_reference(self.reference)[0]
        return f"{name}@{self.reference_network.resolution_px}px"

    @property
    def reference_text(self) -> str:
        """The reference with its resolution: `mobilenet_v3_small at 224 px`."""
        resolution_px = self.reference_network.resolution_px
        return f"{parse_reference(self.reference)[0]} at {resolution_px} px"

    @property
    def key(self) -> str:
        """Hash of the reference and the networks, 12 hexadecimal digits."""
        key_parts = [self.reference, *(f"{name} {network.key}" for name, network in self.networks.items())]
        return hashlib.sha256(" ".join(key_parts).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Calibration:
    """Latencies of the panel on a device.

    Attributes:
        ratios: latency relative to the reference, by network name.
        reference_ms: latency of the reference in milliseconds.
        clock: description of the clock.
        measured_at: date and time, UTC, ISO 8601.
        load: 1-minute load average per core at that time.
    """

    ratios: Mapping[str, float]
    reference_ms: float
    clock: str
    measured_at: str
    load: float

    def references(self, runners: Mapping[str, Runner]) -> ReferenceRunners:
        """The panel with its runners, in ascending order of latency."""
        names = sorted(self.ratios, key=lambda name: self.ratios[name])
        return ReferenceRunners(
            [runners[name] for name in names], [self.ratios[name] for name in names], self.reference_ms
        )


def build_reference_panel(
    reference: str, adapt_network: Callable[[Architecture], Architecture] = lambda network: network
) -> ReferencePanel:
    """A panel of a small, a medium and a large MobileNetV3 like the measured networks, plus the reference.

    The reference has its own resolution, so that 1x does not depend on the images.

    Args:
        reference: a published network, at another resolution if it ends so: `mobilenet_v3_small@64px`.
        adapt_network: adapts a published network to resolution, image channels and classes.
    Raises:
        UnknownNameError: the reference is not a published network.
        ArchitectureError: a network cannot have that resolution.
    """
    published_name, resolution_px = parse_reference(reference)
    published = published_architecture(published_name)
    resolution_px = resolution_px or published.resolution_px
    own = replace(adapt_network(published), resolution_px=resolution_px)
    others = {name: adapt_network(published_architecture(name)) for name in PANEL_NETWORKS}
    networks = {name: network for name, network in others.items() if network != own}
    networks[own_name := f"{published_name}@{resolution_px}px"] = own
    return ReferencePanel(own_name, dict(sorted(networks.items(), key=lambda item: cost(item[1]).macs)))


def parse_reference(text: str) -> tuple[str, int | None]:
    """Name and resolution of `mobilenet_v3_small@64px`; None for the network's own resolution.

    A number above 10, which is no width, needs no unit.
    """
    match = re.fullmatch(r"(.*)@([0-9]{1,6})(px)?", text)
    if match and (match[3] or int(match[2]) > MAX_WIDTH):
        return match[1], int(match[2])
    return text, None


def calibrate(
    runners: Mapping[str, Runner],
    reference: str,
    plan: MeasurementPlan,
    clock: str,
    n_blocks: int = CALIBRATION_BLOCKS,
) -> Calibration:
    """Measure the panel relative to its reference, and the reference in milliseconds.

    Args:
        n_blocks: ABBA blocks per network, at most `plan.max_abba_blocks`.
    """
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
