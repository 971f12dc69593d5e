"""The page of a comparison: verdict, table, figures and provenance."""

from collections.abc import Iterable

from ..analysis.comparison import Comparison
from ..plots.comparison import Curves, color, figures, first_epoch
from ..text.comparison import comparison_text, comparison_warnings, table_rows
from ..text.formatting import pluralize
from .html import render


def comparison_html(comparison: Comparison, curves: Curves, provenance: Iterable[tuple[str, object]]) -> str:
    """The page as one self-contained HTML file.

    Args:
        curves: epochs of each training run; without validation accuracies the figure is left out.
        provenance: further names and values, besides data, recipe and significance test.
    """
    variants = comparison.variants
    columns, rows = table_rows(comparison)
    measured = [each.measured for each in variants if each.measured]
    unit_ms = measured[0].latency_ms / measured[0].ratio if measured and comparison.reference else None
    return render(
        "comparison",
        title=f"{pluralize(len(variants), comparison.factor[:-1])} compared on {comparison.data}",
        provenance=provenance,
        comparison=comparison,
        lead=" ".join([comparison_text(comparison), *map(_sentence, comparison_warnings(comparison))]),
        ci95_sources={each.ci95_source for each in variants},
        columns=columns,
        rows=[
            {"variant": each, "cells": cells[1:], "color": color(number)}
            for number, (each, cells) in enumerate(zip(variants, rows, strict=True))
        ],
        figures=figures(comparison, curves),
        replicated=any(len(each.results) > 1 for each in variants),
        banded=comparison.least_significant_difference is not None and comparison.complete,
        zoomed=bool(curves) and first_epoch(curves) > 1,
        not_measured=[each.name for each in variants if not each.measured],
        noisy=[each.name for each in variants if each.measured and each.measured.status == "noisy"],
        seeds=sorted({seed for each in variants for seed in each.seeds}),
        unit_ms=unit_ms,
    )


def _sentence(warning: str) -> str:
    return f"{warning[0].upper()}{warning[1:]}."
