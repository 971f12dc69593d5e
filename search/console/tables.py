"""Tables for the terminal."""

from rich.console import Console
from rich.table import Table


def wide_console() -> Console:
    """The terminal, but 130 columns at least: no number of a table is cut, and narrow ones wrap lines."""
    return Console(width=max(Console().width, 130))


def plain_table(*columns: str, left: tuple[str, ...] = ()) -> Table:
    """A table without lines; numbers to the right, the columns named in `left` to the left."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right", no_wrap=True)
    return table
