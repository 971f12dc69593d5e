"""A comparison as rows for JSON and CSV, as a table and as sentences."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from ...evaluate import format_count
from ...evaluate.statistics.estimate import Estimate
from ...evaluate.training.trivial_accuracy import TrivialAccuracy, few_images_text
from ..analysis.comparison import Comparison, Result, Variant
from .formatting import (
    accuracy_text,
    duration,
    joined_names,
    milliseconds,
    percent_range,
    percentage_points,
    pluralize,
)

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = (
    "name",
    "key",
    "n_seeds",
    "test_top1",
    "test_top1_std",
    "test_top1_low",
    "test_top1_high",
    "ci95_source",
    "gap_to_best",
    "differs_from_best",
    "better_than_majority",
    "balanced_accuracy",
    "validation_top1",
    "test_loss",
    "macs",
    "params",
    "latency_ms",
    "latency_ratio",
    "latency_ratio_low",
    "latency_ratio_high",
    "latency_vs_first",
    "seconds",
)
_NOTHING = "–"
_MAX_LISTED = 4


def comparison_row(comparison: Comparison, variant: Variant) -> dict[str, Any]:
    """One variant as plain values: means over its seeds, accuracies as fractions, None if unknown.

    `latency_ratio` is relative to the reference, `latency_vs_first` to the first variant.
    """
    latency = variant.measured
    best = comparison.best
    no_order = len(comparison.variants) == 1 or not comparison.is_better_than_majority(best)
    values = (
        variant.name,
        variant.key,
        len(variant.results),
        variant.mean,
        variant.std,
        *variant.top1_ci95,
        variant.ci95_source,
        best.mean - variant.mean,
        None if variant is best or no_order else comparison.is_significant(best, variant),
        comparison.is_better_than_majority(variant),
        _mean(variant, "balanced_accuracy"),
        _mean(variant, "validation_top1"),
        _mean(variant, "loss"),
        variant.macs,
        variant.params,
        latency.latency_ms if latency else None,
        latency.ratio if latency else None,
        latency.ratio_low if latency else None,
        latency.ratio_high if latency else None,
        latency_vs_first(comparison, variant),
        _mean(variant, "seconds"),
    )
    return dict(zip(COLUMNS, values, strict=True))


def comparison_rows(comparison: Comparison) -> "DataFrame":
    """Data frame with one row per variant and the columns of `comparison_row`."""
    import pandas

    rows = [comparison_row(comparison, each) for each in comparison.variants]
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def to_csv(comparison: Comparison) -> str:
    """CSV of `comparison_rows`."""
    text: str = comparison_rows(comparison).to_csv(index=False, lineterminator="\n")
    return text


def results_csv(comparison: Comparison) -> str:
    """CSV with one row per training."""
    import pandas

    rows = [_training_row(result) for result in _results(comparison)]
    columns = [field.name for field in fields(Result) if field.name != "outcomes"]
    text: str = pandas.DataFrame(rows, columns=columns).to_csv(index=False, lineterminator="\n")
    return text


def comparison_dict(comparison: Comparison) -> dict[str, Any]:
    """The comparison as a JSON document."""
    return {
        "factor": comparison.factor,
        "data": comparison.data,
        "recipe": comparison.recipe,
        "reference": comparison.reference,
        "test_images": comparison.images,
        **(comparison.trivial.as_dict if comparison.trivial else {}),
        "seed_list": list(comparison.seeds),
        "verdict": comparison_text(comparison),
        "warnings": comparison_warnings(comparison),
        "variants": [comparison_row(comparison, each) for each in comparison.variants],
        "trainings": [_training_row(result) for result in _results(comparison)],
    }


def table_rows(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Headings and cells, one row per variant; columns without a value are omitted.

    A gap to the best in brackets is not statistically significant.
    """
    columns: dict[str, list[str]] = {
        comparison.factor[:-1]: [each.name for each in comparison.variants],
        "n_seeds": [str(len(each.results)) for each in comparison.variants],
    }
    rows = [comparison_row(comparison, each) for each in comparison.variants]
    columns["test %"] = [f"{100 * row['test_top1']:.1f}" for row in rows]
    columns["95% CI"] = [percent_range(row["test_top1_low"], row["test_top1_high"]) for row in rows]
    columns["gap"] = [_gap_to_best(row) for row in rows]
    columns["balanced %"] = [f"{100 * row['balanced_accuracy']:.1f}" for row in rows]
    columns["validation %"] = [f"{100 * row['validation_top1']:.1f}" for row in rows]
    columns["loss"] = [f"{row['test_loss']:.3f}" for row in rows]
    if comparison.factor == "networks":
        columns["latency"] = [_or_dash(row["latency_ms"], milliseconds) for row in rows]
        columns["vs first"] = [_or_dash(row["latency_vs_first"], "{:.2f}x".format) for row in rows]
        columns["MACs"] = [format_count(row["macs"]) for row in rows]
        columns["params"] = [format_count(row["params"]) for row in rows]
    columns["training"] = [duration(row["seconds"]) for row in rows]
    filled_columns = {name: cells for name, cells in columns.items() if set(cells) != {_NOTHING}}
    return list(filled_columns), [list(cells) for cells in zip(*filled_columns.values(), strict=True)]


def latency_vs_first(comparison: Comparison, variant: Variant) -> float | None:
    """Latency relative to the first variant; None if either was not measured."""
    first, own = comparison.variants[0].measured, variant.measured
    return own.ratio / first.ratio if first and own else None


def comparison_text(comparison: Comparison) -> str:
    """The best variant, the variants indistinguishable from it, and the least significant difference."""
    best, n_others = comparison.best, len(comparison.variants) - 1
    images = pluralize(comparison.images, "test image")
    if not comparison.is_better_than_majority(best):
        return _no_finding_text(comparison)
    if not n_others:
        return f"{best.name}: {variant_accuracy_text(best)} ({images})."
    names = [each.name for each in comparison.indistinguishable_from_best]
    if not names:
        rest = "the difference from every other variant is statistically significant (95%)"
    else:
        others = joined_names(names) if len(names) <= _MAX_LISTED else f"{len(names)} of {n_others} others"
        rest = f"statistically indistinguishable from it (95%): {others}"
    lead = f"Highest accuracy: {best.name}, {variant_accuracy_text(best)} ({images}); {rest}."
    return f"{lead} {_threshold_text(comparison)}"


def comparison_warnings(comparison: Comparison) -> list[str]:
    """Variants that are no better than a constant answer, and how coarse few test images are."""
    warnings = []
    trivial = comparison.trivial
    worse = [each.name for each in comparison.variants if not comparison.is_better_than_majority(each)]
    if trivial and 0 < len(worse) < len(comparison.variants):
        warnings.append(f"not better (95%) than {_constant_text(trivial)}: {joined_names(worse)}")
    if few := few_images_text(comparison.images, "test"):
        warnings.append(few)
    return warnings


def _no_finding_text(comparison: Comparison) -> str:
    """No variant is better than a constant answer, so that their order means nothing."""
    assert comparison.trivial
    subject = "None of them" if len(comparison.variants) > 1 else comparison.best.name
    verb = "is" if len(comparison.variants) > 1 else "is not"
    images = pluralize(comparison.images, "test image")
    return (
        f"{subject} {verb} better (95%) than {_constant_text(comparison.trivial)}; chance "
        f"{100 * comparison.trivial.chance:.1f}% ({images}): the order of accuracies means nothing. Train "
        "longer, or on more images."
    )


def _constant_text(trivial: TrivialAccuracy) -> str:
    return f"the constant answer '{trivial.majority_class}' ({100 * trivial.majority_share:.1f}%)"


def variant_accuracy_text(variant: Variant) -> str:
    """`93.1% (92.7 to 93.5)`."""
    return accuracy_text(Estimate(variant.mean, *variant.top1_ci95))


def _threshold_text(comparison: Comparison) -> str:
    best = comparison.best
    least = min(
        comparison.significance_threshold(best, each) for each in comparison.variants if each is not best
    )
    seeds = pluralize(len(comparison.seeds), "seed" if comparison.complete else "shared seed")
    text = f"Least significant difference (95%, {seeds}): {percentage_points(least)} pp"
    if comparison.least_significant_difference is None:
        return f"{text} from the test images alone; seed noise is not included."
    return f"{text}."


def _results(comparison: Comparison) -> Sequence[Result]:
    return [result for each in comparison.variants for result in each.results]


def _training_row(result: Result) -> dict[str, Any]:
    row = asdict(result)
    del row["outcomes"]
    return row


def _mean(variant: Variant, field: str) -> float:
    return statistics.fmean(getattr(result, field) for result in variant.results)


def _gap_to_best(row: dict[str, Any]) -> str:
    if row["differs_from_best"] is None:
        return _NOTHING
    gap = percentage_points(row["gap_to_best"])
    return gap if row["differs_from_best"] else f"({gap})"


def _or_dash(value: float | None, format_value: Callable[[float], str]) -> str:
    return _NOTHING if value is None else format_value(value)
