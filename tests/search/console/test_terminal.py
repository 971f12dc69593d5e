"""Names of classes, folders and commands on the terminal and the page."""

import io
import json
import re

import plotly.graph_objects as go
import pytest
from markupsafe import Markup

from bneck.results.pages.html import _figure_json, _without_control_characters
from bneck.search.console.tables import plain_table, print_lines, print_table
from bneck.search.console.terminal import Console, echo
from bneck.search_space import BneckError

EVIL = "cat\x1b]0;owned\x07\x1b[2J\u202egpj"
SHOWN = r"cat\x1b]0;owned\x07\x1b[2J\u202egpj"


def test_tables_and_lines_show_control_characters_as_escapes() -> None:
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    print_lines(console, EVIL)
    print_table(console, ("class", "n"), [(EVIL, "3")])
    table = plain_table("class")
    table.add_row(EVIL)
    console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.count(SHOWN) == 3
    assert not re.search("[\x07\u202e]|\x1b\\]", text)


def test_plain_lines_and_errors_do_too(capsys: pytest.CaptureFixture[str]) -> None:
    echo(f"a\n{EVIL}")
    assert capsys.readouterr().out == f"a\n{SHOWN}\n"
    assert str(BneckError(f"{EVIL}\nsecond line")) == rf"{SHOWN}\nsecond line"


def test_pages_and_their_figures_do_too() -> None:
    assert _without_control_characters(EVIL) == SHOWN
    assert _without_control_characters(Markup("<b>\n</b>")) == "<b>\n</b>"
    in_figure = SHOWN.replace(r"\x", r"\u00")
    figure = go.Figure(go.Bar(x=[EVIL, "a\nb", "c\\u001b"], y=[1, 2, 3]))
    text = str(_figure_json(figure))
    assert "\\u001b" not in text.replace("\\\\u001b", "")
    assert json.loads(text)["data"][0]["x"] == [in_figure, "a\nb", "c\\u001b"]
