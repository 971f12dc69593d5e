"""What the command line prints of a run."""

from ...evaluate import format_count
from ...results import Record, Run
from ...results.analysis.front_posterior import FrontPosterior, front_posterior_of
from ...results.analysis.macs_baseline import MacsBaseline, macs_baseline
from ...results.text.fidelities import epochs_spent_text, rungs_text
from ...results.text.formatting import accuracy_ci95, pluralize
from ...results.text.front_posterior import front_posterior_lines, percent
from ...results.text.latency import sources_text, times_text, verification_text
from ...results.text.macs_baseline import macs_baseline_text
from .tables import plain_table, wide_console


def start_message(run: Run) -> str:
    """What a search is about to do, in a line."""
    settings = run.settings
    limits = ", ".join(str(constraint) for constraint in settings.goals.constraints) or "no limits"
    return (
        f"{run.folder}: {settings.n_trials} networks of space {settings.space.name} on {settings.data.name}"
        + (f" for the best {settings.goals.reward}" if settings.goals.reward else "")
        + f"; {limits}; {settings.latency.reference} takes {settings.latency.reference_ms:.3g} ms here "
        f"({settings.latency.backend})"
        + (
            f"; {pluralize(settings.replicates, 'replicate')} where the front is unsure"
            if settings.replicates
            else ""
        )
        + (f"; judged by {settings.evaluator}" if settings.evaluator != "train" else "")
        + (f"; {rungs_text(settings.rungs)}" if settings.rungs else "")
    )


def enqueued_message(run: Run) -> str:
    """The published networks that a warm start has put before the sampler's."""
    names = [record.source for record in run.records() if record.state == "enqueued"]
    if names:
        return f"proposed first: {', '.join(names)}"
    space = run.settings.space.name
    return f"--enqueue-published: no published network lies in space {space} and keeps the limits"


def print_front(run: Run) -> None:
    """The front as a table, how sure it is, and what the rule of MACs would have given."""
    records, verifications, failed_verification = (
        run.front(),
        run.verifications(),
        len(run.failed_verification()),
    )
    console = wide_console()
    if not records:
        reason = (
            f"all of the front may break the limit on latency ({failed_verification} dropped)"
            if failed_verification
            else ""
        )
        words = reason or "no network has been judged yet"
        text = "; ".join([words, *filter(None, [epochs_spent_message(run)])])
        console.print(f"{run.folder}: {text}", highlight=False, markup=False)
        return
    front_posterior, baseline = front_posterior_and_baseline(run)
    posterior_columns = ("n_seeds", "95% CI", "P(Pareto)") if front_posterior else ()
    costs = ("latency ms", "ratio", "MACs", "params", "blocks")
    goals = run.settings.goals
    reward = ("reward",) if goals.reward else ()
    table = plain_table(
        "trial", "key", *reward, "accuracy %", *posterior_columns, "test %", *costs, left=("key",)
    )
    for record in records:
        verification, latency = verifications.get(record.key), record.latency
        table.add_row(
            str(record.trial),
            record.key,
            *([f"{record.value(goals.reward):.4f}"] if goals.reward else []),
            *_accuracy_cells(record, front_posterior),
            f"{100 * verification.test_top1:.1f}"
            if verification and verification.test_top1 is not None
            else "",
            f"{latency.latency_ms:.4f}" if latency else "",
            f"{latency.ratio:.3f}" if latency else "",
            format_count(record.cost.macs),
            format_count(record.cost.params),
            str(len(record.architecture.blocks)),
        )
    console.print(table)
    is_multi_objective = len(run.settings.goals.objectives) > 1
    alternatives = records if is_multi_objective else run.completed_records()
    lines = front_posterior_lines(alternatives, run.settings.goals, front_posterior)
    baseline_line = macs_baseline_text(baseline) if baseline else ""
    for line in (
        *lines,
        baseline_line,
        verification_text(run),
        epochs_spent_message(run),
        timing_message(run),
    ):
        if line:
            console.print(line, highlight=False, markup=False, soft_wrap=True)


def front_posterior_and_baseline(run: Run) -> tuple[FrontPosterior | None, MacsBaseline | None]:
    """How sure the front of a run is, and the baseline that it must beat."""
    completed_records, goals = run.completed_records(), run.settings.goals
    front_posterior = front_posterior_of(completed_records, goals)
    return front_posterior, macs_baseline(completed_records, run.front(), front_posterior, goals)


def timeout_message(run: Run, timeout_minutes: float) -> str:
    """What was left undone when the minutes were gone, and the command that goes on."""
    settings = run.settings
    n_evaluated = sum(record.is_evaluated for record in run.records())
    again = sum(map(len, run.replicates().values()))
    text = f"{n_evaluated} of {pluralize(settings.n_trials, 'network')} judged"
    if settings.replicates:
        text += f", {again} of {pluralize(settings.replicates, 'replicate')} trained"
    return f"the {timeout_minutes:g} minutes are gone: {text}; go on with: bneck search {run.folder} --resume"


def _accuracy_cells(record: Record, front_posterior: FrontPosterior | None) -> list[str]:
    if not record.trainings:
        return [""] * (4 if front_posterior else 1)
    noise = front_posterior.noise if front_posterior else None
    accuracy = f"{100 * record.top1:.1f} ±{100 * accuracy_ci95(record, noise):.1f}"
    if front_posterior is None:
        return [accuracy]
    low, high = front_posterior.interval(record)
    probability = percent(front_posterior.pareto_probability(record))
    return [accuracy, str(len(record.trainings)), f"{100 * low:.1f} to {100 * high:.1f}", probability]


def epochs_spent_message(run: Run) -> str:
    """How many trainings stopped where, if any stop early, and what waits to be trained on."""
    epochs_spent = run.epochs_spent()
    if epochs_spent is None or not epochs_spent.networks_started:
        return ""
    size = sum(path.stat().st_size for path in run.partial_checkpoints())
    partial_text = (
        f" Those that were stopped wait in {run.folder / 'checkpoints'} ({format_count(size)}B) for --resume "
        "--n-trials; their .paused files may be deleted."
    )
    return f"{epochs_spent_text(epochs_spent)}{partial_text if size else ''}"


def timing_message(run: Run) -> str:
    """Where the time went."""
    records = run.records()
    return f"Latencies: {sources_text(records)}. Time of all workers: {times_text(run, records)}."
