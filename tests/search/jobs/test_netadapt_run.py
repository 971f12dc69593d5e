"""`bneck netadapt`: initial network, results, interruption and resume."""

import csv
import json
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bneck.evaluate.data.dataset import load_data
from bneck.evaluate.training.metrics import Metrics
from bneck.results import Run
from bneck.results.store.netadapt_run import NetAdaptRun
from bneck.results.store.training_run import TrainingRun
from bneck.search.jobs import netadapt_run as adapting
from bneck.search.jobs import netadapt_tuning as adapt_tuning
from bneck.search.jobs.training_request import RANDOM_WEIGHTS
from bneck.search_space import cost, load_architecture

from ..example_trainings import (
    SHORT,
    Ran,
    asks_for_something,
    contents,
    independent_metrics,
    logits_on_digits,
    run,
    run_with_weights,
    same_weights,
    train,
    write_net,
)
from ..helpers import fake_device, fake_model

NET = """\
bneck: architecture/1
resolution_px: 8
image_channels: 1
classes: 10
stem: {out: 8, activation: hardswish, kernel: 3, stride: 1}
blocks:
  - {kernel: 3, expanded: 24, out: 8, attention: se, activation: relu, stride: 1, squeeze: 8}
  - {kernel: 3, expanded: 32, out: 16, attention: none, activation: relu, stride: 2}
head: {features: 32, hidden: 0, activation: hardswish}
"""
NO_LATENCY = ("--latency-backend", "none")
FAST = ("--finetune-images", "32", "--step", "0.15", "--threads", "1")
# of the 81,088 that NET has; 44,112 is the least
LIMIT = ("--max-macs", "60K")


@dataclass
class InlinePool:
    """Stands in for the pool: runs jobs in this process when `wait` is called.

    Attributes:
        stop_after: number of proposals before Ctrl-C.
    """

    subject: Any
    workers: int
    start: Callable[[Any], None]
    stop_after: int = 10_000
    waiting: list[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = field(default_factory=list)
    tuned: int = 0

    def __enter__(self) -> "InlinePool":
        adapt_tuning._worker = adapt_tuning.TuningWorker(self.subject)
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, step: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, step, arguments))
        return future

    def wait(self, _: object) -> set[Future[Any]]:
        if self.tuned == self.stop_after:
            raise KeyboardInterrupt
        self.tuned += 1
        future, step, arguments = self.waiting.pop(0)
        future.set_result(step(*arguments))
        return {future}


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[InlinePool]]:
    """Run proposals in this process, with an interruption after some of them."""

    def use(stop_after: int = 10_000) -> list[InlinePool]:
        opened: list[InlinePool] = []

        def pool(subject: Any, workers: int, start: Callable[[Any], None]) -> InlinePool:
            opened.append(InlinePool(subject, workers, start, stop_after))
            return opened[-1]

        monkeypatch.setattr(adapting, "Pool", pool)
        return opened

    return use


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training to read only."""
    folder = tmp_path_factory.mktemp("trainings") / "t"
    train(folder, "--epochs", 1, net=write_net(folder.parent, text=NET))
    return folder


@pytest.fixture(scope="module")
def adapted(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished adaptation to read only."""
    folder = tmp_path_factory.mktemp("netadapt") / "a"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adapting, "Pool", InlinePool)
        ran = adapt(trained, folder)
    assert ran.code == 0, ran
    return folder


def adapt(network: object, folder: Path, *words: object) -> Ran:
    return run("netadapt", network, *LIMIT, *NO_LATENCY, *FAST, *words, "--out", folder)


def path_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "path.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def without_seconds(folder: Path) -> list[dict[str, str]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in path_of(folder)]


@pytest.mark.slow
def test_a_run_writes_path_networks_and_final_training(adapted: Path) -> None:
    rows = path_of(adapted)
    macs = [int(row["macs"]) for row in rows]
    assert macs[-1] <= 60_000 < macs[-2]
    assert macs == sorted(macs, reverse=True)
    assert sorted(file.name for file in (adapted / "steps").iterdir()) == [
        f"{row['step']}.safetensors" for row in rows
    ]
    result = json.loads((adapted / "result.json").read_text(encoding="utf-8"))
    assert (result["n_steps"], result["final"]["key"]) == (len(rows) - 1, rows[-1]["key"])
    assert not asks_for_something((adapted / "report.html").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_run_starts_from_the_training_and_reports_test_accuracy(adapted: Path, trained: Path) -> None:
    assert same_weights(adapted / "steps" / "0.safetensors", trained / "model.safetensors")
    result = json.loads((adapted / "result.json").read_text(encoding="utf-8"))
    for name, folder in (("start", trained), ("final", adapted / "final")):
        network = TrainingRun.open(folder).model().network()
        expected = independent_metrics(*logits_on_digits(network, "test"))
        assert result[name]["test_top1"] == pytest.approx(expected["top1"], abs=2e-6)
        assert result[name]["test_loss"] == pytest.approx(expected["loss"], abs=2e-6)
        assert result[name]["macs"] == cost(network.architecture).macs
    assert result["test_images"] == load_data("digits").count("test")


def test_the_final_training_opens_in_other_commands(adapted: Path, tmp_path: Path) -> None:
    final = adapted / "final"
    assert run("export", final, "--format", "config,onnx", "-o", tmp_path / "out").code == 0
    [config] = (tmp_path / "out").glob("*.yaml")
    assert load_architecture(config).key == path_of(adapted)[-1]["key"]
    assert json.loads(run("inspect", final, "--json").out)["key"] == path_of(adapted)[-1]["key"]
    told = json.loads(run("evaluate", final, *NO_LATENCY, "--json").out)
    result = json.loads((adapted / "result.json").read_text(encoding="utf-8"))
    assert told["top1"] == result["final"]["test_top1"]


def test_recipe_and_data_are_those_of_the_training(adapted: Path, trained: Path) -> None:
    first, last = (TrainingRun.open(folder).settings for folder in (trained, adapted / "final"))
    assert (last.recipe, last.data, last.seed) == (first.recipe, first.data, 0)
    assert last.initial_weights == str(adapted / "steps" / f"{path_of(adapted)[-1]['step']}.safetensors")


@pytest.mark.slow
def test_the_same_seed_gives_the_same_files(
    adapted: Path, trained: Path, tmp_path: Path, inline: Callable[..., Any]
) -> None:
    inline()
    assert adapt(trained, tmp_path / "b").code == 0
    assert without_seconds(tmp_path / "b") == without_seconds(adapted)
    last = f"steps/{len(path_of(adapted)) - 1}.safetensors"
    assert same_weights(tmp_path / "b" / last, adapted / last)


@pytest.mark.slow
def test_after_ctrl_c_a_resumed_run_gives_the_same_result(
    adapted: Path, trained: Path, tmp_path: Path, inline: Callable[..., Any]
) -> None:
    tunings = [int(row["proposals"]) + 1 for row in path_of(adapted)[1:]]
    done = tunings[0] + 1  # in the second step
    inline(stop_after=done)
    stopped = adapt(trained, tmp_path / "b")
    assert (stopped.code, len(path_of(tmp_path / "b"))) == (130, 2)
    assert "1 step;" in stopped.err
    assert stopped.err.endswith(f"bneck netadapt {tmp_path / 'b'} --resume\n")
    pools = inline()
    ran = run("netadapt", tmp_path / "b", "--resume")
    assert ran.code == 0, ran
    assert pools[0].tuned == sum(tunings) - done, "what was tuned is not tuned again"
    assert without_seconds(tmp_path / "b") == without_seconds(adapted)
    last = f"steps/{len(path_of(adapted)) - 1}.safetensors"
    assert same_weights(tmp_path / "b" / last, adapted / last)
    assert same_weights(
        tmp_path / "b" / "final" / "model.safetensors", adapted / "final" / "model.safetensors"
    )


def test_a_finished_run_is_printed_without_another_evaluation(
    adapted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> Metrics:
        raise AssertionError("the test images are looked at once")

    monkeypatch.setattr("bneck.results.export.training.metrics_on_split", never)
    before = contents(adapted)
    ran = run("netadapt", adapted, "--resume", "--json")
    assert ran.code == 0
    told = json.loads(ran.out)
    assert told.pop("path")[-1]["key"] == path_of(adapted)[-1]["key"]
    assert told == json.loads(before["result.json"])
    assert contents(adapted) == before


@pytest.mark.slow
def test_an_untrained_network_is_trained_first_and_the_final_one_from_scratch(
    tmp_path: Path, inline: Callable[..., Any]
) -> None:
    inline()
    words = (*SHORT[: SHORT.index("--threads")], "--epochs", "1", "--final", "scratch")
    ran = adapt(write_net(tmp_path, text=NET), tmp_path / "a", *words)
    assert ran.code == 0, ran
    start, final = (TrainingRun.open(tmp_path / "a" / name) for name in ("start", "final"))
    assert same_weights(start.model_file, tmp_path / "a" / "steps" / "0.safetensors")
    assert start.settings.initial_weights == final.settings.initial_weights == "random weights"
    assert not start.result_file.exists()


@pytest.mark.slow
def test_an_untrained_network_can_be_trained_from_given_weights(
    tmp_path: Path, trained: Path, inline: Callable[..., Any]
) -> None:
    inline()
    words = (*SHORT[: SHORT.index("--threads")], "--epochs", "1", "--weights", trained / "model.safetensors")
    ran = adapt(write_net(tmp_path, text=NET), tmp_path / "a", *words)
    assert ran.code == 0, ran
    adapted = NetAdaptRun.open(tmp_path / "a")
    assert same_weights(adapted.pretrained_file, trained / "model.safetensors")
    assert not same_weights(adapted.network_file(0), trained / "model.safetensors")
    assert TrainingRun.open(adapted.start_folder).settings.initial_weights != RANDOM_WEIGHTS


@pytest.mark.slow
def test_worker_processes_give_the_same_result(adapted: Path, trained: Path, tmp_path: Path) -> None:
    assert adapt(trained, tmp_path / "b", "--workers", 1).code == 0
    assert without_seconds(tmp_path / "b") == without_seconds(adapted)


@pytest.mark.slow
def test_a_fraction_of_the_initial_latency_is_met_on_a_device(
    trained: Path, tmp_path: Path, inline: Callable[..., Any]
) -> None:
    inline()
    ran = run("netadapt", trained, "--to", 0.9, "--latency-backend", "fake", *FAST, "--out", tmp_path / "a")
    assert ran.code == 0, ran
    rows = path_of(tmp_path / "a")
    assert float(rows[-1]["latency_ms"]) <= 0.9 * float(rows[0]["latency_ms"])
    assert {row["latency_source"] for row in rows} == {"measured"}


@pytest.mark.slow
def test_a_predictor_of_another_device_replaces_measurement(
    trained: Path, tmp_path: Path, inline: Callable[..., Any]
) -> None:
    inline()
    elsewhere = fake_device(processor="another machine")
    model = fake_model({"network": 0.01, "pointwise_macs": 1e-6, "depthwise_macs": 1e-6}, elsewhere)
    model.save(tmp_path / "m.json")
    words = ("--to", 0.8, "--latency-predictor", tmp_path / "m.json", *FAST, "--out", tmp_path / "a")
    ran = run("netadapt", trained, *words)
    assert ran.code == 0, ran
    assert "another machine" in ran.out
    rows = NetAdaptRun.open(tmp_path / "a").path()
    assert {row.latency.source for row in rows if row.latency} == {"predicted"}
    limit = 0.8 * model.predict(rows[0].architecture).ratio
    ratios = [model.predict(row.architecture).ratio for row in rows]
    assert ratios[-1] <= limit * 1.001 and all(ratio > limit for ratio in ratios[:-1])


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_with_weights(tmp_path_factory.mktemp("runs") / "run")


@pytest.mark.slow
def test_a_network_of_a_search_is_adapted_in_the_folder_of_the_run(
    searched: Run, inline: Callable[..., Any]
) -> None:
    inline(stop_after=0)
    best = searched.record("best")
    for count in (1, 2):
        words = ("--max-macs", int(0.9 * best.cost.macs), *NO_LATENCY, *FAST)
        ran = run("netadapt", f"{searched.folder}#best", *words)
        folder = searched.folder / "netadapt" / f"trial-{best.trial}-{count}"
        assert ran.code == 130, ran
        opened = NetAdaptRun.open(folder)
        assert opened.settings.architecture == best.architecture
        assert same_weights(opened.network_file(0), searched.checkpoint(best.architecture))


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "exactly one of --max-latency, --max-macs, --to, got none"),
        (("--max-macs", "9K", "--to", "0.5"), "got --max-macs, --to"),
        (("--to", "1.5"), "--to must be above 0 and below 1"),
        (
            ("--to", "0.5", "--latency-backend", "none"),
            "a limit on latency needs a --latency-backend, or a --latency-predictor",
        ),
        (("--max-macs", "1K", *NO_LATENCY), "cannot be pruned to 1K: the lowest reachable cost is"),
        (("--max-macs", "9M", *NO_LATENCY), "satisfies macs <= 9M already"),
        (
            ("--max-macs", "9K", "--cuts", "width,length"),
            "--cuts must be of width, depth, kernel",
        ),
        (("--max-macs", "9K", "--pretrained"), "is trained already; --pretrained is for untrained networks"),
        (("--max-macs", "9K", "--final", "both"), "--final must be inherit or scratch, got 'both'"),
        (("--max-macs", "9K", "--latency-predictor", "m.json"), "--max-macs and --latency-predictor exclude"),
        (("--max-latency", "5"), "a latency limit must be above 0 with its unit"),
    ],
)
def test_an_invalid_request_is_refused_without_side_effects(
    trained: Path, tmp_path: Path, words: tuple[str, ...], complaint: str
) -> None:
    backend = () if "--latency-backend" in words else ("--latency-backend", "fake")
    if "--latency-predictor" in words:
        backend = ()
    ran = run("netadapt", trained, *words, *backend, "--out", tmp_path / "a")
    assert ran.code == 2 and ran.out.count("\n") <= 1, ran
    assert complaint in ran.err.splitlines()[-1]
    assert not (tmp_path / "a").exists()


def test_an_existing_run_is_not_overwritten_and_resumes_on_request(adapted: Path, trained: Path) -> None:
    before = contents(adapted)
    assert "exists; choose another --out" in adapt(trained, adapted).complaint
    assert f"bneck netadapt {adapted} --resume" in run("netadapt", adapted, *LIMIT).complaint
    assert "--max-macs cannot change with --resume" in run("netadapt", adapted, *LIMIT, "--resume").complaint
    assert "is not a NetAdapt run" in run("netadapt", trained, "--resume").complaint
    assert contents(adapted) == before
