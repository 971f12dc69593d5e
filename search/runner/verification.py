"""After the last trial: baselines, and verification of the front."""

from contextlib import ExitStack
from dataclasses import asdict
from functools import partial

from ...evaluate import Latency
from ...evaluate.latency.meter import unavailable_reason
from ...evaluate.latency.verification import verify_latencies
from ...results import Baseline, Record, Run, Verification
from ...results.text.formatting import pluralize
from ..console.progress import Progress
from ..parallel.deadline import Deadline
from ..parallel.pool import Pool
from . import worker
from .attempts import Attempts
from .budget import EndReserve, baseline_seconds, measurement_seconds, missing_baselines, report_seconds
from .jobs import Job, run_jobs


def evaluate_baselines(run: Run, pool: Pool, progress: Progress, deadline: Deadline | None = None) -> None:
    """Train and measure published networks for comparison; none if the evaluator saves no weights.

    One that is not expected to end in time is left out.
    """
    deadline, records = deadline or Deadline(), list[Record]()
    if deadline.minutes:
        records, limit_seconds = run.completed_records(), 60 * deadline.minutes
        deadline.reserve = EndReserve(run, lambda: records, pool.workers, limit_seconds, with_baselines=False)

    def store(name: str, result: Baseline) -> None:
        if result.latency.status == "failed":
            progress.print_line(f"{name}: {result.latency.error}")
            return
        attribute = {
            "latency": asdict(result.latency),
            "accuracy": asdict(result.accuracy),
            "test_top1": result.test_top1,
            "test_images": result.test_images,
        }
        run.study.set_user_attr(f"baseline:{name}", attribute)

    jobs = [
        Job(pool, worker.baseline, name, name, partial(store, name), baseline_seconds(run, name, records))
        for name in missing_baselines(run)
    ]
    for job in run_jobs(jobs, pool, progress, "baselines", Attempts(run.study), deadline):
        deadline.skip(f"baseline {job.name}")


def verify_front(run: Run, pool: Pool, progress: Progress, deadline: Deadline | None = None) -> None:
    """Re-measure the front's networks in two fresh processes, and evaluate their weights on the test set.

    The best of many measurements is biased, so a network is dropped unless the 95% upper confidence bound
    satisfies the latency limit. Networks that enter the front in its place are verified too, while there is
    time.
    """
    deadline, seconds = deadline or Deadline(), 0.0
    if deadline.minutes:
        limit_seconds = 60 * deadline.minutes
        deadline.reserve = lambda: report_seconds(limit_seconds)
        seconds = measurement_seconds(run.completed_records())
    problem = unavailable_reason(run.settings.latency)
    if problem:
        progress.print_line(f"latencies are not verified: {problem}")
    while True:
        done = run.verifications()
        todo = {record.key: record.architecture for record in run.front() if record.key not in done}
        if not todo:
            return
        test_results: dict[str, tuple[float, float, int]] = {}
        jobs = [
            Job(
                pool,
                worker.evaluate_on_test_set,
                network,
                f"test accuracy of {key}",
                partial(test_results.__setitem__, key),
                seconds,
            )
            for key, network in (todo if run.settings.saves_weights else {}).items()
        ]
        measured: dict[str, list[Latency]] = {}
        with ExitStack() as fresh:
            if not problem:
                panel = {network.key: network for network in run.settings.latency.panel.networks.values()}
                for each in (fresh.enter_context(Pool(run, 1, worker.start)) for _ in range(2)):
                    for key, network in (todo | panel).items():
                        store = measured.setdefault(key, []).append
                        name = f"second latency of {key}"
                        jobs.append(Job(each, worker.remeasure, network, name, store, seconds))
            skipped = run_jobs(jobs, pool, progress, "verifying the front", Attempts(run.study), deadline)
        remeasured = verify_latencies({key: (pair[0], pair[1]) for key, pair in measured.items() if pair[1:]})
        unfinished = {job.item.key for job in skipped} & set(todo)
        for key in (each for each in todo if each not in unfinished):
            result = remeasured.get(key)
            latency, upper = (result.latency, result.ratio_upper) if result else (None, None)
            verification = Verification(latency, upper, *test_results.get(key, ()))
            run.study.set_user_attr(f"verification:{key}", asdict(verification))
            if not verification.satisfies_limits(run.settings.goals):
                progress.print_line(
                    f"dropped from the front: {key} may violate the latency limit, by its second measurement"
                )
        if unfinished:
            deadline.skip(f"verification of {pluralize(len(unfinished), 'network')}")
            return
