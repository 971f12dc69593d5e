"""Other programs: their output in bounded memory."""

import os
import signal
import subprocess
import sys
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest

from bneck.evaluate.latency.backends.process import MAX_LINE, OUTPUT_BYTES, last_line, run_program


def test_both_ends_of_the_output_and_the_exit_code_are_kept() -> None:
    ran = run_program(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (ran.returncode, ran.stdout, ran.stderr) == (3, "out\n", "err\n")
    assert ran.reason == "err"


@pytest.mark.parametrize("pipe", [1, 2])
def test_of_a_flood_only_the_end_is_held(pipe: int) -> None:
    flood = f"head -c 20000000 /dev/zero | tr '\\0' 'x' >&{pipe}; echo ' 3.5 ms' >&{pipe}"
    tracemalloc.start()
    try:
        ran = run_program(["sh", "-c", flood])
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    end = (ran.stdout, ran.stderr)[pipe - 1]
    assert len(end) == OUTPUT_BYTES
    assert end.endswith("xxx 3.5 ms\n")
    assert peak_bytes < 1_000_000


def test_a_program_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        run_program([sys.executable, "-c", "import time; time.sleep(60)"], timeout_seconds=0.2)
    assert time.monotonic() - start < 20


def test_a_program_that_floods_without_end_is_killed_too() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_program(["yes"], timeout_seconds=0.2)


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ended(file: Path, within_s: float = 10) -> bool:
    """Whether the process whose number is in a file ends in that time."""
    end = time.monotonic() + within_s
    while is_alive(int(file.read_text())) and time.monotonic() < end:
        time.sleep(0.01)
    return not is_alive(int(file.read_text()))


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@LINUX
def test_all_processes_of_a_program_that_takes_too_long_are_killed(tmp_path: Path) -> None:
    tree = "sh -c 'sleep 600 & echo $! > inner; wait' & echo $! > outer; wait"
    with pytest.raises(subprocess.TimeoutExpired):
        run_program(["sh", "-c", tree], folder=tmp_path, timeout_seconds=0.5)
    assert ended(tmp_path / "inner") and ended(tmp_path / "outer")


@LINUX
def test_a_process_left_in_the_background_neither_delays_the_result_nor_stays(tmp_path: Path) -> None:
    start = time.monotonic()
    ran = run_program(["sh", "-c", "sleep 600 & echo $! > left; echo 3.5 ms"], folder=tmp_path)
    assert (ran.returncode, ran.stdout) == (0, "3.5 ms\n")
    assert time.monotonic() - start < 10
    assert ended(tmp_path / "left")


@LINUX
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_program_does_not_outlive_a_process_that_is_killed(number: int, tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            run_program(["sh", "-c", "sleep 600 & echo $! > new; mv new left; wait"], folder=tmp_path)
        os._exit(1)
    while not (tmp_path / "left").exists():
        time.sleep(0.01)
    time.sleep(0.1)  # until the watcher runs
    os.kill(child, number)
    os.waitpid(child, 0)
    assert ended(tmp_path / "left")


def test_a_program_receives_signals_that_this_process_blocks() -> None:
    signals = {signal.SIGTERM, signal.SIGINT}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        ran = run_program(["sh", "-c", "kill -TERM $$; echo deaf"])
        assert (ran.returncode, ran.stdout) == (-signal.SIGTERM, "")
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) >= signals
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_a_missing_program_is_an_error_of_the_system() -> None:
    with pytest.raises(FileNotFoundError):
        run_program(["bneck-has-no-such-program"])


def test_a_line_of_a_message_is_short_and_safe_to_print() -> None:
    assert last_line("first\n\x1b]0;owned\x07 done \n\n") == r"\x1b]0;owned\x07 done"
    assert last_line("x" * 5000) == "x" * MAX_LINE
    assert last_line("") == ""
