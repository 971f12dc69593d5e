"""What is done when the last network is judged: baselines, and a second look at the front."""

from contextlib import ExitStack
from dataclasses import asdict
from functools import partial

from ...evaluate import Latency
from ...evaluate.latency.meter import unmeasurable
from ...evaluate.latency.verification import recheck
from ...results import Baseline, Check, Run
from ..console.progress import Progress
from ..parallel.pool import Job, Pool, do_all
from . import worker


def judge_baselines(run: Run, pool: Pool, progress: Progress) -> None:
    """Train and measure the published networks that the plot shows for comparison.

    There are none where the scorer trains nothing.
    """
    if not run.settings.keeps_weights:
        return
    done = {baseline.name for baseline in run.baselines()}

    def keep(name: str, found: Baseline) -> None:
        if found.latency.status == "failed":
            progress.say(f"{name}: {found.latency.error}")
            return
        attribute = {
            "latency": asdict(found.latency),
            "accuracy": asdict(found.accuracy),
            "test_top1": found.test_top1,
            "test_images": found.test_images,
        }
        run.study.set_user_attr(f"baseline:{name}", attribute)

    todo = [name for name in run.settings.baselines if name not in done]
    jobs = [Job(pool, worker.baseline, name, partial(keep, name)) for name in todo]
    do_all(jobs, pool, progress, "baselines")


def check_front(run: Run, pool: Pool, progress: Progress) -> None:
    """Measure the front's networks afresh, and judge them on the test images where there are weights.

    The best of many measurements is a lucky one, so the front is not told by those alone: a
    network that may break the limit on latency is dropped, and those that step forward are checked too.
    """
    problem = unmeasurable(run.settings.latency)
    if problem:
        progress.say(f"latencies stay as predicted, the device is not measured: {problem}")
    while True:
        done = run.checks()
        todo = {record.key: record.architecture for record in run.front() if record.key not in done}
        if not todo:
            return
        tested: dict[str, tuple[float, float, int]] = {}
        jobs = [
            Job(pool, worker.judge_on_test_images, network, partial(tested.__setitem__, key))
            for key, network in (todo if run.settings.keeps_weights else {}).items()
        ]
        measured: dict[str, list[Latency]] = {}
        with ExitStack() as fresh:
            if not problem:
                panel = {network.key: network for network in run.settings.latency.panel.networks.values()}
                for each in (fresh.enter_context(Pool(run, 1)) for _ in range(2)):
                    for key, network in (todo | panel).items():
                        keep = measured.setdefault(key, []).append
                        jobs.append(Job(each, worker.measure_afresh, network, keep))
            do_all(jobs, pool, progress, "checking the front")
        again = recheck({key: (first, second) for key, (first, second) in measured.items()})
        for key in todo:
            found = again.get(key)
            latency, upper = (found.latency, found.ratio_upper) if found else (None, None)
            check = Check(latency, upper, *tested.get(key, ()))
            run.study.set_user_attr(f"check:{key}", asdict(check))
            if not check.keeps(run.settings.goals):
                progress.say(f"dropped from the front: {key} may break the limit, measured again")
