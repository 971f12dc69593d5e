"""Tables and lines for the terminal."""

from collections.abc import Iterable, Sequence

from rich.markup import escape
from rich.table import Table

from .terminal import Console


def wide_console() -> Console:
    """The terminal with at least 150 columns, so that no table cell is cut off."""
    return Console(width=max(Console().width, 150))


def plain_table(*columns: str, left: tuple[str, ...] = ()) -> Table:
    """A table without borders; columns are right-aligned except those named in `left`."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right", no_wrap=True)
    return table


def print_lines(console: Console, *lines: str) -> None:
    """Print lines literally: no markup, no highlighting, no wrapping."""
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def print_table(
    console: Console,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    left: tuple[str, ...] | None = None,
) -> None:
    """Print a table of literal text.

    Args:
        left: names of the left-aligned columns; by default the first.
    """
    table = plain_table(*columns, left=(columns[0],) if left is None else left)
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)
