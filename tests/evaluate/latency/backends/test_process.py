"""Other programs: their output in bounded memory."""

import subprocess
import sys
import time
import tracemalloc
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


def test_a_missing_program_is_an_error_of_the_system() -> None:
    with pytest.raises(FileNotFoundError):
        run_program(["bneck-has-no-such-program"])


def test_a_line_of_a_message_is_short_and_safe_to_print() -> None:
    assert last_line("first\n\x1b]0;owned\x07 done \n\n") == r"\x1b]0;owned\x07 done"
    assert last_line("x" * 5000) == "x" * MAX_LINE
    assert last_line("") == ""
