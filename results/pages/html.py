"""Self-contained HTML pages, rendered from the jinja2 templates in `templates/`.

A page is one file with its styles, its figures as JSON and plotly.js inside; its content security policy
forbids loading anything. The same values give the same bytes.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from ...evaluate import format_count, wilson_interval
from ...evaluate.statistics.estimate import Estimate
from ...search_space.printable import printable_lines
from ..text.formatting import accuracy_text, duration, listed, milliseconds, pluralize, ratio_text
from .drawing import KERNEL_COLORS

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
        duration=duration,
        figure_json=_figure_json,
        figure_delta=_figure_delta,
        grouped="{:,}".format,
        listed=listed,
        ms=milliseconds,
        percent=_percent,
        plural=pluralize,
        ratio=ratio_text,
        top1=_top1,
    )
    environment.globals["plotly_js"] = Markup(get_plotlyjs())
    environment.globals["kernel_colors"] = KERNEL_COLORS
    return environment


def _without_control_characters(value: object) -> object:
    return printable_lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _figure_json(figure: go.Figure) -> Markup:
    return _script_text(figure.to_json())


def _figure_delta(figure: go.Figure, base: go.Figure) -> Markup:
    """A figure of the same networks without the values that it shares with another one.

    Traces are matched by name; null stands for a value that the base alone has.
    """
    own, known = json.loads(figure.to_json()), json.loads(base.to_json())
    by_name = {trace["name"]: trace for trace in known["data"]}
    traces = [
        {"name": trace["name"], **_changed(trace, by_name.get(trace["name"], {}))} for trace in own["data"]
    ]
    return _script_text(json.dumps({"data": traces, "layout": _changed(own["layout"], known["layout"])}))


def _changed(values: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    absent = {key: None for key in base if key not in values}
    return {key: value for key, value in values.items() if base.get(key) != value} | absent


def _script_text(text: str) -> Markup:
    # "</script>" in a text would end the element.
    escaped = _CONTROL_ESCAPE.sub(r"\1\\\\\2", printable_lines(text))
    return Markup(escaped.replace("<", "\\u003c"))


def _percent(fraction: float, decimals: int = 1) -> str:
    return f"{100 * fraction:.{decimals}f}%"


def _top1(top1: float, images: int) -> str:
    """`87.0% (83.4 to 89.9)`, with the 95% interval for this number of images."""
    return accuracy_text(Estimate(top1, *wilson_interval(top1, images)))
