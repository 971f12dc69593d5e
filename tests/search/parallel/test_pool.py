"""Real worker processes, which start without torch to be quick."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bneck.results import Run
from bneck.search.console.progress import Status
from bneck.search.parallel.pool import Job, Pool, result_of, run_jobs
from bneck.search_space import RunError
from bneck.search_space.errors import NonFiniteLossError

from ..helpers import Shown, fake_settings

PROCESS = "__import__('os').getpid()"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Its workers need nothing."""
    return Run(tmp_path, fake_settings())


def worker_of(pool: Pool) -> int:
    """The process that does what a pool of one worker is asked."""
    process = pool.submit(os.getpid).result(timeout=60)
    assert isinstance(process, int)
    return process


def living(*processes: int, within_s: float = 20) -> set[int]:
    """Those that have not ended in that time."""
    end = time.monotonic() + within_s
    while True:
        left = {child.pid for child in multiprocessing.active_children()} & set(processes)
        if not left or time.monotonic() > end:
            return {process for process in left if process is not None}
        time.sleep(0.02)


def fails(_: object) -> None:
    raise NonFiniteLossError("the loss of epoch 2 is nan")


def test_leaving_a_pool_leaves_the_workers_of_another_alone(run: Run) -> None:
    with Pool(run, 1) as outer:
        kept = worker_of(outer)
        with Pool(run, 1) as inner:
            ended = worker_of(inner)
            assert ended != kept
        assert living(ended) == set()
        assert worker_of(outer) == kept
    assert living(kept) == set()


def test_an_error_ends_all_workers_whatever_they_do(run: Run) -> None:
    begin = time.monotonic()
    with pytest.raises(ZeroDivisionError), Pool(run, 1) as outer, Pool(run, 1) as inner:
        processes = worker_of(outer), worker_of(inner)
        for pool in (outer, inner):
            pool.submit(time.sleep, 600)
        raise ZeroDivisionError
    assert living(*processes) == set()
    assert time.monotonic() - begin < 60


@pytest.mark.skipif(sys.platform != "linux", reason="needs sigwaitinfo")
@pytest.mark.parametrize("name", ["TERM", "HUP", "INT"])
def test_a_signal_to_the_whole_process_group_leaves_the_workers_to_the_main_process(
    run: Run, name: str
) -> None:
    with Pool(run, 1) as pool:
        worker = worker_of(pool)
        subprocess.run(["sh", "-c", f"kill -{name} {worker}"], check=True)  # not sent by the parent
        time.sleep(0.1)
        assert worker_of(pool) == worker


def test_what_is_under_way_is_finished_when_a_pool_is_left_normally(run: Run) -> None:
    with Pool(run, 1) as pool:
        worker_of(pool)
        slow = pool.submit(time.sleep, 0.2)
        while not slow.running():
            time.sleep(0.01)
    assert slow.done()
    assert slow.exception() is None


def test_an_interrupt_waits_until_nothing_is_half_done_and_a_second_one_does_not(run: Run) -> None:
    with Pool(run, 1) as pool:
        done: Future[int] = Future()
        done.set_result(1)
        assert pool.wait([done]) == {done}
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            pool.wait([done])
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_reaches_the_pool_whose_block_began_first(run: Run) -> None:
    # as in the check of the front, which waits by the outer pool while fresh ones are open
    done: Future[int] = Future()
    done.set_result(1)
    with Pool(run, 1) as outer, Pool(run, 1), Pool(run, 1):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            outer.wait([done])


def test_a_pool_that_was_left_hands_the_interrupt_back(run: Run) -> None:
    done: Future[int] = Future()
    done.set_result(1)
    with Pool(run, 1) as outer:
        with Pool(run, 1):
            pass
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            outer.wait([done])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_all_jobs_are_done_by_their_pools_and_counted(run: Run) -> None:
    kept: dict[str, int] = {}
    shown = Shown()
    with Pool(run, 1) as first, Pool(run, 1) as second:
        processes = {"first": worker_of(first), "second": worker_of(second)}
        jobs = [Job(first, abs, -3, partial(kept.__setitem__, "abs"))]
        for name, pool in (("first", first), ("second", second)):
            jobs.append(Job(pool, eval, PROCESS, partial(kept.__setitem__, name)))
        run_jobs(jobs, first, shown, "looking")
    assert kept == {"abs": 3, **processes}
    assert processes["first"] != processes["second"]
    assert shown.statuses[0] == Status("looking", 0, 3)
    assert shown.statuses[-1] == Status("looking", 3, 3)
    assert [status.done for status in shown.statuses] == sorted(status.done for status in shown.statuses)
    assert shown.lines == []


def test_without_jobs_nothing_is_shown(run: Run) -> None:
    shown = Shown()
    run_jobs([], Pool(run, 1), shown, "looking")
    assert shown.statuses == []


@pytest.mark.slow
def test_a_training_that_fails_is_told_and_the_others_are_kept(run: Run) -> None:
    kept: list[int] = []
    shown = Shown()
    with Pool(run, 1) as pool:
        run_jobs(
            [Job(pool, fails, "mobilenet_v2", kept.append), Job(pool, abs, -4, kept.append)], pool, shown, ""
        )
    assert kept == [4]
    assert shown.lines == ["mobilenet_v2: the loss of epoch 2 is nan"]
    assert shown.statuses[-1].done == 2


def test_what_else_a_job_raises_is_passed_on(run: Run) -> None:
    with pytest.raises(ZeroDivisionError), Pool(run, 1) as pool:
        run_jobs([Job(pool, eval, "1 / 0", print)], pool, Shown(), "")


def test_a_worker_that_dies_is_told_with_a_way_on(run: Run) -> None:
    with Pool(run, 1) as pool:
        died: Future[Any] = pool.submit(os._exit, 1)
        with pytest.raises(RunError) as raised:
            result_of(died)
    assert "--workers" in str(raised.value)
    assert raised.value.__suppress_context__
    future: Future[Any] = Future()
    future.set_exception(BrokenProcessPool("A process in the process pool was terminated abruptly"))
    with pytest.raises(RunError):
        result_of(future)


def test_what_else_a_worker_raises_is_passed_on() -> None:
    future: Future[Any] = Future()
    future.set_exception(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        result_of(future)
