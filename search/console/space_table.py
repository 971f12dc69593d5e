"""Tables of a search space and of the presets."""

import random
import statistics
from dataclasses import replace
from typing import Any

from rich.table import Table

from ...evaluate import format_count
from ...search_space import PRESETS, PUBLISHED_NAMES, SearchSpace, cost, load_space, published_architecture
from .tables import plain_table, wide_console

SAMPLES = 1000


def as_dict(space: SearchSpace) -> dict[str, Any]:
    """The space as plain values for JSON."""
    return {
        "name": space.name,
        "size": space.size,
        "genes": {gene.name: list(gene.choices) for gene in space.genes},
        "contains": published_in_space(space),
        "macs_quantiles": macs_quantiles(space),
    }


def published_in_space(space: SearchSpace) -> list[str]:
    """Published networks that are points of the space at one of its resolutions."""
    return [
        name
        for name in PUBLISHED_NAMES
        if any(
            space.contains(
                replace(
                    published_architecture(name),
                    resolution_px=side,
                    image_channels=space.image_channels,
                    classes=space.classes,
                )
            )
            for side in space.resolution_px
        )
    ]


def macs_quantiles(space: SearchSpace) -> dict[str, int]:
    """Quantiles of MACs over `SAMPLES` networks with uniformly drawn genes."""
    rng = random.Random(0)
    macs = sorted(cost(space.decode(space.sample(rng))).macs for _ in range(SAMPLES))
    tenths = statistics.quantiles(macs, n=10)
    return {
        "min": macs[0],
        "10%": round(tenths[0]),
        "50%": round(tenths[4]),
        "90%": round(tenths[8]),
        "max": macs[-1],
    }


def print_presets() -> None:
    """Print a row per preset."""
    table = plain_table("space", "images px", "genes", "networks", left=("space",))
    for name in PRESETS:
        space = load_space(name)
        sides = f"{min(space.resolution_px)}-{max(space.resolution_px)}"
        sides = sides if len(space.resolution_px) > 1 else str(space.resolution_px[0])
        table.add_row(name, sides, str(len(space.genes)), f"{space.size:.2e}")
    wide_console().print(table, highlight=False)


def print_space(space: SearchSpace) -> None:
    """Print genes, size, published networks and quantiles of MACs."""
    console = wide_console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("gene", no_wrap=True)
    table.add_column("choices")
    for gene in space.genes:
        table.add_row(gene.name, ", ".join(str(choice) for choice in gene.choices))
    console.print(table, highlight=False)
    quantiles = ", ".join(f"{name} {format_count(value)}" for name, value in macs_quantiles(space).items())
    inside = ", ".join(published_in_space(space)) or "none"
    for line in (
        f"space {space.name}: {space.size:,} networks, {len(space.genes)} genes",
        f"published networks: {inside}",
        f"MACs of {SAMPLES:,} random networks: {quantiles}",
    ):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
