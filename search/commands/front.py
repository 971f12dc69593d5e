"""What the command line prints of a run."""

from rich.console import Console
from rich.table import Table

from ...evaluate import short_count
from ...results import Record, Run
from ...results.analysis.front_posterior import Certainty, certainty_of
from ...results.analysis.macs_baseline import MacsRule, macs_rule
from ...results.store.fidelities import rungs_text
from ...results.text.formatting import count_of, noise_margin
from ...results.text.front_posterior import certainty_lines, percent
from ...results.text.latency import dropped_text, sources_text, times_text


def wide_console() -> Console:
    """The terminal, but 130 columns at least: no number of a table is cut, and narrow ones wrap lines."""
    return Console(width=max(Console().width, 130))


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
        f"{run.folder}: {settings.trials} networks of space {settings.space.name} on {settings.data.name}"
        + (f" for the best {settings.goals.reward}" if settings.goals.reward else "")
        + f"; {limits}; {settings.latency.reference} takes {settings.latency.reference_ms:.3g} ms here "
        f"({settings.latency.backend})"
        + (f"; {count_of(settings.repeats, 'repeat')} where the front is unsure" if settings.repeats else "")
        + (f"; judged by {settings.scorer}" if settings.scorer != "train" else "")
        + (f"; {rungs_text(settings.rungs)}" if settings.rungs else "")
    )


def proposed_first(run: Run) -> str:
    """The published networks that a warm start has put before the sampler's."""
    names = [record.source for record in run.records() if record.state == "waiting"]
    if names:
        return f"proposed first: {', '.join(names)}"
    return f"--warm-start: no published network lies in space {run.settings.space.name} and keeps the limits"


def print_front(run: Run) -> None:
    """The front as a table, how sure it is, and what the rule of MACs would have given."""
    records, checks, dropped = run.front(), run.checks(), len(run.dropped())
    console = wide_console()
    if not records:
        why = f"all of the front may break the limit on latency ({dropped} dropped)" if dropped else ""
        words = why or "no network has been judged yet"
        told = "; ".join([words, *filter(None, [spent_line(run)])])
        console.print(f"{run.folder}: {told}", highlight=False, markup=False)
        return
    certainty, rule = front_certainty(run)
    sure = ("trainings", "likely %", "on front") if certainty else ()
    costs = ("latency ms", "ratio", "MACs", "params", "blocks")
    goals = run.settings.goals
    reward = ("reward",) if goals.reward else ()
    table = plain_table("trial", "key", *reward, "accuracy %", *sure, "test %", *costs, left=("key",))
    for record in records:
        check, latency = checks.get(record.key), record.latency
        table.add_row(
            str(record.trial),
            record.key,
            *([f"{record.value(goals.reward):.4f}"] if goals.reward else []),
            *_accuracy_cells(record, certainty),
            f"{100 * check.test_top1:.1f}" if check and check.test_top1 is not None else "",
            f"{latency.latency_ms:.4f}" if latency else "",
            f"{latency.ratio:.3f}" if latency else "",
            short_count(record.cost.macs),
            short_count(record.cost.params),
            str(len(record.architecture.blocks)),
        )
    console.print(table)
    several = len(run.settings.goals.objectives) > 1
    rivals = records if several else run.kept()
    lines = certainty_lines(rivals, run.settings.goals, certainty)
    rule_line = rule.sentences if rule else ""
    for line in (*lines, rule_line, dropped_text(run), spent_line(run), time_line(run)):
        if line:
            console.print(line, highlight=False, markup=False, soft_wrap=True)


def front_certainty(run: Run) -> tuple[Certainty | None, MacsRule | None]:
    """How sure the front of a run is, and the baseline that it must beat."""
    kept, goals = run.kept(), run.settings.goals
    certainty = certainty_of(kept, goals)
    return certainty, macs_rule(kept, run.front(), certainty, goals)


def time_is_up_line(run: Run, minutes: float) -> str:
    """What was left undone when the minutes were gone, and the command that goes on."""
    settings = run.settings
    judged = sum(record.counts for record in run.records())
    again = sum(map(len, run.repeats().values()))
    told = f"{judged} of {count_of(settings.trials, 'network')} judged"
    if settings.repeats:
        told += f", {again} of {count_of(settings.repeats, 'repeat')} trained"
    return f"the {minutes:g} minutes are gone: {told}; go on with: bneck search {run.folder} --resume"


def _accuracy_cells(record: Record, certainty: Certainty | None) -> list[str]:
    if not record.trainings:
        return [""] * (4 if certainty else 1)
    noise = certainty.noise if certainty else None
    told = f"{100 * record.top1:.1f} ±{100 * noise_margin(record, noise):.1f}"
    if certainty is None:
        return [told]
    low, high = certainty.interval(record)
    chance = percent(certainty.on_front_probability(record))
    return [told, str(len(record.trainings)), f"{100 * low:.1f} to {100 * high:.1f}", chance]


def spent_line(run: Run) -> str:
    """How many trainings stopped where, if any stop early, and what waits to be trained on."""
    spent = run.spent()
    if spent is None or not spent.begun:
        return ""
    size = sum(path.stat().st_size for path in run.paused_files())
    waiting = (
        f" Those that were stopped wait in {run.folder / 'checkpoints'} ({short_count(size)}B) for --resume "
        "--trials; their .paused files may be deleted."
    )
    return f"{spent}.{waiting if size else ''}"


def time_line(run: Run) -> str:
    """Where the time went."""
    records = run.records()
    return f"Latencies: {sources_text(records)}. Time of all workers: {times_text(run, records)}."
