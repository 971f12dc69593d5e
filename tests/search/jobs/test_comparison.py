"""`bneck compare`: trainings, results, interruption and resume."""

import csv
import json
import os
import pickle
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bneck.evaluate.training.metrics import Metrics
from bneck.results.export.training import metrics_on_split
from bneck.results.text.comparison import COLUMNS
from bneck.search.jobs import comparison as comparing
from bneck.search.jobs.latency import NamedLatency
from bneck.search_space import ArchitectureError, BneckError, RunError, UnknownNameError

from ...results.example_run import latency
from ..example_trainings import (
    IMAGES,
    LEARN,
    NET,
    asks_for_something,
    contents,
    files,
    independent_metrics,
    logits_on_digits,
    result,
    run,
    same_weights,
    saved_network,
    train,
    write_net,
)
from ..helpers import bneck
from ..runner.test_search_run import LINUX, started, wait_until_alone

ONE_EPOCH = (*IMAGES, *LEARN, "--epochs", "1")
NO_LATENCY = ("--latency-backend", "none")
WIDE = NET.replace("features: 32", "features: 48")


@dataclass
class InlinePool:
    """Stands in for the pool: runs jobs in this process when `wait` is called.

    Attributes:
        stop_after: number of trainings before Ctrl-C.
    """

    subject: Any
    workers: int
    start: Any
    stop_after: int | None = None
    done: int = 0
    jobs: dict[Future[Any], Callable[[], Any]] = field(default_factory=dict)

    def __enter__(self) -> "InlinePool":
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, step: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.jobs[future] = lambda: step(*arguments)
        return future

    def wait(self, pending: Iterable[Future[Any]]) -> set[Future[Any]]:
        if self.done == self.stop_after:
            raise KeyboardInterrupt
        self.done += 1
        future = next(iter(pending))
        try:
            future.set_result(self.jobs[future]())
        except Exception as error:
            future.set_exception(error)
        return {future}


@pytest.fixture(autouse=True)
def inline(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no processes except in slow tests."""
    if not request.node.get_closest_marker("slow"):
        monkeypatch.setattr(comparing, "Pool", InlinePool)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with two networks."""
    monkeypatch.chdir(tmp_path)
    write_net(tmp_path, "a.yaml")
    write_net(tmp_path, "b.yaml", WIDE)
    return tmp_path


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished comparison of two networks with two seeds, to read only."""
    folder = tmp_path_factory.mktemp("compared")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(comparing, "Pool", InlinePool)
        write_net(folder, "a.yaml")
        write_net(folder, "b.yaml", WIDE)
        ran = run("compare", "a.yaml", "b.yaml", *ONE_EPOCH, "--seeds", 2, *NO_LATENCY, "--out", "c")
    assert ran.code == 0, ran
    yield folder / "c"


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def top1_by_training(folder: Path) -> dict[tuple[str, int], float]:
    return {(row["name"], int(row["seed"])): float(row["top1"]) for row in rows(folder / "trainings.csv")}


# ------------------------------------------------------------------------------------ networks


@pytest.mark.parametrize(("name", "seed"), [("a.yaml", 0), ("b.yaml", 1)])
@pytest.mark.slow
def test_each_training_equals_the_same_training_run_alone(
    compared: Path, tmp_path: Path, name: str, seed: int
) -> None:
    words = ("--epochs", 1, "--seed", seed)
    train(tmp_path / "t", *words, net=compared.parent / name)
    own = compared / "trainings" / f"{name}-seed{seed}"
    assert same_weights(own / "model.safetensors", tmp_path / "t" / "model.safetensors")
    assert result(own)["test"] == result(tmp_path / "t")["test"]
    assert top1_by_training(compared)[name, seed] == result(tmp_path / "t")["test"]["top1"]


@pytest.mark.slow
def test_test_metrics_match_the_saved_weights(compared: Path) -> None:
    for row in rows(compared / "trainings.csv"):
        own = compared / "trainings" / f"{row['name']}-seed{row['seed']}"
        network = saved_network(own / "model.safetensors", compared.parent / row["name"])
        expected = independent_metrics(*logits_on_digits(network, "test"))
        assert float(row["top1"]) == pytest.approx(expected["top1"])
        assert float(row["loss"]) == pytest.approx(expected["loss"], abs=1e-6)
        assert int(row["images"]) == expected["images"]


def test_the_table_holds_mean_and_deviation_over_the_seeds(compared: Path) -> None:
    tops = top1_by_training(compared)
    assert sorted(tops) == [("a.yaml", 0), ("a.yaml", 1), ("b.yaml", 0), ("b.yaml", 1)]
    table = rows(compared / "comparison.csv")
    assert tuple(table[0]) == COLUMNS
    assert [row["name"] for row in table] == ["a.yaml", "b.yaml"]
    for row in table:
        own = [tops[row["name"], seed] for seed in (0, 1)]
        assert float(row["test_top1"]) == pytest.approx(np.mean(own))
        assert float(row["test_top1_std"]) == pytest.approx(np.std(own, ddof=1))
        assert (row["n_seeds"], row["latency_ms"]) == ("2", "")
    # 16 * 16 more weights and as many MACs for each of the 4x4 places, 16 * 10 in the classifier,
    # and scale and shift of the normalisation
    assert int(table[1]["params"]) - int(table[0]["params"]) == 16 * 16 + 16 * 10 + 2 * 16
    assert int(table[1]["macs"]) - int(table[0]["macs"]) == 16 * 16 * 16 + 16 * 10


def test_a_comparison_writes_tables_report_and_trainings(compared: Path) -> None:
    assert sorted(path.name for path in compared.iterdir()) == [
        "comparison.csv",
        "comparison.html",
        "lock",
        "trainings",
        "trainings.csv",
    ]
    names = sorted(path.name for path in (compared / "trainings").iterdir())
    assert names == ["a.yaml-seed0", "a.yaml-seed1", "b.yaml-seed0", "b.yaml-seed1"]
    html = (compared / "comparison.html").read_text(encoding="utf-8")
    assert "a.yaml" in html
    assert "b.yaml" in html
    assert html.count('class="plot"') > 0
    assert not asks_for_something(html)


@pytest.mark.slow
def test_trainings_of_a_comparison_open_in_other_commands(compared: Path, tmp_path: Path) -> None:
    own = compared / "trainings" / "b.yaml-seed1"
    found = json.loads(run("evaluate", own, *NO_LATENCY, "--json").out)
    assert found["top1"] == top1_by_training(compared)["b.yaml", 1]
    assert run("report", own, "-o", tmp_path).code == 0
    assert "b.yaml on digits" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_terminal_shows_a_row_per_network_and_the_best(here: Path) -> None:
    ran = run("compare", "a.yaml", "b.yaml", *ONE_EPOCH, "--seeds", 1, *NO_LATENCY, "--out", "c")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    tops = top1_by_training(here / "c")
    for (name, seed), top1 in tops.items():
        assert any(f"{name}, seed {seed}: " in line and f"{100 * top1:.2f}%" in line for line in lines)
    table = [line.split() for line in lines if line.startswith(("a.yaml ", "b.yaml "))]
    assert [(row[0], row[1], row[2]) for row in table] == [
        (name, "1", f"{100 * top1:.1f}") for (name, _), top1 in tops.items()
    ]
    best = max(tops, key=lambda each: tops[each])[0]
    assert any(line.startswith(f"Highest accuracy: {best}, ") and "359 test images" in line for line in lines)
    assert [line.split()[1] for line in lines[-2:]] == ["c/comparison.html", "c/comparison.csv,"]


def test_json_is_alone_on_stdout_and_equals_the_tables(here: Path, compared: Path) -> None:
    # all is trained already
    shutil.copytree(compared, here / "c")
    words = ("--seeds", 2, *NO_LATENCY, "--out", "c", "--resume", "--json")
    ran = run("compare", "a.yaml", "b.yaml", *ONE_EPOCH, *words)
    found = json.loads(ran.out)
    assert (found["factor"], found["data"], found["seed_list"]) == ("networks", "digits", [0, 1])
    assert (found["test_images"], found["reference"]) == (359, "")
    tops = {(each["name"], each["seed"]): each["top1"] for each in found["trainings"]}
    assert tops == top1_by_training(compared)
    table = rows(compared / "comparison.csv")
    means = [float(row["test_top1"]) for row in table]
    assert [each["test_top1"] for each in found["variants"]] == pytest.approx(means)
    assert "a.yaml, seed 0: " in ran.err


def test_latencies_are_measured_on_one_device(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def make_meter(*words: Any) -> None:
        asked.append(words)

    def measure_all(_: None, networks: Any, *, fresh: bool) -> list[NamedLatency]:
        return [
            NamedLatency(each.name, latency(ratio)) for each, ratio in zip(networks, (0.25, 0.5), strict=True)
        ]

    monkeypatch.setattr(comparing, "make_meter", make_meter)
    monkeypatch.setattr(comparing, "measure_all", measure_all)
    words = (
        "--seeds",
        1,
        "--latency-backend",
        "torch",
        "--reference-model",
        "mobilenet_v2",
        "--out",
        "c",
        "--json",
    )
    found = json.loads(run("compare", "a.yaml", "b.yaml", *ONE_EPOCH, *words).out)
    assert [each["latency_ratio"] for each in found["variants"]] == [0.25, 0.5]
    assert [each["latency_ms"] for each in found["variants"]] == [0.5, 1.0]
    assert [each["latency_vs_first"] for each in found["variants"]] == [1.0, 2.0]
    assert found["reference"] == "mobilenet_v2@224px"
    [(architecture, *rest)] = asked
    assert rest == ["torch", 1, 1, "mobilenet_v2"]
    assert (architecture.resolution_px, architecture.classes) == (8, 10)


@pytest.mark.slow
def test_networks_are_trained_in_worker_processes(here: Path, compared: Path) -> None:
    words = ("--seeds", 2, "--workers", 2, "--out", "c")
    ended = bneck("compare", "a.yaml", "b.yaml", *ONE_EPOCH, *words, cwd=here)
    assert ended.returncode == 0, ended.stderr
    assert top1_by_training(here / "c") == top1_by_training(compared)
    assert all(float(row["latency_ms"]) > 0 for row in rows(here / "c" / "comparison.csv"))


# ------------------------------------------------------------------------------- augmentations


def test_augmentations_are_compared_on_one_network(here: Path, compared: Path) -> None:
    words = ("--augment", "none, flip-crop+mixup", "--seeds", 1, "--out", "c", "--json")
    found = json.loads(run("compare", "a.yaml", *ONE_EPOCH, *words).out)
    assert found["factor"] == "augmentations"
    assert [each["name"] for each in found["variants"]] == ["none", "flip-crop+mixup"]
    assert "augment" not in found["recipe"]
    for name in ("none", "flip-crop+mixup"):
        settings = yaml.safe_load(
            (here / "c" / "trainings" / f"{name}-seed0" / "training.yaml").read_text(encoding="utf-8")
        )
        assert (settings["recipe"]["augment"], settings["name"]) == (name, "a.yaml")
    plain, mixed = (here / "c" / "trainings" / f"{name}-seed0" for name in ("none", "flip-crop+mixup"))
    alone = compared / "trainings" / "a.yaml-seed0"
    assert same_weights(plain / "model.safetensors", alone / "model.safetensors")
    assert not same_weights(mixed / "model.safetensors", alone / "model.safetensors")


def test_a_single_augmentation_applies_to_all_networks(here: Path) -> None:
    words = ("--augment", "flip-crop+random-erase", "--seeds", 1, *NO_LATENCY, "--out", "c", "--json")
    found = json.loads(run("compare", "a.yaml", "b.yaml", *ONE_EPOCH, *words).out)
    assert [each["name"] for each in found["variants"]] == ["a.yaml", "b.yaml"]
    assert "flip-crop+random-erase" in found["recipe"]
    for path in (here / "c" / "trainings").glob("*/training.yaml"):
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))["recipe"]
        assert recipe["augment"] == "flip-crop+random-erase"


# ------------------------------------------------------------------------- interruption and resume


@pytest.mark.slow
def test_a_comparison_interrupted_by_ctrl_c_resumes(
    here: Path, compared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("compare", "a.yaml", "b.yaml", *ONE_EPOCH, "--seeds", 2, *NO_LATENCY, "--out", "c")
    monkeypatch.setattr(comparing, "Pool", partial(InlinePool, stop_after=3))
    stopped = run(*words)
    assert stopped.code == 130
    assert "3 of 4" in stopped.err and "--out c --resume" in stopped.err
    assert not (here / "c" / "comparison.csv").exists()
    before = {path: content for path, content in contents(here / "c").items() if "/" in path}
    assert len({path.split("/")[1] for path in before}) == 3
    monkeypatch.setattr(comparing, "Pool", InlinePool)
    ended = run(*words, "--resume")
    assert (ended.code, ended.err) == (0, "")
    assert {path: content for path, content in contents(here / "c").items() if path in before} == before
    assert top1_by_training(here / "c") == top1_by_training(compared)


def test_resuming_with_more_seeds_trains_only_the_new_ones(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[str] = []

    def counted(*words: Any) -> Metrics:
        judged.append(words[2])
        return metrics_on_split(*words)

    monkeypatch.setattr(comparing, "metrics_on_split", counted)
    words = ("compare", "a.yaml", *ONE_EPOCH, *NO_LATENCY, "--out", "c")
    assert run(*words, "--seeds", 1).code == 0
    before = contents(here / "c" / "trainings")
    assert run(*words, "--seeds", 2, "--resume").code == 0
    after = contents(here / "c" / "trainings")
    assert {path: content for path, content in after.items() if path in before} == before
    assert {path.split("/")[0] for path in after.keys() - before.keys()} == {"a.yaml-seed1"}
    assert [row["n_seeds"] for row in rows(here / "c" / "comparison.csv")] == ["2"]
    assert judged == ["test", "test"]


def test_changed_options_are_refused_and_nothing_is_lost(
    compared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(compared.parent)
    before = contents(compared)
    words = ("--seeds", 2, *NO_LATENCY, "--out", "c", "--resume")
    ended = run("compare", "a.yaml", "b.yaml", *ONE_EPOCH, *words, "--epochs", 2)
    assert ended.code == 2
    assert ended.err.splitlines()[-1].startswith("bneck: c/trainings/a.yaml-seed0: epochs is 1, not 2;")
    assert contents(compared) == before


@pytest.mark.parametrize("out", ["t", "nowhere"])
def test_resuming_needs_a_comparison(here: Path, out: str) -> None:
    train(here / "t", "--epochs", 1)
    before = contents(here / "t")
    words = ("--seeds", 1, *NO_LATENCY, "--out", out, "--resume")
    assert out in run("compare", "a.yaml", *ONE_EPOCH, *words).complaint
    assert contents(here / "t") == before
    assert not (here / "nowhere").exists()


@pytest.mark.slow
@LINUX
def test_ctrl_c_ends_all_processes_and_the_comparison_resumes(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("a.yaml", "b.yaml", *IMAGES, *LEARN, "--epochs", 8, "--seeds", 1, *NO_LATENCY)
    with started("compare", *words, "--workers", 2, "--out", "c", cwd=here) as process:
        end = time.monotonic() + 60
        while not list((here / "c").glob("trainings/*/curve.csv")) and time.monotonic() < end:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert wait_until_alone(process.pid) == []
    assert process.returncode == 130
    assert "--out c --resume" in err
    monkeypatch.setattr(comparing, "Pool", InlinePool)
    assert run("compare", *words, "--out", "c", "--resume").code == 0
    assert run("compare", *words, "--out", "whole").code == 0
    assert top1_by_training(here / "c") == top1_by_training(here / "whole")


# ------------------------------------------------------------------- invalid requests


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a.yaml", "a.yaml"], "names must be distinct, got a.yaml, a.yaml"),
        (["a.yaml", "--augment", "none,none"], "names must be distinct, got none, none"),
        (["a.yaml", "b.yaml", "--augment", "none,mixup"], "augmentations are compared on one network"),
        (["a.yaml", "--augment", "none,mixed"], "unknown augmentation 'mixed'"),
        (["a.yaml", "--augment", "none,"], "unknown augmentation ''"),
        (["a.yaml", "--augment", ""], "unknown augmentation ''"),
        (["a.yaml", "nowhere.yaml"], "nowhere.yaml: cannot be read: No such file or directory"),
        (["a.yaml", "mobilenet_v4"], "unknown network 'mobilenet_v4'"),
        (["a.yaml", "nowhere#1"], "nowhere is not a search run"),
        (["a.yaml", "--data", "didgits"], "unknown data set 'didgits'"),
        (["a.yaml", "--recipe", "gide"], "unknown recipe 'gide'"),
        (["a.yaml", "--optimizer", "sdg"], "optimizer must be one of sgd, adam, adamw, rmsprop, got 'sdg'"),
        (["a.yaml", "--freeze", "all"], "freeze must be one of none, backbone, early-stages, got 'all'"),
        (["a.yaml", "--ema", "1"], "ema must be from 0 to below 1, got 1.0"),
        (["a.yaml", "--device", "gpu"], "--device must be auto, cpu or cuda, got 'gpu'"),
        (["a.yaml", "--latency-backend", "onnx"], "unknown latency backend 'onnx'"),
        (
            ["a.yaml", "--latency-backend", "torch", "--reference-model", "mobilenet_v4"],
            "unknown network 'mobilenet_v4'",
        ),
        (["a.yaml", "--out", "a.yaml"], "a.yaml exists; choose another --out"),
        (
            ["a.yaml", "--out", "full"],
            "full exists; choose another --out, or resume it: --out full --resume",
        ),
    ],
)
def test_an_invalid_comparison_is_refused_without_side_effects(
    here: Path, words: list[str], expected: str
) -> None:
    (here / "full").mkdir()
    before = files(here)
    none = () if "--latency-backend" in words else NO_LATENCY
    assert expected in run("compare", *ONE_EPOCH, "--out", "c", *none, *words).complaint
    assert files(here) == before


def test_resuming_needs_the_folder(here: Path) -> None:
    assert run("compare", "a.yaml", "--resume").complaint == (
        "--resume needs --out DIR, the folder of the comparison"
    )
    assert files(here) == ["a.yaml", "b.yaml"]


@pytest.mark.parametrize(
    "words", [[], ["a.yaml", "--seeds", "0"], ["a.yaml", "--workers", "0"], ["a.yaml", "--seed", "1"]]
)
def test_parser_errors_show_usage_and_create_nothing(here: Path, words: list[str]) -> None:
    ended = run("compare", *words)
    assert (ended.code, ended.out) == (2, "")
    assert re.match(r"Usage: .*bneck compare ", ended.err)
    assert files(here) == ["a.yaml", "b.yaml"]


@pytest.mark.parametrize(
    "error", [ArchitectureError("pretrained", "must be x"), UnknownNameError("split", "tst", ["test"])]
)
def test_errors_survive_pickling(error: BneckError) -> None:
    # otherwise concurrent.futures says that the process died
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))


def test_a_simple_error_survives_pickling() -> None:
    assert str(pickle.loads(pickle.dumps(RunError("full")))) == "full"
