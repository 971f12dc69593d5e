"""A comparison as rows: for programs (JSON, CSV), and as words in columns for people."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from ...evaluate import short_count
from ..analysis.comparison import Comparison, Contestant, Result, points
from .formatting import duration, milliseconds

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = (
    "name",
    "key",
    "seeds",
    "test_top1",
    "test_top1_deviation",
    "test_top1_margin",
    "margin_of",
    "behind_best",
    "told_apart_from_best",
    "validation_top1",
    "test_loss",
    "macs",
    "params",
    "latency_ms",
    "latency_ratio",
    "latency_ratio_low",
    "latency_ratio_high",
    "latency_over_first",
    "seconds",
)
_NOTHING = "–"


def comparison_row(comparison: Comparison, contestant: Contestant) -> dict[str, Any]:
    """One contestant as plain values: means over its seeds, accuracies as shares, None for unknown.

    `latency_ratio` is over the reference as measured, `latency_over_first` over the first contestant.
    """
    latency = contestant.measured
    best, alone = comparison.best, len(comparison.contestants) == 1
    values = (
        contestant.name,
        contestant.key,
        len(contestant.results),
        contestant.mean,
        contestant.deviation,
        contestant.margin,
        contestant.margin_of,
        best.mean - contestant.mean,
        None if contestant is best or alone else comparison.told_apart(best, contestant),
        _mean(contestant, "validation_top1"),
        _mean(contestant, "loss"),
        contestant.macs,
        contestant.params,
        latency.latency_ms if latency else None,
        latency.ratio if latency else None,
        latency.ratio_low if latency else None,
        latency.ratio_high if latency else None,
        latency_over_first(comparison, contestant),
        _mean(contestant, "seconds"),
    )
    return dict(zip(COLUMNS, values, strict=True))


def comparison_rows(comparison: Comparison) -> "DataFrame":
    """A table for pandas: one row a contestant, columns as in `comparison_row`."""
    import pandas

    rows = [comparison_row(comparison, each) for each in comparison.contestants]
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def to_csv(comparison: Comparison) -> str:
    """The same as comma-separated values, with a heading."""
    text: str = comparison_rows(comparison).to_csv(index=False, lineterminator="\n")
    return text


def results_csv(comparison: Comparison) -> str:
    """One row a training, with a heading."""
    import pandas

    rows = [asdict(result) for result in _results(comparison)]
    columns = [field.name for field in fields(Result)]
    text: str = pandas.DataFrame(rows, columns=columns).to_csv(index=False, lineterminator="\n")
    return text


def comparison_dict(comparison: Comparison) -> dict[str, Any]:
    """All of it for JSON."""
    return {
        "what": comparison.what,
        "data": comparison.data,
        "recipe": comparison.recipe,
        "reference": comparison.reference,
        "test_images": comparison.images,
        "seeds": list(comparison.seeds),
        "verdict": comparison.verdict(),
        "contestants": [comparison_row(comparison, each) for each in comparison.contestants],
        "trainings": [asdict(result) for result in _results(comparison)],
    }


def table_rows(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Headings and cells in words, one row a contestant; columns without a value are left out.

    A distance to the best in brackets is one that may be an accident.
    """
    columns: dict[str, list[str]] = {
        comparison.what[:-1]: [each.name for each in comparison.contestants],
        "seeds": [str(len(each.results)) for each in comparison.contestants],
    }
    rows = [comparison_row(comparison, each) for each in comparison.contestants]
    columns["test %"] = [f"{100 * row['test_top1']:.1f} ±{points(row['test_top1_margin'])}" for row in rows]
    columns["behind"] = [_behind(row) for row in rows]
    columns["validation %"] = [f"{100 * row['validation_top1']:.1f}" for row in rows]
    columns["loss"] = [f"{row['test_loss']:.3f}" for row in rows]
    if comparison.what == "networks":
        columns["latency"] = [_or_nothing(row["latency_ms"], milliseconds) for row in rows]
        columns["of first"] = [_or_nothing(row["latency_over_first"], "{:.2f}x".format) for row in rows]
        columns["MACs"] = [short_count(row["macs"]) for row in rows]
        columns["params"] = [short_count(row["params"]) for row in rows]
    columns["training"] = [duration(row["seconds"]) for row in rows]
    told = {name: cells for name, cells in columns.items() if set(cells) != {_NOTHING}}
    return list(told), [list(cells) for cells in zip(*told.values(), strict=True)]


def latency_over_first(comparison: Comparison, contestant: Contestant) -> float | None:
    """How many times the first contestant's latency; None where one of them was not measured."""
    first, own = comparison.contestants[0].measured, contestant.measured
    return own.ratio / first.ratio if first and own else None


def _results(comparison: Comparison) -> Sequence[Result]:
    return [result for each in comparison.contestants for result in each.results]


def _mean(contestant: Contestant, field: str) -> float:
    return statistics.fmean(getattr(result, field) for result in contestant.results)


def _behind(row: dict[str, Any]) -> str:
    if row["told_apart_from_best"] is None:
        return _NOTHING
    behind = points(row["behind_best"])
    return behind if row["told_apart_from_best"] else f"({behind})"


def _or_nothing(value: float | None, words: Callable[[float], str]) -> str:
    return _NOTHING if value is None else words(value)
