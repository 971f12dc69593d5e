"""The search as a function call."""

import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from ..evaluate.trust import trusting
from .resolve.confirmed import CONFIRMABLE
from .resolve.requests import SearchRequest

if TYPE_CHECKING:
    from ..results import Record, Run
    from ..search_space import SearchSpace
    from .console.progress import Progress

RESUMABLE = ("n_trials", "replicates", *CONFIRMABLE)

logger = logging.getLogger("bneck")
logger.addHandler(logging.NullHandler())


def run_search(
    space: "str | Path | SearchSpace" = "",
    *,
    timeout_minutes: float | None = None,
    workers: int | None = 1,
    callbacks: "Sequence[Callable[[Record], None]]" = (),
    progress: "bool | Progress" = True,
    resume: str | Path | None = None,
    trust: bool = False,
    **options: Any,
) -> "Run":
    """Search a space for the Pareto front of networks within limits.

    Takes the settings of `bneck search`, under the same names, as strings or as values. With one worker
    everything runs in this process, in a notebook too; Ctrl-C leaves a run that can be resumed.

    Args:
        space: preset, YAML file or `SearchSpace`; by default chosen from the images.
        timeout_minutes: time limit for everything, from the latency predictor to the report.
        workers: processes; None for one per core, or one on a GPU.
        callbacks: functions that receive every finished trial as a `Record`; with `min_epochs` again after
            each promotion.
        progress: show progress on the console; or an object that receives it. The logger `bneck` has the
            same messages at level INFO.
        resume: folder of a run to continue. Only `n_trials` and `replicates` may change, and objects that
            the run was started with must be passed again.
        trust: use commands, code and databases that only the files of the resumed run, of `transfer_from` or
            of `latency_predictor` name; without it they raise `TrustError`, unless the same is given here.
        options: settings of `bneck search`, see below. Objects in place of names:
            `data` a `bneck.evaluate.data.dataset.Data`, or a pair of torch `Dataset`s (train, test);
            `evaluator` a function of `Architecture` and seed that returns the accuracy (0 to 1, or an
            `Accuracy`); `sampler` an Optuna sampler; `storage` an Optuna storage.
    Returns:
        The finished run.
    Raises:
        BneckError: a setting is invalid, the limits cannot be met, or the search cannot continue
            (`MachineError`: memory, disk or database; the message says what is kept).
        KeyboardInterrupt: Ctrl-C; finished trials are stored.

    Example:
        >>> from bneck.search import run_search
        >>> run = run_search("tiny", data="digits", max_macs="500K", n_trials=10)  # doctest: +SKIP
        >>> run.front()  # doctest: +SKIP
    """
    from ..evaluate.cores import require_workers
    from ..search_space.faults import explained_faults
    from .console.front_table import timeout_message
    from .parallel.deadline import Deadline
    from .resolve.arguments import split_arguments
    from .runner.create import create_run
    from .runner.session import default_workers, run_session
    from .runner.session import resume as resume_run

    require_workers(workers)
    deadline, notes = Deadline(timeout_minutes), list[str]()
    if resume is not None and (unchangeable := [name for name in options if name not in RESUMABLE]):
        raise TypeError(f"{', '.join(unchangeable)} cannot change when a run is resumed")
    words, objects = split_arguments(options if resume is not None else {"space": space, **options})
    with trusting(trust, (value for value in options.values() if isinstance(value, str))):
        if resume is not None:
            named = [name for name in CONFIRMABLE if name in words and name not in objects.given]
            confirmed = {name: words[name] for name in named}
            totals = words.get("n_trials"), words.get("replicates")
            run = resume_run(Path(resume), *totals, objects, confirmed)
        else:
            run = create_run(SearchRequest(**words), objects, notes.append, timeout_minutes)
    logger.info("%s: %d trials of space %s", run.folder, run.settings.n_trials, run.settings.space.name)
    display = _display(progress)
    for note in notes:
        display.print_line(note)
    trust_text = ", trust=True" if run.resume_needs_trust else ""
    command = f"run_search(resume={str(run.folder)!r}{trust_text})"

    def evaluated() -> str:
        n_evaluated = sum(record.is_evaluated for record in run.records())
        return f"{n_evaluated} of {run.settings.n_trials} networks"

    try:
        with explained_faults(command, evaluated, run.folder):
            run_session(
                run,
                workers or default_workers(run),
                display,
                deadline,
                objects=objects,
                callbacks=callbacks,
            )
    except KeyboardInterrupt:
        logger.info("interrupted; resume with %s", command)
        if progress:
            print(f"interrupted; resume with {command}")
        raise
    if timeout_minutes and deadline.work_was_skipped:
        message = timeout_message(run, timeout_minutes, deadline.skipped)
        logger.info("%s", message)
        if progress:
            print(message)
    return run


def _display(progress: "bool | Progress") -> "Progress":
    from .console.progress import progress as console_progress
    from .console.terminal import Console
    from .runner.logged_progress import LoggedProgress

    if isinstance(progress, bool):
        return LoggedProgress(console_progress(Console()) if progress else None)
    return LoggedProgress(progress)


def _signature() -> inspect.Signature:
    """The parameters of `run_search`, with the fields of `SearchRequest` in place of `**options`."""
    signature = inspect.signature(run_search)
    own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
    hints = get_type_hints(SearchRequest)
    parameters = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(SearchRequest)
        if field.name not in signature.parameters
    ]
    return signature.replace(parameters=[*own, *parameters])


def _settings_help() -> str:
    lines = ["Settings:"]
    for field in fields(SearchRequest):
        if shown := field.metadata.get("option"):
            default = "" if field.default in (None, "", ()) else f" (default {field.default})"
            lines.append(f"        {field.name}: {shown.help}{default}")
    return "\n".join(lines)


run_search.__signature__ = _signature()  # type: ignore[attr-defined]
run_search.__doc__ = f"{inspect.cleandoc(run_search.__doc__ or '')}\n\n{_settings_help()}\n"
