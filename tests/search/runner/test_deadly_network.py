"""Whole searches in which one network kills the process that evaluates it."""

from pathlib import Path

import pytest

from bneck.results import Run
from bneck.search.runner.attempts import EXHAUSTED

from ..helpers import bneck

# The first network that is evaluated is deadly from then on.
EVALUATOR = """
import os, signal
from pathlib import Path

MARK = Path("deadly.txt")

def score(architecture, seed):
    if not MARK.exists():
        MARK.write_text(architecture.key)
    if MARK.read_text() == architecture.key:
        os.kill(os.getpid(), signal.SIGKILL)
    return 0.5 + int(architecture.key, 16) % 100 / 1000
"""
WORDS = (
    *("search", "tiny", "--data", "digits", "--n-trials", 3, "--evaluator", "deadly:score", "--out", "run"),
    *("--objectives", "accuracy,macs", "--latency-backend", "fake", "--replicates", 0),
)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "deadly.py").write_text(EVALUATOR, encoding="utf-8")
    return tmp_path


def outcome(here: Path) -> tuple[int, list[tuple[str, str]]]:
    """The number of completed networks; keys and errors of the failed ones."""
    run = Run.open(here / "run")
    failed = [(record.key, record.error) for record in run.records() if record.state == "failed"]
    assert (run.folder / "report.html").is_file()
    return len(run.completed_records()), failed


@pytest.mark.slow
def test_a_network_that_kills_its_worker_costs_its_own_trial(here: Path) -> None:
    ended = bneck(*WORDS, "--workers", 2, cwd=here, timeout_s=900)
    assert ended.returncode == 0, ended.stderr
    completed, [(key, error)] = outcome(here)
    assert (completed, key) == (3, (here / "deadly.txt").read_text())
    assert "SIGKILL" in error


@pytest.mark.slow
def test_a_network_that_kills_bneck_itself_is_left_out_after_two_attempts(here: Path) -> None:
    codes = [bneck(*WORDS, "--workers", 1, cwd=here, timeout_s=900).returncode]
    codes += [
        bneck("search", "run", "--resume", "--trust", "--workers", 1, cwd=here, timeout_s=900).returncode
        for _ in range(2)
    ]
    assert codes == [-9, -9, 0]
    assert outcome(here) == (3, [((here / "deadly.txt").read_text(), EXHAUSTED)])
