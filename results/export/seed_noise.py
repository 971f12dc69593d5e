"""A seed study as plain values: `result.json`, also printed by `bneck seed-variance --json`.

Accuracies are fractions; intervals have 95% confidence:

    space, limits, data, evaluator  settings of the study
    networks, seeds                 size of the analyzed table (the largest one without gaps)
    n_trainings, excluded, failed   finished trainings; those outside the table; those that failed
    cpu_seconds                     mean of one training
    primary                         the metric of the verdict: accuracy, or score
    more_reliable                   accuracy or loss; null if the difference is not significant
    metrics: {accuracy, loss}       or {score} for an evaluator without accuracy; for each:
        reliability                 [{n_seeds, value, low, high}] of the mean of 1, 2, 4 trainings
        reliability_given_macs      the same for the variance that MACs do not explain
        least_significant_difference
                                    [{n_seeds, value}] between two networks with n_seeds trainings each
        seed_std                    standard deviation over seeds, without the common effect of a seed
        true_std                    standard deviation over networks, without seed variance
        true_std_given_macs         the same among networks of equal MACs
        explained_by_macs           {value, low, high}: fraction of the true variance
        spearman_between_seeds      {value, low, high}, mean over pairs of seeds
        kendall_between_seeds       Kendall's tau-b, mean over pairs of seeds
        spearman_with_macs          {value, low, high}, mean over seeds
    trainings_for_target: {reliability, n_seeds, cpu_seconds}
                                    cost of a trial with the target reliability; null if unreachable
    search: {n_trials, expected_gain: {value, low, high}, networks, n_seeds}
                                    expected gain of the best of n_trials networks of equal MACs over their
                                    mean, with one training each; networks and n_seeds: the best allocation
                                    of the same number of trainings
    verdict                         search, largest, unclear or noise
    verdict_text                    the verdict as text
"""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ...evaluate.statistics.rank_correlation import kendall, mean_over_seed_pairs
from ...evaluate.statistics.reliability import VarianceComponents
from ..analysis.seed_noise import REPORTED_N_SEEDS, TARGET_RELIABILITY, MetricReliability, SeedVarianceReport
from ..text.seed_noise import reliability_by_n_seeds, verdict_text


def report_dict(report: SeedVarianceReport, metadata: Mapping[str, str]) -> dict[str, Any]:
    """The content of `result.json`; see the schema at the top of this module.

    Args:
        metadata: space, limits, data and evaluator.
    """
    trainings_for_target, (networks, trainings) = (
        report.trainings_for_target,
        report.primary.best_allocation(report.n_trials),
    )
    document: dict[str, Any] = _plain(
        {
            **metadata,
            "networks": report.networks,
            "seeds": report.seeds,
            "n_trainings": report.trainings,
            "excluded": report.excluded,
            "failed": report.failed,
            "cpu_seconds": report.cpu_seconds,
            "primary": report.primary.name,
            "more_reliable": report.more_reliable,
            "metrics": {each.name: _quantity_dict(each) for each in report.metrics},
            "trainings_for_target": trainings_for_target
            and {
                "reliability": TARGET_RELIABILITY,
                "n_seeds": trainings_for_target,
                "cpu_seconds": trainings_for_target * report.cpu_seconds,
            },
            "search": {
                "n_trials": report.n_trials,
                "expected_gain": asdict(report.primary.expected_gain(report.n_trials)),
                "networks": networks,
                "n_seeds": trainings,
            },
            "verdict": report.verdict,
            "verdict_text": verdict_text(report),
        }
    )
    return document


def _quantity_dict(metric: MetricReliability) -> dict[str, Any]:
    def as_rows(part: VarianceComponents) -> list[dict[str, float]]:
        return [{"n_seeds": count, **asdict(each)} for count, each in reliability_by_n_seeds(part).items()]

    return {
        "reliability": as_rows(metric.variances_overall),
        "reliability_given_macs": as_rows(metric.variances_given_macs),
        "least_significant_difference": [
            {"n_seeds": each, "value": metric.least_significant_difference(each)} for each in REPORTED_N_SEEDS
        ],
        "seed_std": metric.std,
        "true_std": math.sqrt(metric.variances_overall.true_variance),
        "true_std_given_macs": math.sqrt(metric.variances_given_macs.true_variance),
        "explained_by_macs": asdict(metric.explained_by_macs),
        "spearman_between_seeds": asdict(metric.spearman_between_seeds),
        "kendall_between_seeds": mean_over_seed_pairs(metric.table, kendall),
        "spearman_with_macs": asdict(metric.spearman_with_macs),
    }


def _plain(value: Any) -> Any:
    """The same with None in place of NaN and infinity, which JSON lacks."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
