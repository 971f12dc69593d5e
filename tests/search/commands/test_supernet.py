"""`bneck supernet`: what it leaves, what it prints, how it stops and goes on."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from bneck.evaluate.supernet.checkpoint import load_supernet
from bneck.evaluate.supernet.trainer import SupernetTrainer
from bneck.search.jobs.supernet import CheckpointReporter

from ...evaluate.supernet.example_supernet import CONSTANT, training_of
from ..example_trainings import Ran, files, run

# 96 images in 3 steps an epoch
SHORT = ("--train-images", "96", "--batch-size", "32", "--epochs", "2", "--max-macs", "400K")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """A supernet to read only, and what was printed."""
    path = tmp_path_factory.mktemp("supernets") / "net"
    return path, run("supernet", "tiny", *SHORT, "--file", path)


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Have Ctrl-C pressed in the second epoch."""

    def pressed() -> None:
        step = SupernetTrainer._step

        def stepped(training: SupernetTrainer, *batch: Any) -> None:
            if training.steps == 4:
                monkeypatch.setattr(SupernetTrainer, "_step", step)
                raise KeyboardInterrupt
            step(training, *batch)

        monkeypatch.setattr(SupernetTrainer, "_step", stepped)

    return pressed


def same_weights(file: Path, other: Path) -> bool:
    """To the bit."""
    mine, theirs = load_file(file), load_file(other)
    return mine.keys() == theirs.keys() and all(mine[name].equal(theirs[name]) for name in mine)


def test_a_training_leaves_one_file_and_tells_what_it_is(trained: tuple[Path, Ran]) -> None:
    path, ran = trained
    assert (ran.code, ran.err) == (0, "")
    assert files(path.parent) == ["net"]
    lines = ran.out.splitlines()
    for value in (f"{path}: ", "space tiny", "digits", "96 images", "2 epochs", "uniform", "400K MACs"):
        assert value in lines[0]
    assert lines[1].startswith("recipe few-images, 2 epochs of batch size 32")
    assert lines[2].startswith("50%: epoch 1, train loss ") and lines[2].endswith(" s left")
    assert lines[3].startswith("100%: epoch 2, train loss ") and lines[3].endswith(" images/s")
    assert lines[-1].endswith(f"bneck proxy ARCH --evaluator supernet:{path}")
    found = load_supernet(path)
    assert (found.steps, found.images_seen, found.settings.recipe.batch_size) == (6, 192, 32)
    assert found.space.classes == 10


def test_show_says_what_the_training_said(trained: tuple[Path, Ran]) -> None:
    path, ran = trained
    shown = run("describe", "supernet", path)
    assert shown.out.splitlines() == ran.out.splitlines()[-4:]
    told = json.loads(run("describe", "supernet", path, "--json").out)
    assert (told["space"], told["steps"], told["images_seen"], told["finished"]) == ("tiny", 6, 192, True)
    assert (told["strategy"], told["max_macs"], told["recipe"]["epochs"]) == ("uniform", 400_000, 2)
    assert len(told["curve"]) == 2 and len(told["class_names"]) == 10
    # weights and biases; of batch normalisation no statistics
    sizes = {name: value.numel() for name, value in load_file(path).items()}
    assert told["params"] == sum(size for name, size in sizes.items() if name.endswith((".weight", ".bias")))


def test_with_json_the_progress_is_on_stderr(here: Path) -> None:
    ran = run("supernet", "tiny", *SHORT, "--strategy", "balanced", "--file", "net", "--json")
    assert json.loads(ran.out)["strategy"] == "balanced"
    assert ran.err.count("train loss") == 2


def test_after_ctrl_c_it_goes_on_to_the_same_weights(
    here: Path, trained: tuple[Path, Ran], interrupt: Callable[[], None]
) -> None:
    interrupt()
    stopped = run("supernet", "tiny", *SHORT, "--file", "net")
    assert stopped.code == 130
    message, command = stopped.err.splitlines()
    assert "50%" in message
    last = run("describe", "supernet", "net").out.splitlines()[-1]
    assert "50%" in last and last.endswith(command.strip())
    resumed = run(*shlex.split(command)[1:])
    assert resumed.code == 0
    assert "50%" in resumed.out.splitlines()[0]
    assert same_weights(here / "net", trained[0])


@pytest.mark.slow
def test_the_same_words_go_on_too_and_other_words_do_not(here: Path, interrupt: Callable[[], None]) -> None:
    interrupt()
    run("supernet", "tiny", *SHORT, "--file", "net")
    before = (here / "net").read_bytes()
    for words, told in (
        (("tiny", *SHORT, "--seed", "1"), "net: seed is 0, not 1;"),
        (("tiny", *SHORT[2:]), "net: train images is 96, not 1079;"),
        (("mobile-32", *SHORT[:-2]), "net: space tiny "),
        (
            ("--seed", "1"),
            "--seed cannot change with --resume",
        ),
    ):
        assert run("supernet", *words, "--file", "net", "--resume").complaint.startswith(told)
    assert (here / "net").read_bytes() == before
    assert run("supernet", "tiny", *SHORT, "--file", "net", "--resume").code == 0


def test_what_is_there_is_not_overwritten(trained: tuple[Path, Ran]) -> None:
    path, before = trained[0], trained[0].read_bytes()
    message = run("supernet", "tiny", "--file", path).complaint
    assert message.startswith(f"{path} exists") and f"bneck supernet --file {path} --resume" in message
    message = run("supernet", "--file", path, "--resume").complaint
    assert message.startswith(f"{path} is finished")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "a supernet needs a SPACE"),
        (("tiny", "--minutes", "1", "--epochs", "1"), "--epochs and --minutes exclude each other"),
        (("tiny", "--max-macs", "10K"), "only 0 of 1,000 random networks of space tiny"),
        (("tiny", "--strategy", "fair"), "strategy must be one of uniform, balanced, sandwich, got 'fair'"),
        (("tinny",), "unknown space 'tinny'"),
        (("tiny", "--batch-size", "1"), "batch normalisation needs at least two images per step"),
        (("--resume",), "net: the supernet file is missing"),
    ],
)
def test_bad_words_make_no_file(words: tuple[str, ...], told: str, here: Path) -> None:
    assert run("supernet", *words, "--file", "net").complaint.startswith(told)
    assert files(here) == []


def test_a_folder_that_is_not_there_is_told_at_once(here: Path) -> None:
    told = run("supernet", "tiny", "--file", "there/net").complaint
    assert told.startswith("there/net cannot be written: folder there ")


def test_a_training_that_diverges_says_what_to_try(here: Path) -> None:
    ran = run("supernet", "tiny", *SHORT, "--learning-rate", "1e30", "--file", "net")
    assert ran.code == 2
    assert ran.err.startswith("bneck: net: ")
    assert "--learning-rate" in ran.err


def test_the_time_left_is_by_the_pace_of_this_session_alone() -> None:
    training = training_of(CONSTANT, minutes=0.1)  # a second a step: 6 steps
    training.advance(1)
    lines: list[str] = []
    times = iter([100.0, 110.0, 120.0])
    told = CheckpointReporter(training, lines.append, lambda: next(times))
    for _ in range(2):
        training.advance(1)
        told(training)
    # 8 images, then the 4 that are left of 20; 10 s a step, of which 4 and then 3 are to come
    assert [line.split("; ", 1)[1] for line in lines] == ["1 images/s; 40 s left", "0 images/s; 30 s left"]
    assert lines[0].startswith("33%: epoch 1, train loss ")
