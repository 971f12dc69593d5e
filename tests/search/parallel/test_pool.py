"""Real worker processes, which start without torch to be quick."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from bneck.evaluate.trust import current_trust, trusting
from bneck.results import Run
from bneck.search.parallel.pool import InProcessPool, Pool
from bneck.search_space.errors import MachineError, WorkerFailedError

from ..helpers import fake_settings


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


@pytest.mark.slow
def test_leaving_a_pool_leaves_the_workers_of_another_alone(run: Run) -> None:
    with Pool(run, 1) as outer:
        kept = worker_of(outer)
        with Pool(run, 1) as inner:
            ended = worker_of(inner)
            assert ended != kept
        assert living(ended) == set()
        assert worker_of(outer) == kept
    assert living(kept) == set()


@pytest.mark.slow
def test_an_error_ends_all_workers_whatever_they_do(run: Run) -> None:
    begin = time.monotonic()
    with pytest.raises(ZeroDivisionError), Pool(run, 1) as outer, Pool(run, 1) as inner:
        processes = worker_of(outer), worker_of(inner)
        for pool in (outer, inner):
            pool.submit(time.sleep, 600)
        raise ZeroDivisionError
    assert living(*processes) == set()
    assert time.monotonic() - begin < 60


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_worker_shares_the_trust_of_its_parent(run: Run) -> None:
    with trusting(given=["own:data"]), Pool(run, 1) as pool:
        assert pool.submit(current_trust).result(timeout=60).given == {"own:data"}


SURVIVED_A_HANGUP = """
import os, signal, time
from multiprocessing import resource_tracker
from bneck.search.parallel.worker_process import start_resource_tracker
start_resource_tracker()
tracker = resource_tracker._resource_tracker
os.kill(tracker._pid, signal.SIGHUP)
time.sleep(0.2)
print(tracker._check_alive())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="macOS cannot block SIGHUP in workers")
def test_the_resource_tracker_survives_a_hangup() -> None:
    """In a process of its own: in this one any earlier test may have started the tracker."""
    command = [sys.executable, "-c", SURVIVED_A_HANGUP]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "True"


def test_a_step_in_this_process_leaves_the_signals_to_it(run: Run) -> None:
    threads = threading.active_count()
    with InProcessPool(run):
        assert threading.active_count() == threads


@pytest.mark.slow
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


def dies_once(mark: str) -> str:
    """Kill the process unless a file exists, which is made before."""
    path = Path(mark)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def runs_out_of_memory(mark: str) -> None:
    with Path(mark).open("a", encoding="utf-8") as file:
        file.write("x")
    raise MemoryError


@pytest.mark.slow
def test_a_step_whose_process_died_is_run_again_in_a_new_one(run: Run, tmp_path: Path) -> None:
    with Pool(run, 1) as pool:
        before = worker_of(pool)
        again = pool.submit(dies_once, str(tmp_path / "mark"))
        after = pool.submit(os.getpid)
        assert again.result(timeout=60) == "done"
        assert after.result(timeout=60) != before
        assert pool.deaths_in_a_row == 0


@pytest.mark.slow
def test_a_dead_worker_costs_its_own_step_only(run: Run) -> None:
    with Pool(run, 2) as pool:
        deadly = pool.submit(os._exit, 3)
        others = [pool.submit(eval, f"__import__('time').sleep(0.3) or {number}") for number in range(4)]
        pending = {deadly, *others}
        while pending:
            pending -= pool.wait(pending)
    assert [each.result() for each in others] == [0, 1, 2, 3]
    with pytest.raises(WorkerFailedError, match="ended with exit code 3, 2 times"):
        deadly.result()


@pytest.mark.slow
def test_a_worker_killed_by_a_signal_is_named(run: Run) -> None:
    with Pool(run, 1) as pool, pytest.raises(WorkerFailedError, match="killed by SIGSEGV, 2 times"):
        pool.submit(eval, "__import__('os').kill(__import__('os').getpid(), 11)").result(timeout=60)


@pytest.mark.slow
def test_a_step_without_memory_is_tried_twice_in_a_worker_and_once_in_this_process(
    run: Run, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    with Pool(run, 1) as pool, pytest.raises(WorkerFailedError, match="out of memory, 2 times"):
        pool.submit(runs_out_of_memory, str(mark)).result(timeout=60)
    assert mark.read_text() == "xx"
    with InProcessPool(run) as here, pytest.raises(WorkerFailedError, match="out of memory"):
        here.submit(runs_out_of_memory, str(mark)).result()
    assert mark.read_text() == "xxx"


@pytest.mark.slow
def test_workers_that_all_die_end_the_work_with_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pool, "MAX_DEATHS_IN_A_ROW", 3)
    with (
        pytest.raises(MachineError, match=r"^[34] steps in a row .* exit code 1.*--workers"),
        Pool(run, 2) as pool,
    ):
        pending = {pool.submit(os._exit, 1) for _ in range(6)}
        while pending:
            pending -= pool.wait(pending)


@pytest.mark.slow
def test_a_worker_that_died_between_two_steps_is_replaced(run: Run) -> None:
    with Pool(run, 1) as pool:
        idle = worker_of(pool)
        os.kill(idle, signal.SIGKILL)
        assert living(idle) == set()
        assert worker_of(pool) != idle


def test_a_step_of_this_process_is_stopped_in_time_and_the_next_one_runs(run: Run) -> None:
    prepared: list[object] = []
    with InProcessPool(run, start=prepared.append) as pool:
        with pool.limited(lambda: 0.05):
            begin = time.monotonic()
            assert pool.wait([pool.submit(time.sleep, 60)]) == set()
            assert time.monotonic() - begin < 20
        short = pool.submit(abs, -3)
        assert pool.wait([short]) == {short}
        assert short.result() == 3
    assert prepared == [run, run]
