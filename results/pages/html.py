"""A page that stands alone: one HTML file with its styles, its figures and plotly.js inside."""

from collections.abc import Iterable, Sequence
from html import escape

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

# The policy forbids the page to load anything, so that it shows the same offline and tells nobody.
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 0 auto; padding: 1rem;
       max-width: 75rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .25rem; }
p { max-width: 48rem; margin: .4rem 0; }
.lead { font-size: 1.1rem; }
.note, small { color: #555; font-size: .85rem; }
.plot { width: 100%; }
.scroll { overflow-x: auto; container-type: inline-size; margin: .75rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; text-align: left; vertical-align: top; }
.wide { font-size: .875rem; }
.list { white-space: normal; min-width: 6rem; }
.wide th, .wide td { padding: .35rem .5rem; }
.wide td { white-space: nowrap; overflow-wrap: normal; }
.wide th { overflow-wrap: normal; }
th { font-weight: 600; }
thead th { vertical-align: bottom; border-bottom: 2px solid #999; }
tbody tr { border-top: 1px solid #ddd; }
tbody tr.more { border-top: 0; }
.more td { padding-top: 0; }
.more details { position: sticky; left: .6rem; width: calc(100cqw - 1.2rem); white-space: normal; }
.group { background: #f2f2f2; }
td small { display: block; }
summary { cursor: pointer; color: #555; font-size: .85rem; }
.facts th { width: 9rem; font-weight: 400; color: #555; }
pre, code { font: .85rem/1.5 ui-monospace, monospace; }
pre { background: #f2f2f2; padding: .5rem .75rem; margin: .4rem 0; overflow-x: auto; }
.warn { color: #A33B00; font-weight: 600; }
.swatch { display: inline-block; width: .8em; height: .8em; border: 1px solid #333; margin: 0 .25em 0 .5em; }
@media (max-width: 40rem) { .facts th { width: 6rem; } body { padding: .75rem; } }
"""

# A figure in closed details has no width to be drawn at, so it waits until they are opened.
_SCRIPT = """
const config = {displaylogo: false, responsive: true, showSendToCloud: false,
  modeBarButtonsToRemove: ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"]};
function draw(plot) {
  const figure = JSON.parse(document.getElementById(plot.id + "-figure").textContent);
  const displayModeBar = plot.closest("details") ? false : "hover";
  return Plotly.newPlot(plot, figure.data, figure.layout, {...config, displayModeBar});
}
for (const plot of document.querySelectorAll(".plot")) {
  const details = plot.closest("details");
  if (details) details.addEventListener("toggle", () => draw(plot), {once: true});
  else draw(plot).then(() => plot.on("plotly_click", event => {
    const row = document.getElementById("trial-" + event.points[0].id);
    if (row) { row.open = true; row.scrollIntoView({block: "center"}); }
  }));
}
"""


class Html(str):
    """Text that is markup already; other text is escaped where it enters the page."""

    __slots__ = ()


def markup(value: object) -> Html:
    """The value as markup: itself if it is, its text escaped otherwise."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def tag(name: str, *content: object, **attributes: str) -> Html:
    """An element; `class_` names its class."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items()
    )
    return Html(f"<{name}{given}>{''.join(map(markup, content))}</{name}>")


def joined(parts: Iterable[object]) -> Html:
    return Html("\n".join(map(markup, parts)))


def plot(figure: go.Figure, name: str, height_px: int) -> Html:
    """Where a figure is drawn, and the figure.

    Args:
        name: the element's id; fixed ids make the page the same byte by byte each time.
    """
    # "</script>" in a text would end the element.
    data = figure.to_json().replace("<", "\\u003c")
    place = tag("div", id=name, class_="plot", style=f"height: {height_px}px")
    return Html(f'{place}<script type="application/json" id="{escape(name)}-figure">{data}</script>')


def table_row(cells: Sequence[object], cell: str = "td") -> Html:
    return tag("tr", *(tag(cell, content) for content in cells))


def facts(rows: Iterable[tuple[str, object]]) -> Html:
    """A table of names and what they stand for."""
    lines = (tag("tr", tag("th", name, scope="row"), tag("td", value)) for name, value in rows)
    return tag("table", tag("tbody", *lines), class_="facts")


def page(title: str, body: Html) -> str:
    """The whole file."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
<script>{get_plotlyjs()}</script>
</head>
<body>
{body}
<script>{_SCRIPT}</script>
</body>
</html>
"""
