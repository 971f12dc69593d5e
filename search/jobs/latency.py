"""`bneck latency`: measure networks on a device, in total and per block."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import typer

from ...evaluate import Latency
from ...evaluate.latency.layerwise import LayerwiseLatency, measure_layerwise
from ...evaluate.latency.meter import LatencyMeter
from ...results.text.formatting import milliseconds, pluralize
from ...results.text.latency import setup_lines
from ...search_space import Architecture, cost_breakdown
from ..console.interrupts import interrupted_exit_code, print_interrupted
from ..console.network_table import layers_by_part
from ..console.progress import Progress, Status, progress
from ..console.tables import plain_table, print_lines, print_table, wide_console
from ..console.terminal import Console
from ..resolve.networks import NamedArchitecture


@dataclass(frozen=True)
class NamedLatency:
    name: str
    latency: Latency


def make_meter(
    like: Architecture, backend_name: str, threads: int, batch_size: int, reference: str
) -> LatencyMeter:
    """A latency meter with a reference panel for the input size and classes of a network.

    Raises:
        BackendError: the backend does not work on this machine.
        UnknownNameError: unknown backend or reference model.
    """
    return LatencyMeter.open(
        backend_name, like=like, threads=threads, batch_size=batch_size, reference_model=reference
    )


def measure_all(
    meter: LatencyMeter, networks: Sequence[NamedArchitecture], *, fresh: bool
) -> list[NamedLatency]:
    """Measure networks one after the other, with progress on stderr.

    Args:
        fresh: ignore cached measurements.
    Raises:
        BackendError: the backend cannot run the reference panel.
    """
    with cached(meter, [each.architecture for each in networks]), progress(Console(stderr=True)) as display:
        calibrate(meter, display, fresh=fresh)
        measured: list[NamedLatency] = []
        for named in networks:
            display.update_status(Status("measuring", len(measured), len(networks)))
            measured.append(NamedLatency(named.name, meter.measure(named.architecture, fresh=fresh)))
        display.update_status(Status("measuring", len(measured), len(networks)))
    return measured


@contextmanager
def cached(meter: LatencyMeter, networks: Sequence[Architecture]) -> Iterator[None]:
    """Say after Ctrl-C how many of the networks are cached, so that they are not measured again."""
    try:
        yield
    except KeyboardInterrupt:
        count = sum(map(meter.is_cached, networks))
        text = f"interrupted after {count} of {pluralize(len(networks), 'network')}"
        if count and meter.cache:
            text += f", kept in {meter.cache.folder}"
        print_interrupted(f"{text}; run the same command to continue")
        raise typer.Exit(interrupted_exit_code()) from None


def calibrate(meter: LatencyMeter, display: Progress, *, fresh: bool = False) -> None:
    """Measure the reference panel unless it is cached.

    Raises:
        BackendError: the backend cannot run it.
    """
    if fresh or not meter.is_calibrated:
        display.update_status(Status("calibrating", 0, 1))
        meter.calibrate()


def measure_layers(meter: LatencyMeter, named: NamedArchitecture) -> LayerwiseLatency:
    """Measure the latency per block, with progress on stderr."""
    with progress(Console(stderr=True)) as display:
        return measure_layerwise(
            meter,
            named.architecture,
            lambda done, total: display.update_status(Status("measuring blocks", done, total)),
        )


def as_dict(measured: NamedLatency, meter: LatencyMeter) -> dict[str, Any]:
    """A row of `--json`; values are None for a failed measurement."""
    latency = measured.latency
    ok = latency.status != "failed"
    return {
        "name": measured.name,
        "backend": meter.backend.name,
        "reference": meter.panel.reference_name,
        "ratio": latency.ratio if ok else None,
        "ratio_lo": latency.ratio_low if ok else None,
        "ratio_hi": latency.ratio_high if ok else None,
        "ms": latency.latency_ms if ok else None,
        "pairs": latency.pairs,
        "seconds": latency.seconds,
        "status": latency.status,
        "device": asdict(meter.backend.device),
    }


def parts_as_dicts(table: LayerwiseLatency) -> list[dict[str, Any]]:
    """The blocks as `--json --blocks` prints them."""
    return [
        {
            "name": part.name,
            "fraction": part.fraction,
            "ms": part.latency_ms,
            "isolated_ms": part.isolated.latency_ms,
        }
        for part in table.parts
    ]


def print_latencies(measured: Sequence[NamedLatency], meter: LatencyMeter) -> None:
    table = plain_table(
        "network", "ratio", "95% CI", "ms", "pairs", "seconds", "status", left=("network", "status")
    )
    for each in measured:
        latency = each.latency
        if latency.status == "failed":
            table.add_row(each.name, "", "", "", "", f"{latency.seconds:.1f}", "failed")
            continue
        table.add_row(
            each.name,
            f"{latency.ratio:.3f}x",
            f"{latency.ratio_low:.3f} to {latency.ratio_high:.3f}",
            milliseconds(latency.latency_ms).removesuffix(" ms"),
            str(latency.pairs),
            f"{latency.seconds:.1f}" if latency.seconds else "cached",
            latency.status,
        )
    console = wide_console()
    console.print(table)
    print_lines(console, *setup_lines(meter.setup))


def print_parts(table: LayerwiseLatency, named: NamedArchitecture) -> None:
    """Print one row per block; the milliseconds add up to the latency of the network."""
    costs = cost_breakdown(named.architecture)
    macs = sum(each.macs for each in costs.values())
    layers = layers_by_part(named.architecture)
    rows = [
        (
            part.name,
            layers[part.name],
            milliseconds(part.latency_ms).removesuffix(" ms"),
            f"{100 * part.fraction:.1f}",
            f"{100 * costs[part.name].macs / macs:.1f}",
        )
        for part in table.parts
    ]
    console = wide_console()
    console.print()
    print_table(console, ("part", "layers", "ms", "share %", "MACs %"), rows, left=("part", "layers"))
    print_lines(
        console,
        f"The isolated latencies of the parts sum to {100 * table.isolated_sum_ratio:.0f}% of the network's "
        "latency; the column ms is scaled to 100%.",
    )
