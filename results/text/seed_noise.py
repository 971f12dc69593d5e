"""A study of noise in words and rows for people."""

import math
from collections.abc import Iterable

from ...evaluate import format_count
from ...evaluate.statistics.reliability import VarianceComponents
from ..analysis.seed_noise import (
    REPORTED_N_SEEDS,
    TARGET_RELIABILITY,
    Estimate,
    MetricReliability,
    SeedVarianceReport,
)
from .formatting import percentage_points, pluralize

FEW_NETWORKS = 10
_MANY_TRAININGS = 20


def table_rows(report: SeedVarianceReport) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns, and rows for 1, 2 and 4 trainings."""
    columns = ("", *(pluralize(each, "training") for each in REPORTED_N_SEEDS))
    rows = []
    for each in report.metrics:
        for what, part in (
            ("reliability", each.variances_overall),
            ("given MACs", each.variances_given_macs),
        ):
            cells = (estimate_text(estimate) for estimate in reliability_by_n_seeds(part).values())
            rows.append((f"{what}, {each.name}", *cells))
    for each in report.metrics:
        unit = ", points" if each.name == "accuracy" else ""
        cells = (_amount(each, each.least_significant_difference(count)) for count in REPORTED_N_SEEDS)
        rows.append((f"difference that can be told, {each.name}{unit}", *cells))
    return columns, rows


def reliability_by_n_seeds(
    part: VarianceComponents, trainings: Iterable[int] = REPORTED_N_SEEDS
) -> dict[int, Estimate]:
    """By the number of trainings."""
    return {each: Estimate(part.reliability(each), *part.reliability_ci95(each)) for each in trainings}


def estimate_text(estimate: Estimate) -> str:
    """`0.74 (0.45 to 0.90)`."""
    if math.isnan(estimate.value):
        return "unknown"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def summary_lines(report: SeedVarianceReport) -> list[str]:
    """What the table does not say, a sentence or two each; the verdict comes last."""
    primary = report.primary
    sentences = [
        f"Reliability is the share of the variance that is the networks' own; 95% intervals in brackets. "
        f"Two seeds rank the networks alike by Spearman {estimate_text(primary.spearman_between_seeds)}; "
        f"MACs rank them by {primary.name} with {estimate_text(primary.spearman_with_macs)}.",
        *_more_reliable(report),
        _cost(report),
        _better_use(report),
        "This holds for trainings as short as these; longer ones may rank the networks otherwise.",
        verdict_text(report),
    ]
    return [each for each in sentences if each]


def counts_text(report: SeedVarianceReport) -> str:
    """What the statistics are of."""
    text = f"{report.networks} networks x {report.seeds} seeds"
    if report.excluded:
        text += f"; {pluralize(report.excluded, 'training')} more in no table, for seeds or networks lack"
    if report.failed:
        text += f"; {pluralize(report.failed, 'training')} failed"
    return text


def verdict_text(report: SeedVarianceReport) -> str:
    """The verdict for people, with what it rests on and how sure it is."""
    primary, caveat = report.primary, ""
    if report.networks < FEW_NETWORKS:
        caveat = f" With {report.networks} networks all of this is rough."
    expected_gain, threshold_1, threshold_4 = (
        primary.expected_gain(report.n_trials),
        primary.least_significant_difference(1),
        primary.least_significant_difference(REPORTED_N_SEEDS[-1]),
    )
    share = f"MACs explain {_percent(primary.explained_by_macs)} of what the networks truly differ by"
    gain_text = (
        f"the best of {report.n_trials} networks of one size would be about "
        f"{_amount_with_unit(primary, expected_gain.value)} "
        f"({_amount(primary, expected_gain.low)} to {_amount(primary, expected_gain.high)}) "
        f"above their mean, where one training of each tells {_amount_with_unit(primary, threshold_1)} apart "
        f"and {REPORTED_N_SEEDS[-1]} tell {_amount_with_unit(primary, threshold_4)}"
    )
    if report.verdict == "noise":
        reliable = estimate_text(
            Estimate(primary.variances_overall.reliability(), *primary.variances_overall.reliability_ci95())
        )
        return (
            "Whether a search is worth its time cannot be told: the networks do not differ by more than the "
            f"seeds make them (reliability {reliable}). {_remedy(primary)}{caveat}"
        )
    if report.verdict == "search":
        return f"A search is worth its time: {share}, and {gain_text}.{caveat}"
    if report.verdict == "unclear":
        remedy = "More networks, or longer trainings, would show it."
        return f"Whether a search is worth its time is not clear: {share}, and {gain_text}. {remedy}{caveat}"
    return f"A search is hardly worth its time; choose {_choice(primary)}: {share}, and {gain_text}.{caveat}"


def _choice(metric: MetricReliability) -> str:
    if metric.best_macs == metric.macs.max():
        return "the largest network within the limits"
    return f"a network of about {format_count(float(f'{metric.best_macs:.2g}'))} MACs"


def _more_reliable(report: SeedVarianceReport) -> list[str]:
    if len(report.metrics) < 2:
        return []
    parts = [f"{each.name} {each.variances_overall.reliability():.2f}" for each in report.metrics]
    if report.more_reliable is None:
        return [f"Which is the more reliable here, {' or '.join(parts)}, so few trainings cannot tell."]
    return [f"The {report.more_reliable} is the more reliable here: {', '.join(parts)}."]


def _cost(report: SeedVarianceReport) -> str:
    """What a training costs and what a judgement should."""
    one, needed = report.cpu_seconds, report.trainings_for_target
    text, target = f"One training costs {_seconds(one)}", f"a reliability of {TARGET_RELIABILITY:g}"
    if needed is None:
        return f"{text}; no number of them would do for {target}, as far as is seen."
    if needed == 1:
        return f"{text}, and one is enough for {target}."
    text += f"; {target} takes {needed}, {_seconds(needed * one)} a network"
    return f"{text}: train longer instead." if needed > _MANY_TRAININGS else f"{text}."


def _better_use(report: SeedVarianceReport) -> str:
    """More networks, or more trainings of each."""
    part, name = report.primary.variances_given_macs, " of one size"
    if part.true_variance <= 0:
        part, name = report.primary.variances_overall, ""
    if part.true_variance <= 0:
        return ""
    networks, trainings = report.primary.best_allocation(report.n_trials)
    advice = (
        f"{networks} networks{name} with {pluralize(trainings, 'training')} each are the best use"
        f": more {'networks' if trainings == 1 else 'seeds'} rather than more "
        f"{'seeds' if trainings == 1 else 'networks'}"
    )
    return f"Of the computing of {report.n_trials} trainings, {advice}."


def _remedy(metric: MetricReliability) -> str:
    if metric.name == "score":
        return "Look at more networks or more seeds, or take another scorer."
    return "Train longer: more --epochs or --train-images."


def _amount(metric: MetricReliability, value: float) -> str:
    """Accuracies in percentage points."""
    return percentage_points(value) if metric.name == "accuracy" else f"{value:.3g}"


def _amount_with_unit(metric: MetricReliability, value: float) -> str:
    return f"{_amount(metric, value)} points" if metric.name == "accuracy" else _amount(metric, value)


def _percent(share: Estimate) -> str:
    return f"{100 * share.value:.0f}% ({100 * share.low:.0f}% to {100 * share.high:.0f}%)"


def _seconds(value: float) -> str:
    return f"{value:.3g} CPU-seconds" if value < 100 else f"{value:,.0f} CPU-seconds"
