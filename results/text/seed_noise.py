"""A study of seed variance as a table and as sentences."""

import math
from collections.abc import Iterable

from ...evaluate import format_count
from ...evaluate.statistics.estimate import Estimate
from ...evaluate.statistics.reliability import VarianceComponents
from ..analysis.seed_noise import (
    REPORTED_N_SEEDS,
    TARGET_RELIABILITY,
    MetricReliability,
    SeedVarianceReport,
)
from .formatting import percentage_points, pluralize

FEW_NETWORKS = 10
_MAX_USEFUL_SEEDS = 20


def table_rows(report: SeedVarianceReport) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns, and rows for `REPORTED_N_SEEDS` seeds per network."""
    columns = ("", *(pluralize(each, "seed") for each in REPORTED_N_SEEDS))
    rows = []
    for each in report.metrics:
        for name, variances in (
            ("reliability", each.variances_overall),
            ("reliability given MACs", each.variances_given_macs),
        ):
            cells = (estimate_text(estimate) for estimate in reliability_by_n_seeds(variances).values())
            rows.append((f"{name}, {each.name}", *cells))
    for each in report.metrics:
        unit = ", pp" if each.name == "accuracy" else ""
        cells = (_amount(each, each.least_significant_difference(count)) for count in REPORTED_N_SEEDS)
        rows.append((f"least significant difference, {each.name}{unit}", *cells))
    return columns, rows


def reliability_by_n_seeds(
    variances: VarianceComponents, n_seeds: Iterable[int] = REPORTED_N_SEEDS
) -> dict[int, Estimate]:
    """Reliability of the mean, by the number of seeds per network."""
    return {
        each: Estimate(variances.reliability(each), *variances.reliability_ci95(each)) for each in n_seeds
    }


def estimate_text(estimate: Estimate) -> str:
    """`0.74 (0.45 to 0.90)`."""
    if math.isnan(estimate.value):
        return "unknown"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def summary_lines(report: SeedVarianceReport) -> list[str]:
    """Findings beside the table; the verdict is last."""
    primary = report.primary
    lines = [
        "Reliability: variance between networks as a fraction of the total variance; 95% intervals in "
        "brackets. "
        f"Spearman between two seeds: {estimate_text(primary.spearman_between_seeds)}. "
        f"Spearman(MACs, {primary.name}): {estimate_text(primary.spearman_with_macs)}.",
        _metrics_text(report),
        _cost_text(report),
        _allocation_text(report),
        "Valid for this training length; longer training may rank the networks differently.",
        verdict_text(report),
    ]
    return [each for each in lines if each]


def counts_text(report: SeedVarianceReport) -> str:
    """Networks, seeds, and trainings that are excluded or failed."""
    text = f"{report.networks} networks x {report.seeds} seeds"
    if report.excluded:
        text += f"; {pluralize(report.excluded, 'training')} excluded (incomplete rows or columns)"
    if report.failed:
        text += f"; {pluralize(report.failed, 'training')} failed"
    return text


def verdict_text(report: SeedVarianceReport) -> str:
    """Whether a search is worthwhile, with the numbers behind it."""
    primary = report.primary
    caveat = (
        f" With {report.networks} networks these estimates are imprecise."
        if report.networks < FEW_NETWORKS
        else ""
    )
    if report.verdict == "noise":
        variances = primary.variances_overall
        reliability = estimate_text(Estimate(variances.reliability(), *variances.reliability_ci95()))
        return (
            "Inconclusive: differences between networks do not exceed seed noise "
            f"(reliability {reliability}). {_remedy(primary)}{caveat}"
        )
    gain, many = primary.expected_gain(report.n_trials), REPORTED_N_SEEDS[-1]
    thresholds = (_with_unit(primary, primary.least_significant_difference(count)) for count in (1, many))
    threshold_1, threshold_many = thresholds
    evidence = (
        f"MACs explain {_percent(primary.explained_by_macs)} of the true variance between networks; "
        f"the best of {report.n_trials} networks of equal MACs is expected to be "
        f"{_with_unit(primary, gain.value)} ({_amount(primary, gain.low)} to {_amount(primary, gain.high)}) "
        f"above their mean; least significant difference: {threshold_1} with 1 seed per network, "
        f"{threshold_many} with {many}"
    )
    lead, remedy = {
        "search": ("A search is worthwhile", ""),
        "unclear": ("Inconclusive", " Evaluate more networks, or train longer."),
        "largest": (f"A search is not worthwhile; choose {_choice(primary)}", ""),
    }[report.verdict]
    return f"{lead}: {evidence}.{remedy}{caveat}"


def _choice(metric: MetricReliability) -> str:
    if metric.best_macs == metric.macs.max():
        return "the largest feasible network"
    return f"a network of about {format_count(float(f'{metric.best_macs:.2g}'))} MACs"


def _metrics_text(report: SeedVarianceReport) -> str:
    if len(report.metrics) < 2:
        return ""
    reliabilities = ", ".join(
        f"{each.name} {each.variances_overall.reliability():.2f}" for each in report.metrics
    )
    if report.more_reliable is None:
        return f"Reliabilities do not differ significantly: {reliabilities}."
    return f"More reliable metric: {report.more_reliable} ({reliabilities})."


def _cost_text(report: SeedVarianceReport) -> str:
    seconds, n_seeds = report.cpu_seconds, report.trainings_for_target
    text = f"Cost of one training: {_seconds(seconds)}. Seeds for a reliability of {TARGET_RELIABILITY:g}: "
    if n_seeds is None:
        return f"{text}no number suffices."
    text += f"{n_seeds} ({_seconds(n_seeds * seconds)} per network)"
    return f"{text}; train longer instead." if n_seeds > _MAX_USEFUL_SEEDS else f"{text}."


def _allocation_text(report: SeedVarianceReport) -> str:
    primary = report.primary
    if max(primary.variances_given_macs.true_variance, primary.variances_overall.true_variance) <= 0:
        return ""
    of_one_size = " of equal MACs" if primary.variances_given_macs.true_variance > 0 else ""
    networks, n_seeds = primary.best_allocation(report.n_trials)
    return (
        f"Best use of {report.n_trials} trainings: {networks} networks{of_one_size} with "
        f"{pluralize(n_seeds, 'seed')} each."
    )


def _remedy(metric: MetricReliability) -> str:
    if metric.name == "score":
        return "Evaluate more networks or seeds, or use another evaluator."
    return "Train longer: increase --epochs or --train-images."


def _amount(metric: MetricReliability, value: float) -> str:
    """Accuracies in percentage points."""
    return percentage_points(value) if metric.name == "accuracy" else f"{value:.3g}"


def _with_unit(metric: MetricReliability, value: float) -> str:
    return f"{_amount(metric, value)} pp" if metric.name == "accuracy" else _amount(metric, value)


def _percent(fraction: Estimate) -> str:
    return f"{100 * fraction.value:.0f}% ({100 * fraction.low:.0f}% to {100 * fraction.high:.0f}%)"


def _seconds(value: float) -> str:
    return f"{value:.3g} CPU-seconds" if value < 100 else f"{value:,.0f} CPU-seconds"
