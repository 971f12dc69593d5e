"""A study of noise for programs: what `noise.json` holds and `bneck noise --json` prints.

In shares of 1 where accuracies are meant; all intervals are of 95%:

    space, limits, data, scorer     what was asked for
    networks, seeds                 that the statistics are of (the largest table without gaps)
    trainings, left_out, failed     how many ended; of these are in no table; came to no number
    cpu_seconds                     of one training, on the mean
    main                            the quantity that the verdict is of: accuracy, or score
    more_reliable                   accuracy or loss; null where that cannot be told
    quantities: {accuracy, loss}    or {score} for a scorer that tells no accuracy; of each:
        reliability                 [{trainings, value, low, high}] of the mean of 1, 2, 4 trainings
        reliability_beyond_macs     the same for what MACs do not explain
        tellable_difference         [{trainings, value}] of two networks with so many trainings each, at 95%
        seed_deviation              of one training, what a seed does to all networks taken out
        true_deviation              of the networks, noise taken out
        true_deviation_beyond_macs  of the networks of one size, noise taken out
        explained_by_macs           {value, low, high}: share of the true variance
        spearman_of_seeds           {value, low, high}, on the mean over pairs of seeds
        kendall_of_seeds            the same by Kendall's tau-b, without an interval
        spearman_with_macs          {value, low, high} of the mean over the seeds
    enough: {reliability, trainings, cpu_seconds}   what a trial should cost; null where nothing is enough
    search: {trials, gain: {value, low, high}, networks, trainings}
                                    gain of the best of so many networks of one size over their mean, with one
                                    training each; networks and trainings of each are the better use of the
                                    same computing
    verdict                         search, largest, unclear or noise
    sentence                        the verdict for people
"""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ...evaluate.statistics.rank_correlation import kendall, over_seeds
from ...evaluate.statistics.reliability import Variances
from ..analysis.seed_noise import ENOUGH, TOLD, NoiseReport, Quantity
from ..text.seed_noise import reliabilities, sentence


def report_dict(report: NoiseReport, about: Mapping[str, str]) -> dict[str, Any]:
    """What `noise.json` holds; the schema stands at the head of this module.

    Args:
        about: space, limits, data and scorer.
    """
    enough, (networks, trainings) = report.enough, report.main.better_use(report.trials)
    found: dict[str, Any] = _plain(
        {
            **about,
            "networks": report.networks,
            "seeds": report.seeds,
            "trainings": report.trainings,
            "left_out": report.left_out,
            "failed": report.failed,
            "cpu_seconds": report.cpu_seconds,
            "main": report.main.name,
            "more_reliable": report.more_reliable,
            "quantities": {each.name: _quantity_dict(each) for each in report.quantities},
            "enough": enough
            and {
                "reliability": ENOUGH,
                "trainings": enough,
                "cpu_seconds": enough * report.cpu_seconds,
            },
            "search": {
                "trials": report.trials,
                "gain": asdict(report.main.gain(report.trials)),
                "networks": networks,
                "trainings": trainings,
            },
            "verdict": report.verdict,
            "sentence": sentence(report),
        }
    )
    return found


def _quantity_dict(quantity: Quantity) -> dict[str, Any]:
    def told(part: Variances) -> list[dict[str, float]]:
        return [{"trainings": count, **asdict(each)} for count, each in reliabilities(part).items()]

    return {
        "reliability": told(quantity.overall),
        "reliability_beyond_macs": told(quantity.beyond),
        "tellable_difference": [{"trainings": each, "value": quantity.tellable(each)} for each in TOLD],
        "seed_deviation": quantity.deviation,
        "true_deviation": math.sqrt(quantity.overall.true),
        "true_deviation_beyond_macs": math.sqrt(quantity.beyond.true),
        "explained_by_macs": asdict(quantity.explained),
        "spearman_of_seeds": asdict(quantity.seeds_agree),
        "kendall_of_seeds": over_seeds(quantity.table, kendall),
        "spearman_with_macs": asdict(quantity.macs_agree),
    }


def _plain(value: Any) -> Any:
    """With None for what is no number, which JSON does not know."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
