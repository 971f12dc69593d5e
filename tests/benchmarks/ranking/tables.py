"""Tables of the benchmark."""

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
from .ground_truth import REPLICATES, Array, Truth
from .proxies import Scores

BOOTSTRAPS = 2000


def interval(low: float, high: float) -> str:
    return f"[{low:.2f}, {high:.2f}]"


def with_interval(statistic: Callable[[Indices], float], count: int) -> str:
    """A statistic over networks with its bootstrap 95% interval."""
    low, high = bootstrap_ci95(statistic, count, np.random.default_rng(0), BOOTSTRAPS)
    return f"{statistic(np.arange(count)):.2f} {interval(low, high)}"


def reliability_table(truths: dict[str, Truth]) -> Table:
    """Reliability of each protocol, in total and given MACs."""
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
    correlation = mean_over_seed_pairs(values)
    return [
        f"{whole.reliability():.2f} {interval(*whole.reliability_ci95())}",
        f"{whole.reliability(REPLICATES):.2f}",
        f"{beyond.reliability():.2f} {interval(*beyond.reliability_ci95())}",
        f"{beyond.reliability(REPLICATES):.2f} {interval(*beyond.reliability_ci95(REPLICATES))}",
        with_interval(lambda rows: mean_over_seed_pairs(values[rows]), len(values)),
        f"{spearman_brown(correlation, REPLICATES):.2f}",
        f"{100 * whole.error_mean_square**0.5:.2f}",
        f"{100 * whole.true_variance**0.5:.2f}",
    ]


def proxies_table(proxies: Sequence[tuple[str, Values, float, float]], truth: Values, macs: Array) -> Table:
    """Rank statistics of every proxy.

    Args:
        proxies: name, scores, CPU-seconds of the setup and per network.
    """
    table = plain_table(
        "proxy",
        "Spearman",
        "above MACs",
        "Kendall",
        "partial to MACs",
        "middle third",
        "of the top 5",
        "regret",
        "CPU-s setup",
        "per network",
        left=("proxy",),
    )
    true = np.asarray(truth, dtype=np.float64)
    middle = middle_third(macs)
    for name, scores, once, each in proxies:
        values = np.asarray(scores, dtype=np.float64)
        gain, low, high = spearman_difference(values, macs, true, np.random.default_rng(0), BOOTSTRAPS)

        def correlation(rows: Indices, values: Array = values) -> float:
            return spearman(values[rows], true[rows])

        table.add_row(
            name,
            with_interval(correlation, len(true)),
            f"{gain:+.2f} {interval(low, high)}" if name != "macs" else "",
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
    return [(each.proxy.name, each.mean, each.once, each.each) for each in scores]


def show(console: Console, title: str, table: Table) -> None:
    console.print(f"\n{title}", highlight=False)
    console.print(table)
