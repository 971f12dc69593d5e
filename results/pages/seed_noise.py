"""The page of a seed study: verdict, table, figures and provenance."""

from collections.abc import Iterable

from ..analysis.seed_noise import TARGET_RELIABILITY, SeedVarianceReport
from ..plots.seed_noise import figures
from ..text.seed_noise import counts_text, summary_lines, table_rows, verdict_text
from .html import render


def seed_variance_html(
    report: SeedVarianceReport, title: str, provenance: Iterable[tuple[str, object]]
) -> str:
    """The page as one self-contained HTML file.

    Args:
        provenance: names and values besides the number of training runs.
    """
    columns, rows = table_rows(report)
    verdict = verdict_text(report)
    return render(
        "seed_noise",
        title=title,
        provenance=[("training runs", counts_text(report)), *provenance],
        verdict=verdict,
        columns=columns,
        rows=rows,
        paragraphs=[line for line in summary_lines(report) if line != verdict],
        metrics=[metric.name for metric in report.metrics],
        figures=figures(report),
        target=TARGET_RELIABILITY,
    )
