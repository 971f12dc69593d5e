"""The page of a comparison: verdict, table, figures, and how it was made."""

from collections.abc import Iterable

from ..analysis.comparison import Comparison, percentage_points
from ..plots.comparison import Curves, colour, figures, first_epoch
from ..text.comparison import table_rows
from ..text.formatting import milliseconds, pluralize
from .html import Html, joined, markup, page, plot, tag
from .html import facts as facts_table

__all__ = ["comparison_html", "figures"]


def comparison_html(comparison: Comparison, curves: Curves, facts: Iterable[tuple[str, object]]) -> str:
    """The page, with nothing outside it; the same values give the same bytes.

    Args:
        curves: the epochs of each training; without validation each epoch they are left out.
        facts: names and values for the table of how it was made, besides data, recipe and statistics.
    """
    title = f"{pluralize(len(comparison.variants), comparison.factor[:-1])} compared on {comparison.data}"
    drawn = figures(comparison, curves)
    parts: list[Html] = [
        tag("h1", title),
        tag("p", comparison.verdict(), class_="lead"),
        tag("p", _intervals(comparison)),
        _table(comparison),
        tag("p", _table_note(comparison), class_="note"),
    ]
    for name, (heading, note) in _sections(comparison, curves).items():
        if name in drawn:
            figure = drawn[name]
            parts += [
                tag("h2", heading),
                tag("p", note, class_="note"),
                plot(figure, name, figure.layout.height),
            ]
    parts += [tag("h2", "Provenance"), facts_table([*_facts(comparison), *facts])]
    return page(title, joined(parts))


def _intervals(comparison: Comparison) -> str:
    """What the ± stands for and what it leaves out."""
    sources = {each.ci95_source for each in comparison.variants}
    sentences = []
    if "seeds" in sources:
        sentences.append("± is half the 95% interval of the mean over the seeds, for these test images.")
    if "images" in sources:
        sentences.append(
            f"{'Where there is one seed, ±' if len(sources) > 1 else '±'} is half the 95% interval that "
            "so many test images leave one training; another seed moves the accuracy too."
        )
    if comparison.least_significant_difference is not None:
        sentences.append(
            "Differences are taken within seeds, so intervals may overlap and the means be told apart "
            "all the same."
        )
    return " ".join(sentences)


def _table(comparison: Comparison) -> Html:
    columns, rows = table_rows(comparison)
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in columns)))
    body = []
    for number, (each, cells) in enumerate(zip(comparison.variants, rows, strict=True)):
        swatch = tag("span", class_="swatch", style=f"background: {colour(number)}; margin-left: 0")
        start, *parts = each.name.split("+")
        name = tag("span", swatch, start, style="white-space: nowrap")  # no line break after the swatch
        name = Html("+<wbr>".join([name, *map(markup, parts)]))
        key = tag("small", tag("code", each.key)) if comparison.factor == "networks" else ""
        name = tag("strong", name) if each is comparison.best else name
        first = tag("td", tag("div", name, key, class_="list"))
        body.append(tag("tr", first, *(tag("td", cell) for cell in cells[1:])))
    table = tag("table", head, tag("tbody", *body), class_="wide")
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=comparison.factor)


def _table_note(comparison: Comparison) -> str:
    notes = ["Values are means over the seeds; loss is the cross-entropy on the test images."]
    if len(comparison.variants) > 1:
        notes.append(
            "Behind: points of test accuracy behind the best, in brackets where not told apart from it."
        )
    first = comparison.variants[0]
    if comparison.factor == "networks" and first.measured:
        notes.append(f"Of first: latency as a multiple of {first.name}'s.")
    noisy = [each.name for each in comparison.variants if each.measured and each.measured.status == "noisy"]
    if noisy:
        notes.append(f"The latency's interval stayed wide for {', '.join(noisy)}.")
    return " ".join(notes)


def _sections(comparison: Comparison, curves: Curves) -> dict[str, tuple[str, str]]:
    """Heading and note of each figure."""
    several = any(len(each.results) > 1 for each in comparison.variants)
    dots = "Bars are 95% intervals, circles the seeds." if several else "Bars are 95% intervals."
    if comparison.least_significant_difference is not None and comparison.complete:
        dots += " What lies in the grey band is not told apart from the best."
    missing = [each.name for each in comparison.variants if not each.measured]
    not_measured = f" Not measured: {', '.join(missing)}." if missing else ""
    lines = "Accuracy on the validation images after each epoch."
    if several:
        lines += " Thin lines are single trainings, thick ones their means."
    if curves and first_epoch(curves) > 1:
        lines += " The steep beginning is out of view; double-click to see it."
    return {
        "accuracy": ("Test accuracy", dots),
        "accuracy-latency": ("Accuracy and latency", f"{dots}{not_measured}"),
        "accuracy-macs": ("Accuracy and MACs", dots),
        "curves": ("The trainings", lines),
    }


def _facts(comparison: Comparison) -> list[tuple[str, object]]:
    seeds = sorted({seed for each in comparison.variants for seed in each.seeds})
    rows: list[tuple[str, object]] = [
        ("data", f"{comparison.data}, {comparison.images:,} test images"),
        ("recipe", comparison.recipe),
        ("seeds", ", ".join(map(str, seeds))),
        ("significance test", _method(comparison)),
    ]
    measured = [each.measured for each in comparison.variants if each.measured]
    if measured and comparison.reference:
        unit = milliseconds(measured[0].latency_ms / measured[0].ratio)
        rows.append(("latency", f"measured against {comparison.reference}, which takes {unit}"))
    return rows


def _method(comparison: Comparison) -> str:
    if comparison.least_significant_difference is None:
        return (
            "where the difference exceeds the 95% interval that the test images leave it, as if each "
            "training had images of its own; nothing is known of other seeds"
        )
    threshold = percentage_points(comparison.least_significant_difference)
    return (
        f"where the difference exceeds {threshold} points, Tukey's honestly significant difference with "
        "the seeds as blocks: 95% for all pairs together, for these test images, the deviation "
        "over the seeds taken for equal among all"
    )
