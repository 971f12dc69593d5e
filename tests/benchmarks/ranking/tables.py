"""The tables that the benchmark prints."""

from collections.abc import Callable, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from bneck.evaluate.statistics.arrays import Indices, Values
from bneck.evaluate.statistics.rank_correlation import (
    bootstrap_ci95,
    kendall,
    mean_over_seed_pairs,
    spearman,
    spearman_difference,
)
from bneck.evaluate.statistics.reliability import variance_components, variance_components_given_macs
from bneck.search.console.tables import plain_table

from .agreement import middle_third, partial_spearman, regret, spearman_brown, top_k_overlap
from .judges import Scores
from .truth import REPLICATES, Array, Truth

BOOTSTRAPS = 2000


def interval(low: float, high: float) -> str:
    return f"[{low:.2f}, {high:.2f}]"


def with_interval(statistic: Callable[[Indices], float], count: int) -> str:
    """A statistic of networks by position, with its 95% interval."""
    low, high = bootstrap_ci95(statistic, count, np.random.default_rng(0), BOOTSTRAPS)
    return f"{statistic(np.arange(count)):.2f} {interval(low, high)}"


def reliability_table(truths: dict[str, Truth]) -> Table:
    """How well each training agrees with itself, and what MACs leave of that."""
    table = plain_table(
        "training",
        "by",
        "CPU-s",
        "reliability of 1",
        f"of {REPLICATES}",
        "beyond MACs, 1",
        f"beyond MACs, {REPLICATES}",
        "seed to seed",
        f"implied for {REPLICATES}",
        "sd of seeds",
        "of networks",
        left=("training", "by"),
    )
    for name, truth in truths.items():
        for by, values in (("accuracy", truth.accuracy), ("loss", truth.loss)):
            table.add_row(name, by, f"{truth.cpu_seconds.mean():.1f}", *_reliability(values, truth.macs))
    return table


def _reliability(values: Array, macs: Array) -> list[str]:
    whole, beyond = variance_components(values), variance_components_given_macs(values, macs)
    agreed = mean_over_seed_pairs(values)
    return [
        f"{whole.reliability():.2f} {interval(*whole.reliability_ci95())}",
        f"{whole.reliability(REPLICATES):.2f}",
        f"{beyond.reliability():.2f} {interval(*beyond.reliability_ci95())}",
        f"{beyond.reliability(REPLICATES):.2f} {interval(*beyond.reliability_ci95(REPLICATES))}",
        with_interval(lambda rows: mean_over_seed_pairs(values[rows]), len(values)),
        f"{spearman_brown(agreed, REPLICATES):.2f}",
        f"{100 * whole.error_mean_square**0.5:.2f}",
        f"{100 * whole.true_variance**0.5:.2f}",
    ]


def judges_table(judges: Sequence[tuple[str, Values, float, float]], truth: Values, macs: Array) -> Table:
    """Every judge against the truth.

    Args:
        judges: name, scores, CPU-seconds once and a network.
    """
    table = plain_table(
        "judge",
        "Spearman",
        "above MACs",
        "Kendall",
        "partial to MACs",
        "middle third",
        "of the 5 best",
        "regret",
        "CPU-s once",
        "each",
        left=("judge",),
    )
    true = np.asarray(truth, dtype=np.float64)
    middle = middle_third(macs)
    for name, scores, once, each in judges:
        values = np.asarray(scores, dtype=np.float64)
        apart, low, high = spearman_difference(values, macs, true, np.random.default_rng(0), BOOTSTRAPS)

        def agreed(rows: Indices, values: Array = values) -> float:
            return spearman(values[rows], true[rows])

        table.add_row(
            name,
            with_interval(agreed, len(true)),
            f"{apart:+.2f} {interval(low, high)}" if name != "macs" else "",
            f"{kendall(values, true):.2f}",
            f"{partial_spearman(values, true, macs):.2f}",
            f"{spearman(values[middle], true[middle]):.2f}",
            f"{top_k_overlap(values, true):.1f}",
            f"{100 * regret(values, true):.2f}",
            f"{once:.0f}",
            f"{each:.2f}",
        )
    return table


def rows_of(scores: Sequence[Scores]) -> list[tuple[str, Values, float, float]]:
    return [(each.judge.name, each.mean, each.once, each.each) for each in scores]


def show(console: Console, title: str, table: Table) -> None:
    console.print(f"\n{title}", highlight=False)
    console.print(table)
