"""The terminal: foreign text, such as names of classes and folders, is printed without control characters."""

from typing import Any

import rich.console
import typer
from rich.text import Text

from ...search_space.printable import printable_lines


class Console(rich.console.Console):
    """A console that escapes the control characters of strings; its own styles stay."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable_lines(text), **options)


def echo(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a line, or lines."""
    typer.echo(printable_lines(str(text)), err=err, nl=nl)
