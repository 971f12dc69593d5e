"""Messages of a search, and the table of its front."""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...evaluate import format_count
from ...results import JoinedRuns, Record, Run
from ...results.analysis.front_posterior import FrontPosterior, front_posterior_of
from ...results.analysis.run_difference import RunDifference
from ...results.store.experiment import RUN_FILE
from ...results.text.baselines import difference_text
from ...results.text.fidelities import epochs_spent_text, rungs_text
from ...results.text.findings import MAX_FINDINGS, findings
from ...results.text.formatting import accuracy_text, percent_range, pluralize, truncate
from ...results.text.front_posterior import percent
from ...results.text.pretrained_baseline import pretrained_baseline
from ...results.text.scatter import front_plot
from ...search_space import PretrainedSpace, RunError
from ...search_space.pretrained_space import candidate_text
from .tables import plain_table, print_lines, print_table, wide_console

_MAX_PLOT_WIDTH = 100

BASELINE_MARK = "(baseline)"


def start_message(run: Run) -> str:
    """The settings of a search in a line."""
    settings = run.settings
    limits = ", ".join(str(constraint) for constraint in settings.goals.constraints) or "no limits"
    parts = [
        f"{run.folder}: {settings.n_trials} networks of space {settings.space.name} on {settings.data.name}",
        limits,
        f"1x = {settings.latency.reference_text}: {settings.latency.reference_ms:.3g} ms "
        f"({settings.latency.backend})",
    ]
    if isinstance(settings.space, PretrainedSpace):
        parts.insert(1, _parents_text(settings.space))
    if settings.goals.reward:
        parts.insert(1, f"objective {settings.goals.reward}")
    if settings.replicates:
        parts.append(f"{pluralize(settings.replicates, 'replicate')} where the front is undecided")
    if settings.evaluator != "train":
        parts.append(f"evaluated by {settings.evaluator}")
    if settings.teacher:
        parts.append(f"teacher {settings.teacher}")
    if settings.rungs:
        parts.append(rungs_text(settings.rungs))
    return "; ".join(parts)


def _parents_text(space: PretrainedSpace) -> str:
    """`3 candidates: efficientnet_lite0; 32 to 64 px`."""
    names = ", ".join(parent.name for parent in space.parents)
    return f"{space.size} candidates: {names} at {min(space.resolution_px)} to {max(space.resolution_px)} px"


def enqueued_message(run: Run) -> str:
    """The published networks that are evaluated first."""
    names = [record.source for record in run.records() if record.state == "enqueued"]
    if names:
        return f"enqueued: {', '.join(names)}"
    return f"--enqueue-published: space {run.settings.space.name} has no published network within the limits"


def timeout_message(run: Run, timeout_minutes: float, skipped: Sequence[str] = ()) -> str:
    """What is missing after a timeout, and the command that resumes.

    Args:
        skipped: names of baselines and verifications.
    """
    settings = run.settings
    n_evaluated = sum(record.is_evaluated for record in run.records())
    text = f"{n_evaluated} of {pluralize(settings.n_trials, 'network')}"
    if settings.replicates:
        n_replicates = sum(map(len, run.replicates().values()))
        text += f", {n_replicates} of {pluralize(settings.replicates, 'replicate')}"
    if skipped:
        text += f"; skipped: {', '.join(skipped)}"
    return f"timeout of {timeout_minutes:g} min reached after {text}; resume with: {run.resume_command}"


def front_with_teacher(run: Run) -> JoinedRuns | None:
    """The front over a search and that of its teacher; None if the teacher is of none, or of other data."""
    folder, trial = run.settings.teacher.rpartition("#")[::2]
    if not trial or not (Path(folder) / RUN_FILE).is_file():
        return None
    with suppress(RunError):
        return JoinedRuns.of([folder, run])
    return None


def print_front(run: Run) -> None:
    """Print the front as a table, with the baseline of pretrained networks, and `MAX_FINDINGS` findings."""
    console = wide_console()
    records, epochs_text = run.front(), epochs_spent_message(run)
    lines: list[str] = []
    if records:
        completed = run.completed_records()
        front_posterior = front_posterior_of(completed, run.settings.goals)
        lines = findings(run, front_posterior)
        if epochs_text:
            lines = [*lines[: MAX_FINDINGS - 1], epochs_text]
        columns, rows = _front_cells(run, records, pretrained_baseline(completed), front_posterior)
        table = plain_table(*columns, left=("key", "network"))
        for row in rows:
            table.add_row(*row)
        console.print(table)
    else:
        dropped = len(run.failed_verification())
        reason = (
            f"all {dropped} networks of the front failed the verification of the latency limit"
            if dropped
            else "no network has been evaluated yet"
        )
        lines = ["; ".join(filter(None, [f"{run.folder}: {reason}", epochs_text]))]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def print_front_plot(run: Run) -> None:
    """Draw the front, dominated networks and baselines with characters, as wide as the terminal."""
    console, settings = wide_console(), run.settings
    lines = front_plot(
        run.completed_records(),
        run.front(),
        run.baselines(),
        settings.goals,
        settings.latency.reference_ms,
        width=max(40, min(shutil.get_terminal_size().columns, _MAX_PLOT_WIDTH)),
    )
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def print_difference(
    one: Run, other: Run, settings: Mapping[str, tuple[Any, Any]], difference: RunDifference | str
) -> None:
    """Print the settings that differ between two searches, and their results on the front over both.

    Args:
        difference: or why the two have no common front.
    """
    console, names = wide_console(), [str(one.folder), str(other.folder)]
    if settings:
        rows = [[name, *(_short(value) for value in pair)] for name, pair in settings.items()]
        print_table(console, ["setting", *names], rows, left=("setting", *names))
    else:
        print_lines(console, "all settings are the same")
    print_lines(console, "")
    if isinstance(difference, str):
        print_lines(console, difference)
        return
    print_table(console, ["result", *names], _difference_rows(difference), left=("result", *names))
    if difference.best_advantage:
        print_lines(
            console,
            f"Best network of the first minus that of the second: "
            f"{difference_text(difference.best_advantage)}, 95% interval.",
        )


def _difference_rows(difference: RunDifference) -> list[list[str]]:
    cells: dict[str, list[str]] = {}
    for each in difference.outcomes:
        best = each.best
        for name, text in {
            "networks": f"{each.networks:,}",
            "on the common front": f"{each.on_common_front} of {each.front} of its own front",
            "hypervolume": "" if each.hypervolume is None else f"{100 * each.hypervolume:.1f}%",
            "best": f"trial {best.trial}, {accuracy_text(best.estimated_accuracy)}" if best else "",
        }.items():
            cells.setdefault(name, []).append(text)
    return [[name, *texts] for name, texts in cells.items()]


def _short(value: object) -> str:
    return "" if value is None else truncate(str(value), 50)


def _front_cells(
    run: Run, front: list[Record], baseline: Record | None, front_posterior: FrontPosterior | None
) -> tuple[list[str], list[list[str]]]:
    """The front, and the baseline last if it is not on it."""
    reward, verifications = run.settings.goals.reward, run.verifications()
    marked = baseline.label if baseline else None
    records = [*front, *([baseline] if baseline and marked not in {each.label for each in front} else [])]
    marks = [f" {BASELINE_MARK}" * (each.label == marked) for each in records]
    names = [candidate_text(each.architecture) + mark for each, mark in zip(records, marks, strict=True)]
    named = any(names)  # a pretrained network is known by its name, so key and size are left out
    columns = [
        *("trial", "network" if named else "key"),
        *(["reward"] if reward else []),
        "accuracy %",
        "95% CI",
        *(["mean %", "n_seeds", "P(Pareto)"] if front_posterior else []),
        *("test %", "latency ms", "ratio", "MACs"),
        *([] if named else ["params", "blocks"]),
    ]
    rows = []
    for record, name in zip(records, names, strict=True):
        verification, latency = verifications.get(record.key), record.latency
        test_top1 = verification.test_top1 if verification else None
        sizes = [format_count(record.cost.params), str(len(record.architecture.blocks))]
        rows.append(
            [
                *(str(record.label), name or record.key),
                *([f"{record.value(reward):.4f}"] if reward else []),
                *_accuracy_cells(record, front_posterior),
                "" if test_top1 is None else f"{100 * test_top1:.1f}",
                f"{latency.latency_ms:.4f}" if latency else "",
                f"{latency.ratio:.3f}" if latency else "",
                format_count(record.cost.macs),
                *([] if named else sizes),
            ]
        )
    return columns, rows


def _accuracy_cells(record: Record, front_posterior: FrontPosterior | None) -> list[str]:
    if not record.trainings:
        return [""] * (5 if front_posterior else 2)
    accuracy = record.estimated_accuracy
    cells = [f"{100 * accuracy.value:.1f}", percent_range(accuracy.low, accuracy.high)]
    if front_posterior is None:
        return cells
    known = record in front_posterior
    probability = percent(front_posterior.pareto_probability(record)) if known else ""
    return [*cells, f"{100 * record.top1:.1f}", str(len(record.trainings)), probability]


def epochs_spent_message(run: Run) -> str:
    """Networks by rung and the size of the paused checkpoints; empty without early stopping."""
    epochs_spent = run.epochs_spent()
    if epochs_spent is None or not epochs_spent.networks_started:
        return ""
    text = epochs_spent_text(epochs_spent)
    if size := sum(path.stat().st_size for path in run.partial_checkpoints()):
        checkpoints = f"{run.folder / 'checkpoints'}/*.paused ({format_count(size)}B)"
        text += f" {checkpoints} let --resume promote more networks; they may be deleted."
    return text
