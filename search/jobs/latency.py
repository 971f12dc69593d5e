"""`bneck latency`: networks measured on a device, and where their time goes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.console import Console

from ...evaluate import Latency, panel_of
from ...evaluate.latency.backends import latency_backend
from ...evaluate.latency.layerwise import PartTable, measure_parts
from ...evaluate.latency.meter import LatencyMeter
from ...results.text.formatting import milliseconds
from ...results.text.latency import setup_lines
from ...search_space import Architecture, cost_by_part
from ..commands.front import plain_table, wide_console
from ..commands.inspect import NamedArchitecture, part_descriptions
from ..console.progress import Progress, Status, progress


@dataclass(frozen=True)
class NamedLatency:
    name: str
    latency: Latency


def meter_for(
    images_of: Architecture, backend_name: str, threads: int, batch: int, reference: str
) -> LatencyMeter:
    """A meter whose panel takes the same images as a network.

    Raises:
        BackendError: the device does not work here.
        UnknownNameError: no such backend or reference.
    """
    backend = latency_backend(backend_name, threads=threads, batch=batch)

    def fit(network: Architecture) -> Architecture:
        return replace(
            network,
            resolution_px=images_of.resolution_px,
            image_channels=images_of.image_channels,
            classes=images_of.classes,
        )

    return LatencyMeter.on(backend, panel_of(reference, fit))


def measure_all(
    meter: LatencyMeter, networks: Sequence[NamedArchitecture], *, fresh: bool
) -> list[NamedLatency]:
    """The networks' latencies, with progress on stderr.

    Raises:
        BackendError: the device cannot run the panel.
    """
    with progress(Console(stderr=True)) as shown:
        calibrate(meter, shown, fresh=fresh)
        found: list[NamedLatency] = []
        for named in networks:
            shown.show(Status("measuring", len(found), len(networks)))
            found.append(NamedLatency(named.name, meter.measure(named.architecture, fresh=fresh)))
        shown.show(Status("measuring", len(found), len(networks)))
    return found


def calibrate(meter: LatencyMeter, shown: Progress, *, fresh: bool = False) -> None:
    """Measure the panel, if it is not known.

    Raises:
        BackendError: the device cannot run it.
    """
    if fresh or not meter.calibrated:
        shown.show(Status("calibrating", 0, 1))
        meter.calibrate()


def parts_of(meter: LatencyMeter, named: NamedArchitecture) -> PartTable:
    """Where the time goes, with progress on stderr."""
    with progress(Console(stderr=True)) as shown:
        return measure_parts(
            meter, named.architecture, lambda done, total: shown.show(Status("measuring blocks", done, total))
        )


def as_dict(found: NamedLatency, meter: LatencyMeter) -> dict[str, Any]:
    """What `--json` prints of a network; no figures where measuring failed."""
    latency = found.latency
    known = latency.status != "failed"
    return {
        "name": found.name,
        "backend": meter.backend.name,
        "ratio": latency.ratio if known else None,
        "ratio_lo": latency.ratio_low if known else None,
        "ratio_hi": latency.ratio_high if known else None,
        "ms": latency.latency_ms if known else None,
        "pairs": latency.pairs,
        "seconds": latency.seconds,
        "status": latency.status,
        "device": asdict(meter.backend.device),
    }


def parts_as_dicts(table: PartTable) -> list[dict[str, Any]]:
    """What `--json --blocks` adds."""
    return [
        {"name": part.name, "share": part.share, "ms": part.latency_ms, "alone_ms": part.alone.latency_ms}
        for part in table.parts
    ]


def print_latencies(found: Sequence[NamedLatency], meter: LatencyMeter) -> None:
    """A table, and what it is told by."""
    table = plain_table(
        "network", "ratio", "95% interval", "ms", "pairs", "seconds", "status", left=("network", "status")
    )
    for each in found:
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
    for line in setup_lines(meter.setup):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def print_parts(table: PartTable, named: NamedArchitecture) -> None:
    """A row a part, its milliseconds scaled to the whole network's."""
    rows = plain_table("part", "layers", "ms", "share %", "MACs %", left=("part", "layers"))
    costs = cost_by_part(named.architecture)
    macs = sum(each.macs for each in costs.values())
    what = part_descriptions(named.architecture)
    for part in table.parts:
        rows.add_row(
            part.name,
            what[part.name],
            milliseconds(part.latency_ms).removesuffix(" ms"),
            f"{100 * part.share:.1f}",
            f"{100 * costs[part.name].macs / macs:.1f}",
        )
    console = wide_console()
    console.print()
    console.print(rows)
    console.print(
        f"Measured alone the parts add up to {100 * table.alone_over_whole:.0f}% of the network's time; "
        "they are scaled to it here.",
        highlight=False,
        soft_wrap=True,
    )
