import inspect
import logging
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from PIL import Image

from bneck.evaluate.data.dataset import load_data
from bneck.evaluate.data.torch_pair import data_from_datasets
from bneck.results import Record, Run
from bneck.search import run_search
from bneck.search.resolve.requests import SearchRequest
from bneck.search_space import Architecture, DataError, GoalError, PluginError

from .helpers import FOUR, SMALL

QUICK: dict[str, Any] = {
    "space": SMALL,
    "latency_backend": "fake",
    "objectives": "accuracy,macs",
    "n_trials": 4,
    "train_images": 60,
    "validation_images": 20,
    "no_latency_predictor": True,
    "progress": False,
    "device": "cpu",
}


def by_key(architecture: Architecture, seed: int) -> float:
    return 0.2 + int(architecture.key, 16) % 601 / 1000


def evaluated(run: Run) -> list[Record]:
    return [record for record in run.records() if record.is_evaluated]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_function_evaluates_and_callbacks_receive_every_finished_trial(here: Path) -> None:
    received: list[Record] = []
    run = run_search(**QUICK, evaluator=by_key, callbacks=[received.append], out="run")
    assert run.folder == Path("run")
    assert [each.accuracy.top1 for each in evaluated(run) if each.accuracy] == [
        by_key(each.architecture, 0) for each in evaluated(run)
    ]
    assert [each.key for each in received if each.is_evaluated] == [each.key for each in evaluated(run)]
    # no weights were given: nothing is evaluated on the test set, no baseline is trained
    assert not any((here / "run" / "checkpoints").iterdir())
    assert (here / "run" / "report.html").is_file()
    assert run.settings.space == SMALL
    assert "by_key" in run.settings.evaluator


@pytest.mark.slow
def test_a_run_with_an_object_asks_for_it_again_by_name(here: Path) -> None:
    run_search(**QUICK, evaluator=by_key, out="run")
    with pytest.raises(GoalError, match=r"evaluator.*by_key"):
        run_search(resume="run", n_trials=6, progress=False)
    with pytest.raises(GoalError, match="sampler"):
        run_search(resume="run", evaluator=by_key, sampler=optuna.samplers.RandomSampler(), progress=False)
    run = run_search(resume="run", n_trials=6, evaluator=by_key, progress=False)
    assert len(evaluated(run)) == 6
    with pytest.raises(TypeError, match="max_macs"):
        run_search(resume="run", evaluator=by_key, max_macs="1M")


@pytest.mark.slow
def test_sampler_and_storage_may_be_objects_of_optuna(here: Path) -> None:
    storage = optuna.storages.InMemoryStorage()
    sampler = optuna.samplers.RandomSampler(seed=3)
    run = run_search(**QUICK, evaluator=by_key, sampler=sampler, storage=storage, out=here / "run")
    assert run.study.sampler is sampler
    assert not (here / "run" / "study.db").exists()
    assert [study.study_name for study in storage.get_all_studies()] == [run.settings.study]
    again = run_search(
        resume=run.folder, n_trials=5, evaluator=by_key, sampler=sampler, storage=storage, progress=False
    )
    assert len(evaluated(again)) == 5


@pytest.mark.slow
def test_data_may_be_an_object_that_implements_the_protocol(here: Path) -> None:
    digits = load_data("digits")
    run = run_search(
        **QUICK | {"space": FOUR, "n_trials": 1}, data=digits, epochs=1, baselines="none", out="run"
    )
    [record] = evaluated(run)
    assert record.accuracy
    assert record.accuracy.images == 20
    assert run.checkpoint(record.architecture).is_file()
    with pytest.raises(GoalError, match="data"):
        run_search(resume="run", n_trials=2, progress=False)


def test_the_default_words_are_those_of_the_command_line() -> None:
    parameters = inspect.signature(run_search).parameters
    for name, default in (("data", "digits"), ("n_trials", None), ("max_macs", None), ("sampler", "ehvi")):
        assert parameters[name].default == default
    shown = inspect.getdoc(run_search) or ""
    for field in fields(SearchRequest):
        assert field.name in parameters
        assert field.metadata["option"].help in shown


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"evaluator": by_key, "workers": 2}, ["evaluator", "by_key", "workers=2"]),
        ({"data": 7}, ["data", "int"]),
        ({"sampler": 7}, ["sampler", "int"]),
        ({"storage": 7}, ["storage", "int"]),
        ({"evaluator": 7}, ["evaluator", "int"]),
        ({"evaluator": by_key, "n_trials": 0}, ["n-trials", "0"]),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(
    options: dict[str, Any], named: list[str], here: Path
) -> None:
    with pytest.raises((GoalError, DataError)) as raised:
        run_search(**QUICK | options, out="run")
    assert [word for word in named if word not in str(raised.value)] == []


def test_an_unknown_setting_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="max_flops"):
        run_search("tiny", max_flops="5M")


def test_a_sampler_plugin_must_give_a_sampler_of_optuna(here: Path) -> None:
    with pytest.raises(PluginError, match="dict"):
        run_search(**QUICK, evaluator=by_key, sampler=lambda context: {"seed": context.seed})


@pytest.mark.slow
def test_an_interrupt_leaves_a_run_that_can_be_resumed(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(architecture: Architecture, seed: int) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_search(**QUICK | {"progress": True}, evaluator=interrupted, out="run")
    assert "resume='run'" in capsys.readouterr().out
    run = run_search(resume="run", evaluator=by_key, progress=False)
    assert len(evaluated(run)) == 4


@pytest.mark.slow
def test_messages_go_to_the_logger_bneck(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="bneck"):
        run_search(**QUICK, evaluator=by_key, out="run")
    assert any("4 trials" in record.getMessage() for record in caplog.records)


@pytest.mark.slow
def test_a_script_from_standard_input_needs_no_guard(here: Path) -> None:
    script = """
from bneck.search import run_search
run = run_search("tiny", latency_backend="fake", n_trials=2, epochs=1, train_images=60, validation_images=20,
    baselines="none", max_latency="9x", device="cpu", no_latency_predictor=True, progress=False, out="run")
print(len(run.front()) > 0, run.verifications() != {})
"""
    ran = subprocess.run(
        [sys.executable, "-"], input=script, capture_output=True, text=True, cwd=here, check=False
    )
    assert (ran.stdout.split(), ran.stderr) == (["True", "True"], "")


class Pictures(torch.utils.data.Dataset[tuple[Any, int]]):
    """Grey pictures, 12 of each of two classes."""

    classes = ("dark", "light")

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> tuple[Any, int]:
        if index >= 24:
            raise IndexError
        pixels = np.full((8, 8), 10 * index, np.uint8)
        tensor = torch.from_numpy(pixels)[None]
        images = {
            "pil": Image.fromarray(pixels),
            "bytes": tensor,
            "floats": tensor / 255,
            "normalized": tensor / 255 - 5.0,
            "arrays": pixels,
        }
        return images[self.kind], index // 12


@pytest.mark.parametrize("kind", ["pil", "bytes", "floats", "arrays"])
def test_a_pair_of_torch_datasets_is_data(kind: str) -> None:
    data = data_from_datasets(Pictures(kind), Pictures(kind))
    assert (data.class_names, data.image_channels, data.name) == (("dark", "light"), 1, "Pictures")
    # one in ten training images of each class validates, at least one
    assert [data.count(split) for split in ("train", "validation", "test")] == [22, 2, 24]
    [(images, _)] = data.batches("test", 8, 24)
    grey = images[:, 0, 0, 0] * data.pixel_std[0] + data.pixel_mean[0]
    assert grey.tolist() == pytest.approx([10.0 * index for index in range(24)], abs=0.01)


@pytest.mark.parametrize("kind", ["normalized"])
def test_images_that_are_no_pictures_are_refused(kind: str) -> None:
    with pytest.raises(DataError):
        data_from_datasets(Pictures(kind), Pictures(kind))
