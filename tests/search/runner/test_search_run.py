"""Searches as a person runs them: with worker processes, measuring and training for real."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from bneck.evaluate.data.dataset import load_data
from bneck.results import Run
from bneck.search_space import load_architecture

from ..helpers import BNECK, bneck

pytestmark = pytest.mark.slow

PLAIN = ("--baseline", "none", "--train-images", "200", "--validation-images", "100", "--epochs", "1")
# long enough to be stopped in the middle of it
LINUX = pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="processes are looked up in /proc")
LONGER = ("--baseline", "none", "--train-images", "600", "--validation-images", "100", "--epochs", "2")


def judged(run: Path) -> dict[str, float]:
    """Accuracy by key, in the order of the trials."""
    records = [record for record in Run.open(run).records() if record.state == "complete"]
    found = {record.key: record.accuracy.top1 for record in records if record.accuracy}
    assert len(found) == len(records)  # none twice
    return found


def session_of(leader: int) -> list[int]:
    """The processes that a command started, by the session they are in."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            try:
                fields = (path / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            except OSError:
                continue
            # after the name: state, parent, group, session
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append(int(path.name))
    return found


def is_worker(process: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def hears_interrupts(process: int, group: int) -> bool:
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    masks = re.findall(r"^Sig(?:Ign|Blk):\s*([0-9a-f]+)$", status, re.MULTILINE)
    deaf = any(int(mask, 16) >> (signal.SIGINT - 1) & 1 for mask in masks)
    return os.getpgid(process) == group and not deaf


def wait_until_alone(leader: int, limit_s: float = 20) -> list[int]:
    """The processes of a session that have not ended in that time."""
    end = time.monotonic() + limit_s
    while (left := session_of(leader)) and time.monotonic() < end:
        time.sleep(0.1)
    return left


@contextmanager
def started(*words: object, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """A command in a session of its own, none of which is left behind."""
    process = subprocess.Popen(
        [BNECK, *map(str, words)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        for left in session_of(process.pid):
            os.kill(left, signal.SIGKILL)
        process.communicate()


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    """Read what it prints up to a line that begins so."""
    assert process.stdout is not None
    for printed in process.stdout:
        if printed.startswith(line):
            return
    raise AssertionError(f"ended without '{line}': {process.stderr.read() if process.stderr else ''}")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A search of three networks; `args[-1]` is its folder."""
    folder = tmp_path_factory.mktemp("search") / "run"
    words = ["tiny", "--n-trials", 3, "--workers", 2, "--max-macs", "500K", *PLAIN, "--out", folder]
    return bneck("search", *words, cwd=folder.parent)


@pytest.fixture(scope="module")
def folder(found: subprocess.CompletedProcess[str]) -> Path:
    return Path(found.args[-1])


def test_a_search_ends_well_and_tells_how_to_go_on(
    found: subprocess.CompletedProcess[str], folder: Path
) -> None:
    assert (found.returncode, found.stderr) == (0, "")
    assert "macs <= 500K" in found.stdout.splitlines()[0]
    assert re.search(r"^evaluating 3/3: trial \d+, ", found.stdout, re.MULTILINE)
    assert f"report:  {folder}/report.html" in found.stdout
    assert f"export:  bneck export {folder} --trial best" in found.stdout


def test_a_search_leaves_a_whole_run(folder: Path) -> None:
    run = Run.open(folder)
    records = [record for record in run.records() if record.state == "complete"]
    assert len(records) == 3
    for record in records:
        assert record.cost.macs <= 500_000
        assert record.latency is not None
        assert 0 < record.latency.ratio_low <= record.latency.ratio <= record.latency.ratio_high
        assert record.accuracy is not None
        assert (record.accuracy.images, record.accuracy.images_seen) == (100, 192)
        assert record.accuracy.seed == run.settings.training_seed(record.key)
        assert run.checkpoint(record.architecture).is_file()
    assert set(run.verifications()) == {record.key for record in run.front()}
    # all that there are, whatever the limits on the others
    images = load_data("digits").count("test")
    assert {check.test_images for check in run.verifications().values()} == {images}
    assert (folder / "front.csv").read_text(encoding="utf-8").count("\n") == 1 + len(run.front())
    assert all(record.key in (folder / "report.html").read_text(encoding="utf-8") for record in run.front())


def test_the_front_is_printed_for_programs(folder: Path) -> None:
    rows = json.loads(bneck("front", folder, "--json", cwd=folder).stdout)["front"]
    assert [row["trial"] for row in rows] == [record.trial for record in Run.open(folder).front()]
    assert {"key", "accuracy", "latency_ms", "latency_ratio", "macs", "params"} <= set(rows[0])
    assert bneck("front", folder, "--csv", cwd=folder).stdout.count("\n") == 1 + len(rows)


def test_a_network_of_the_front_is_exported_and_runs(folder: Path, tmp_path: Path) -> None:
    trial = Run.open(folder).front()[0].trial
    ended = bneck("export", folder, "--trial", trial, "--format", "config,onnx", "-o", "out", cwd=tmp_path)
    assert ended.returncode == 0
    config, model = (tmp_path / line for line in ended.stdout.split())
    network = load_architecture(config)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    side = network.resolution_px
    images = np.random.default_rng(0).normal(size=(2, 1, side, side)).astype(np.float32)
    [logits] = session.run(None, {"images": images})
    assert logits.shape == (2, 10)
    assert np.isfinite(logits).all()
    assert np.abs(logits[0] - logits[1]).max() > 0


def test_a_trial_of_a_run_is_inspected_and_a_report_written(folder: Path, tmp_path: Path) -> None:
    record = Run.open(folder).front()[0]
    shown = json.loads(bneck("inspect", f"{folder}#{record.trial}", "--json", cwd=tmp_path).stdout)
    assert (shown["key"], shown["macs"]) == (record.key, record.cost.macs)
    assert bneck("report", folder, "-o", ".", cwd=tmp_path).returncode == 0
    assert record.key in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_finished_search_that_goes_on_has_nothing_to_do(folder: Path) -> None:
    before = judged(folder)
    ended = bneck("search", folder, "--resume", "--workers", 1, cwd=folder)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert judged(folder) == before


def test_a_seed_repeats_a_search_to_the_last_image(tmp_path: Path) -> None:
    def search(name: str) -> list[tuple[str, float]]:
        words = ["tiny", "--n-trials", 3, "--workers", 1, "--max-macs", "500K", "--seed", 11, *PLAIN]
        assert bneck("search", *words, "--out", name, cwd=tmp_path).returncode == 0
        return list(judged(tmp_path / name).items())

    assert search("first") == search("again")


@LINUX
def test_a_search_that_was_killed_goes_on_and_loses_only_what_was_under_way(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["tiny", "--n-trials", 6, "--workers", 2, "--max-macs", "500K", *LONGER, "--out", run]
    with started("search", *words, cwd=tmp_path) as process:
        wait_for(process, "evaluating 2/")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert wait_until_alone(process.pid) == []
    before = judged(run)
    assert 2 <= len(before) < 6
    cut_off = {record.key for record in Run.open(run).records() if record.state == "running"}
    assert cut_off
    ended = bneck("search", run, "--resume", "--workers", 2, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    after = judged(run)
    assert len(after) == 6
    assert list(after.items())[: len(before)] == list(before.items())
    # the limit holds for what was measured, so all that was under way ends judged
    assert cut_off <= set(after)
    assert "running" not in {trial.state.name.lower() for trial in Run.open(run).study.trials}


@LINUX
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_search_that_is_interrupted_ends_at_once_with_the_command_that_goes_on(
    tmp_path: Path, number: int, code: int
) -> None:
    words = ["tiny", "--n-trials", 30, "--workers", 2, "--max-macs", "500K", *LONGER, "--out", "run"]
    with started("search", *words, cwd=tmp_path) as process:
        wait_for(process, "evaluating 1/")
        os.killpg(process.pid, number)  # as a terminal does it: to the workers too
        begin = time.monotonic()
        _, err = process.communicate(timeout=60)
        assert time.monotonic() - begin < 15
        assert wait_until_alone(process.pid) == []
    assert process.returncode == code
    why, command = err.splitlines()
    assert f"{len(judged(tmp_path / 'run'))} of 30" in why
    assert command == "  bneck search run --resume"


@LINUX
def test_an_interrupt_of_the_terminal_never_reaches_a_worker(tmp_path: Path) -> None:
    # one that does ends in a traceback on the screen
    words = ["tiny", "--n-trials", 30, "--workers", 2, *LONGER, "--out", "run"]
    with started("search", *words, cwd=tmp_path) as process:
        workers: list[int] = []
        while process.poll() is None and not workers:
            time.sleep(0.01)
            workers = [each for each in session_of(process.pid) if is_worker(each)]
        assert [each for each in workers if hears_interrupts(each, process.pid)] == []


@pytest.mark.parametrize("objectives", ["accuracy,macs", "accuracy"])
def test_other_objectives_and_a_latency_limit_work_to_the_end(tmp_path: Path, objectives: str) -> None:
    words: list[Any] = ["tiny", "--n-trials", 2, "--workers", 1, "--max-latency", "1x", *PLAIN]
    words += ["--objectives", objectives, "--latency-backend", "torch", "--out", "run"]
    ended = bneck("search", *words, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(judged(tmp_path / "run")) == 2
    for record in Run.open(tmp_path / "run").front():
        assert record.latency is not None
        assert record.latency.ratio <= 1
