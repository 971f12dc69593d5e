"""What the command line prints of a run."""

from rich.console import Console
from rich.table import Table

from ..evaluate import short_count
from ..results import Run
from ..results.describe import told_apart
from ..results.latency_text import dropped_text, sources_text, times_text


def wide_console() -> Console:
    """The terminal, but 120 columns at least: no number of a table is cut, and narrow ones wrap lines."""
    return Console(width=max(Console().width, 120))


def plain_table(*columns: str, left: tuple[str, ...] = ()) -> Table:
    """A table without lines; numbers to the right, the columns named in `left` to the left."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right", no_wrap=True)
    return table


def opening(run: Run) -> str:
    """What a search is about to do, in a line."""
    settings = run.settings
    limits = ", ".join(str(constraint) for constraint in settings.goals.constraints) or "no limits"
    return (
        f"{run.folder}: {settings.trials} networks of space {settings.space.name} on {settings.data.name}; "
        f"{limits}; {settings.latency.reference} takes {settings.latency.reference_ms:.3g} ms here "
        f"({settings.latency.backend})"
    )


def proposed_first(run: Run) -> str:
    """The published networks that a warm start has put before the sampler's."""
    names = [record.source for record in run.records() if record.state == "waiting"]
    if names:
        return f"proposed first: {', '.join(names)}"
    return f"--warm-start: no published network lies in space {run.settings.space.name} and keeps the limits"


def print_front(run: Run) -> None:
    """The front as a table, and which of its accuracies are not told apart."""
    records, checks, dropped = run.front(), run.checks(), len(run.dropped())
    console = wide_console()
    if not records:
        why = f"all of the front may break the limit on latency ({dropped} dropped)" if dropped else ""
        words = why or "no network has been judged yet"
        console.print(f"{run.folder}: {words}", highlight=False, markup=False)
        return
    columns = ("trial", "key", "accuracy %", "test %", "latency ms", "ratio", "MACs", "params", "blocks")
    table = plain_table(*columns, left=("key",))
    for record in records:
        check, accuracy, latency = checks.get(record.key), record.accuracy, record.latency
        table.add_row(
            str(record.trial),
            record.key,
            f"{100 * accuracy.top1:.1f} ±{100 * accuracy.margin:.1f}" if accuracy else "",
            f"{100 * check.test_top1:.1f}" if check else "",
            f"{latency.latency_ms:.4f}" if latency else "",
            f"{latency.ratio:.3f}" if latency else "",
            short_count(record.cost.macs),
            short_count(record.cost.params),
            str(len(record.architecture.blocks)),
        )
    console.print(table)
    if len(records) > 1:
        console.print(told_apart(records), highlight=False, markup=False, soft_wrap=True)
    for line in (dropped_text(run), time_line(run)):
        if line:
            console.print(line, highlight=False, markup=False, soft_wrap=True)


def time_line(run: Run) -> str:
    """Where the time went."""
    records = run.records()
    return f"Latencies: {sources_text(records)}. Time of all workers: {times_text(run, records)}."
