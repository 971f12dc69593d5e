"""Self-contained HTML pages, rendered from the jinja2 templates in `templates/`.

A page is one file with its styles, its figures as JSON and plotly.js inside; its content security policy
forbids loading anything. The same values give the same bytes.
"""

import re
from functools import cache

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from ...evaluate import format_count, wilson_interval
from ...evaluate.statistics.estimate import Estimate
from ...search_space.printable import printable_lines
from ..text.formatting import accuracy_text, listed, milliseconds, pluralize, ratio_text

# control characters as JSON writes them, without line breaks and tabs: C0, C1 and bidirectional overrides
_CONTROL_ESCAPE = re.compile(
    r"(?<!\\)((?:\\\\)*)\\(u00[0189][0-9a-f]|u007f|u061c|u200[ef]|u202[89a-e]|u206[6-9])", re.IGNORECASE
)


def render(page: str, /, **values: object) -> str:
    """Render `templates/PAGE.html.j2`; every value that is not markup is escaped."""
    return _environment().get_template(f"{page}.html.j2").render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_without_control_characters,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=format_count,
        figure_json=_figure_json,
        grouped="{:,}".format,
        listed=listed,
        ms=milliseconds,
        percent=_percent,
        plural=pluralize,
        ratio=ratio_text,
        top1=_top1,
    )
    environment.globals["plotly_js"] = Markup(get_plotlyjs())
    return environment


def _without_control_characters(value: object) -> object:
    return printable_lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _figure_json(figure: go.Figure) -> Markup:
    # "</script>" in a text would end the element.
    text = _CONTROL_ESCAPE.sub(r"\1\\\\\2", printable_lines(figure.to_json()))
    return Markup(text.replace("<", "\\u003c"))


def _percent(fraction: float, decimals: int = 1) -> str:
    return f"{100 * fraction:.{decimals}f}%"


def _top1(top1: float, images: int) -> str:
    """`87.0% (83.4 to 89.9)`, with the 95% interval for this number of images."""
    return accuracy_text(Estimate(top1, *wilson_interval(top1, images)))
