"""A study of noise for programs: `seed-variance.json`, which `bneck seed-variance --json` prints too.

In shares of 1 where accuracies are meant; all intervals are of 95%:

    space, limits, data, evaluator  what was asked for
    networks, seeds                 that the statistics are of (the largest table without gaps)
    n_trainings, excluded, failed   how many ended; of these are in no table; came to no number
    cpu_seconds                     of one training, on the mean
    primary                         the metric that the verdict is of: accuracy, or score
    more_reliable                   accuracy or loss; null where that cannot be told
    metrics: {accuracy, loss}       or {score} for a scorer that tells no accuracy; of each:
        reliability                 [{n_seeds, value, low, high}] of the mean of 1, 2, 4 trainings
        reliability_given_macs      the same for what MACs do not explain
        least_significant_difference
                                    [{n_seeds, value}] of two networks with so many trainings each, at 95%
        seed_std                    of one training, what a seed does to all networks taken out
        true_std                    of the networks, noise taken out
        true_std_given_macs         of the networks of one size, noise taken out
        explained_by_macs           {value, low, high}: share of the true variance
        spearman_between_seeds      {value, low, high}, on the mean over pairs of seeds
        kendall_between_seeds       the same by Kendall's tau-b, without an interval
        spearman_with_macs          {value, low, high} of the mean over the seeds
    trainings_for_target: {reliability, n_seeds, cpu_seconds}
                                    what a trial should cost; null where nothing is enough
    search: {n_trials, expected_gain: {value, low, high}, networks, n_seeds}
                                    gain of the best of so many networks of one size over their mean, with one
                                    training each; networks and n_seeds, trainings of each, are the better use
                                    of the same computing
    verdict                         search, largest, unclear or noise
    verdict_text                    the verdict for people
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
    """What `seed-variance.json` holds; the schema stands at the head of this module.

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
    """With None for what is no number, which JSON does not know."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
