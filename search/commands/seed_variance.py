"""`bneck seed-variance`."""

from functools import partial
from pathlib import Path

from ..resolve.requests import SeedStudyRequest
from .expand import Given
from .options import JsonOption, ResumeOption, TimeoutOption, WorkersOption

RESUMABLE = ("space", "resume", "timeout_minutes", "seeds", "n_trials", "workers", "as_json")


def seed_variance(
    request: SeedStudyRequest,
    given: Given,
    timeout_minutes: TimeoutOption = None,
    workers: WorkersOption = None,
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure how accuracy varies with the random seed.

    bneck seed-variance tiny --data fashion-mnist --train-images 10000 --epochs 2 --timeout 30

    With --resume, --seeds may be higher than before.
    """
    from ..console.terminal import echo
    from ..jobs import seed_study
    from ..parallel.deadline import Deadline

    deadline = Deadline(timeout_minutes)
    if resume:
        given.require_resumable(*RESUMABLE, "data", "evaluator")
        seeds = request.seeds if "seeds" in given else None
        study = seed_study.resume(
            Path(request.space),
            seeds,
            request.n_trials if "n_trials" in given else None,
            given.confirmed(request),
        )
    else:
        study = seed_study.create(request, partial(echo, err=as_json))
    seed_study.train_and_report(study, workers=workers, deadline=deadline, as_json=as_json)
