"""Reliability of short training protocols, and their rank correlation with long training.

    python -m tests.benchmarks.protocols [--workers 2] [--only NAME,NAME]

Networks and long training runs are those of `tests.benchmarks.ranking`: 30 of space tiny, evenly spaced in
log MACs, on Fashion-MNIST, three seeds each. Each protocol differs from the first in one setting. Results
are cached in `--cache FILE`, so that an interrupted run resumes.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bneck.evaluate.statistics.arrays import Indices
from bneck.evaluate.statistics.rank_correlation import spearman
from bneck.evaluate.statistics.reliability import variance_components, variance_components_given_macs
from bneck.search.console.tables import plain_table

from .job_cache import Result, run_all
from .ranking.ground_truth import CALM, LONG, REPLICATES, SHORT, Array, Truth, few, jobs, truth
from .ranking.tables import interval, show, with_interval
from .setting import Protocol

PROTOCOLS = (
    SHORT,
    replace(SHORT, name="rate 0.02", recipe=replace(SHORT.recipe, learning_rate=0.02)),
    replace(SHORT, name="rate 0.2", recipe=replace(SHORT.recipe, learning_rate=0.2)),
    Protocol("20,000 x 1", 20_000, replace(CALM, epochs=1)),
    replace(SHORT, name="flip-crop", recipe=replace(SHORT.recipe, augment="flip-crop")),
    replace(
        SHORT, name="batch 128, rate 0.16", recipe=replace(SHORT.recipe, batch_size=128, learning_rate=0.16)
    ),
    replace(SHORT, name="average 0.98", recipe=replace(SHORT.recipe, ema=0.98)),
    replace(SHORT, name="own seeds", same_seed=False),
    replace(
        SHORT,
        name="no clipping, no warm-up",
        recipe=replace(SHORT.recipe, max_grad_norm=0.0, warmup_fraction=0.0),
    ),
    replace(SHORT, name="adamw 0.003", recipe=replace(SHORT.recipe, optimizer="adamw", learning_rate=0.003)),
    Protocol("5,000 x 4", 5_000, replace(CALM, epochs=4)),
    replace(SHORT, name="16 px for all", resolution_px=16),
    Protocol("5,000 x 2", 5_000, replace(CALM, epochs=2)),
    Protocol("20,000 x 2", 20_000, replace(CALM, epochs=2)),
)
READINGS = ("last/settled", "last/running", "ema/settled", "before/settled")
MEANINGS = {
    "last/settled": "recalibrated BN",
    "last/running": "running BN",
    "ema/settled": "EMA weights",
    "before/settled": "one epoch earlier",
}


def table_of(found: Mapping[str, Result], protocol: Protocol, reading: str, place: int) -> Array:
    """`n x k`: accuracy (place 0), or negative loss (1)."""
    sign = -1 if place else 1
    return np.array(
        [
            [
                sign * found[f"{protocol.name}/{each.key}/{replicate}"]["readings"][reading][place]
                for replicate in range(REPLICATES)
            ]
            for each in few()
        ]
    )


def rows_of(protocol: Protocol, found: Mapping[str, Result], true: Truth) -> list[list[str]]:
    """One row per reading."""
    known = [result for key, result in found.items() if key.startswith(f"{protocol.name}/")]
    seconds = float(np.mean([result["cpu_seconds"] for result in known]))
    rows = []
    for reading in (each for each in READINGS if all(each in result["readings"] for result in known)):
        if reading == "before/settled" and protocol is not SHORT:
            continue
        for place, by in enumerate(("accuracy", "loss")):
            values = table_of(found, protocol, reading, place)
            whole, beyond = variance_components(values), variance_components_given_macs(values, true.macs)

            def correlation(chosen: Indices, values: Array = values) -> float:
                return float(np.mean([spearman(each[chosen], true.value[chosen]) for each in values.T]))

            rows.append(
                [
                    protocol.name,
                    MEANINGS[reading],
                    by,
                    f"{seconds:.1f}",
                    f"{whole.reliability():.2f} {interval(*whole.reliability_ci95())}",
                    f"{beyond.reliability():.2f}",
                    f"{100 * whole.error_mean_square**0.5:.2f}",
                    f"{100 * whole.true_variance**0.5:.2f}",
                    with_interval(correlation, len(values)),
                    f"{spearman(values.mean(1), true.value):.2f}",
                ]
            )
    return rows


def protocol_table(protocols: Sequence[Protocol], found: Mapping[str, Result], true: Truth) -> Table:
    """One row per protocol and reading."""
    table = plain_table(
        "protocol",
        "reading",
        "of",
        "CPU-s",
        "reliability",
        "beyond MACs",
        "sd of seeds",
        "of networks",
        "Spearman with long",
        f"mean of {REPLICATES}",
        left=("protocol", "reading", "of"),
    )
    for protocol in protocols:
        for row in rows_of(protocol, found, true):
            table.add_row(*row)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("runs/benchmarks/ranking.jsonl"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", metavar="NAME;NAME")
    arguments = parser.parse_args()
    only = arguments.only.split(";") if arguments.only else [each.name for each in PROTOCOLS]
    chosen = [each for each in PROTOCOLS if each.name in only]
    console = Console(width=200)
    true = truth(LONG, few(), arguments.cache, arguments.workers, console)
    todo = [job for protocol in chosen for job in jobs(protocol, few())]
    found = run_all(todo, arguments.cache, arguments.workers, console)
    macs = with_interval(lambda rows: spearman(true.macs[rows], true.value[rows]), len(true.macs))
    show(console, f"Spearman of MACs with long training: {macs}", protocol_table(chosen, found, true))


if __name__ == "__main__":
    main()
