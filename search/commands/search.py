"""`bneck search`."""

import shlex
from dataclasses import replace
from pathlib import Path

from ...search_space import GoalError, PretrainedSpace, RunError
from ..resolve.confirmed import CONFIRMABLE
from ..resolve.requests import SearchRequest
from .expand import Given
from .options import ResumeOption, TimeoutOption, WorkersOption

EXAMPLE_MAX_MACS = "500K"
EXAMPLE_MAX_LATENCY = "0.25x"
EXAMPLE_REFERENCE_MODEL = "mobilenet_v3_small@24px"  # as large as the images; at 224 px it limits nothing
RESUMABLE = ("space", "resume", "n_trials", "workers", "replicates", "timeout_minutes")


def search(
    request: SearchRequest,
    given: Given,
    timeout_minutes: TimeoutOption = None,
    workers: WorkersOption = None,
    resume: ResumeOption = False,
) -> None:
    """Search a space for the best networks within limits.

    bneck search --data photos --max-latency 20ms
    bneck search mobile --data photos --max-macs 60M --max-latency 0.5x

    Without SPACE, the images decide: pretrained networks for photos if there are any on this machine, else a
    preset for their size. Without --data too, search an example: space tiny on scikit-learn's digits,
    --max-macs 500K --max-latency 0.25x --reference-model mobilenet_v3_small@24px.
    """
    from ...results import Run
    from ...results.pages.front_table import export_command, training_command
    from ...results.text.formatting import duration
    from ..console.front_table import (
        enqueued_message,
        front_with_teacher,
        print_front,
        start_message,
        timeout_message,
    )
    from ..console.progress import progress
    from ..console.terminal import Console, echo
    from ..jobs.job import resumable
    from ..parallel.deadline import Deadline
    from ..runner.create import create_run
    from ..runner.session import default_workers, run_session
    from ..runner.session import resume as resume_run

    deadline, notes = Deadline(timeout_minutes), list[str]()
    if resume:
        if "space" not in given:
            raise GoalError("--resume needs the run's folder: bneck search RUN --resume")
        given.require_resumable(*RESUMABLE, *CONFIRMABLE)
        n_trials = request.n_trials if "n_trials" in given else None
        run = resume_run(
            Path(request.space), n_trials, request.replicates, confirmed=given.confirmed(request)
        )
    else:
        if request.pretrained and "space" in given:
            raise GoalError(
                f"--pretrained searches no space; leave {request.space} out, or name it: --parent"
            )
        example = not ({"space", "data"} & given.flags.keys() or request.pretrained)
        if example and set(request.limits.values()) == {None}:
            request = replace(request, max_macs=EXAMPLE_MAX_MACS, max_latency=EXAMPLE_MAX_LATENCY)
            if "reference_model" not in given and "latency_predictor" not in given:
                request = replace(request, reference_model=EXAMPLE_REFERENCE_MODEL)
        if request.latency_predictor:
            given.exclude_from_predictor(request)
        if request.space and (Path(request.space) / "run.yaml").is_file():
            command = Run.open(request.space).resume_command
            raise RunError(f"{request.space} is a run; resume it: {command}")
        run = create_run(request, on_note=notes.append, timeout_minutes=timeout_minutes)
    display = progress(Console())
    for line in (start_message(run), *notes):
        display.print_line(line)
    if request.enqueue_published:
        display.print_line(enqueued_message(run))

    def evaluated() -> str:
        n_evaluated = sum(record.is_evaluated for record in run.records())
        return f"{n_evaluated} of {run.settings.n_trials} networks"

    with resumable(run.resume_command, evaluated, run.folder):
        run_session(run, workers or default_workers(run), display, deadline)
    print_front(run)
    if joined := front_with_teacher(run):
        folders = " ".join(shlex.quote(str(each.folder)) for each in joined.runs)
        echo(f"\none front with the search of the teacher (bneck front {folders}):")
        print_front(joined)
    if timeout_minutes and deadline.work_was_skipped:
        echo(timeout_message(run, timeout_minutes, deadline.skipped))
    echo(f"\nreport:  {run.folder / 'report.html'}")
    echo(f"export:  {export_command(run.folder, 'best', run.settings.saves_weights)}")
    if isinstance(run.settings.space, PretrainedSpace) and run.settings.saves_weights:
        best = run.best()
        time = duration(best.accuracy.seconds if best.accuracy else 0.0)
        command = training_command(run.folder, best.label, run.settings.recipe.epochs)
        echo(f"train trial {best.label} for as long again, {time}:  {command}")
