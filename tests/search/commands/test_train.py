"""`bneck train` and `bneck recipe`: what they leave, what they print, how they stop and go on."""

import csv
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision
import yaml

from bneck.evaluate.training.recipe import RECIPES, load_recipe
from bneck.evaluate.training.trainer import Trainer
from bneck.results import Run
from bneck.search.resolve.environment import numbered_run_directory

from ..example_trainings import (
    LEFT,
    NET,
    SHORT,
    TENSORBOARD,
    asks_for_something,
    contents,
    events_in,
    files,
    independent_metrics,
    logits_on_digits,
    photos,
    result,
    run,
    run_with_weights,
    same_weights,
    saved_network,
    train,
    weights,
    write_net,
)

# by the frozen backbone's training, and the stem is summed
TRAINED = ("hidden.", "classifier.", "stem.conv.")
COMMANDS = ("train", "evaluate", "compare", "report")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a network's file."""
    monkeypatch.chdir(tmp_path)
    write_net(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training to read only."""
    folder = tmp_path_factory.mktemp("trainings") / "t"
    train(folder)
    return folder


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search whose best network has weights."""
    return run_with_weights(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have Ctrl-C pressed in the middle of an epoch."""

    def steps_in_epoch(number: int) -> None:
        evaluate = Trainer.evaluate

        def pressed(training: Trainer) -> tuple[float, float]:
            if training.epoch == number:
                monkeypatch.setattr(Trainer, "evaluate", evaluate)
                raise KeyboardInterrupt
            return evaluate(training)

        monkeypatch.setattr(Trainer, "evaluate", pressed)

    return steps_in_epoch


# ------------------------------------------------------------------------------------ the help


# ---------------------------------------------------------------------------- what is left behind


def test_a_training_leaves_its_files_and_tells_where_the_page_is(here: Path) -> None:
    ran = run("train", "net.yaml", *SHORT, "--out", "t")
    assert (ran.code, ran.err) == (0, "")
    assert files(here / "t") == LEFT
    lines = ran.out.splitlines()
    assert lines[0].startswith("t: net.yaml at 8 px from random weights on digits (160 images, 10 classes), ")
    assert [line.partition(":")[0] for line in lines[2:4]] == ["epoch 1/2", "epoch 2/2"]
    assert "report:    t/report.html" in lines
    assert "evaluate:  bneck evaluate t" in lines
    found = result(here / "t")
    [told] = [line for line in lines if line.startswith("test: ")]
    assert f"{100 * found['test']['top1']:.2f}%" in told and "359 images" in told


def test_what_a_training_says_of_the_test_images_is_what_its_weights_say(trained: Path) -> None:
    found = result(trained)
    network = saved_network(trained / "model.safetensors", trained.parent / "net.yaml")
    expected = independent_metrics(*logits_on_digits(network, "test"))
    assert found["test"]["confusion"] == expected["confusion"]
    assert found["test"]["loss"] == pytest.approx(expected["loss"], abs=1e-6)
    assert found["test"]["top1"] == pytest.approx(expected["top1"])
    # so that a wrong answer is not right by chance
    assert 0.4 < expected["top1"] < 0.95


def test_the_network_that_is_kept_is_that_of_the_best_validation_epoch(trained: Path) -> None:
    rows = list(csv.DictReader((trained / "curve.csv").read_text(encoding="utf-8").splitlines()))
    found = result(trained)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    best = max(float(row["validation_top1"]) for row in rows)
    assert found["validation_top1"] == best == float(rows[found["best_epoch"] - 1]["validation_top1"])
    assert (found["epochs"], found["seed"], found["name"]) == (2, 0, str(trained.parent / "net.yaml"))
    assert found["params"] == sum(
        value.numel()
        for name, value in weights(trained / "model.safetensors").items()
        if "running" not in name and "num_batches" not in name
    )
    assert found["size_bytes"] == (trained / "model.safetensors").stat().st_size


@pytest.mark.parametrize(("tops", "kept"), [((0.9, 0.8), 1), ((0.9, 0.9), 2)])
@pytest.mark.slow
def test_the_weights_are_those_of_that_epoch(
    here: Path, monkeypatch: pytest.MonkeyPatch, tops: tuple[float, float], kept: int
) -> None:
    after: dict[int, torch.Tensor] = {}

    def evaluate(training: Trainer) -> tuple[float, float]:
        after[training.epoch] = training.eval_network.state_dict()["classifier.weight"].clone()
        return tops[training.epoch - 1], 1.0

    monkeypatch.setattr(Trainer, "evaluate", evaluate)
    train(here / "t")
    assert result(here / "t")["best_epoch"] == kept
    assert weights(here / "t" / "model.safetensors")["classifier.weight"].equal(after[kept])
    assert weights(here / "t" / "checkpoint.safetensors")["classifier.weight"].equal(after[2])


@pytest.mark.parametrize("data", ["digits", "folder:photos"])
def test_few_images_have_the_same_recipe_in_memory_and_in_folders(here: Path, data: str) -> None:
    photos(here / "photos")
    words = ("--data", data, "--train-images", 20, "--epochs", 1, "--threads", 1, "--out", "t")
    ran = run("train", "net.yaml", *words)
    assert ran.code == 0
    assert ran.out.splitlines()[1].startswith("recipe few-images, 1 epoch")
    settings = yaml.safe_load((here / "t" / "training.yaml").read_text(encoding="utf-8"))
    assert settings["recipe"] == {**vars(load_recipe("few-images")), "epochs": 1}


def test_what_was_asked_for_is_in_the_settings(here: Path) -> None:
    words = ("--seed", 7, "--ema", 0.5, "--epochs", 1, "--resolution", 16, "--recipe", "guide")
    train(here / "t", *words)
    settings = yaml.safe_load((here / "t" / "training.yaml").read_text(encoding="utf-8"))
    assert settings["seed"] == 7
    assert settings["architecture"]["resolution_px"] == 16
    assert (settings["data"]["train_images"], settings["data"]["validation_images"]) == (160, 50)
    recipe = settings["recipe"]
    assert (recipe["epochs"], recipe["ema"], recipe["optimizer"], recipe["augment"]) == (
        1,
        0.5,
        "adamw",
        "none",
    )
    # what is not set otherwise is the recipe's
    assert recipe["drop_path"] == load_recipe("guide").drop_path
    assert recipe["label_smoothing"] == load_recipe("guide").label_smoothing
    assert settings["compute"]["precision"] == "fp32"
    assert settings["threads"] == 1


def test_the_page_has_its_figures_and_asks_nobody_for_anything(trained: Path) -> None:
    html = (trained / "report.html").read_text(encoding="utf-8")
    body = html.split("<body>")[1]
    drawn = re.findall(r'<div id="([\w-]*)" class="plot"', body)
    assert drawn == ["samples", "curves", "confusion", "gallery", "feature-maps", "gates"]
    figures = {
        name: json.loads(re.search(rf'id="{name}-figure">(.*?)</script>', body, re.DOTALL)[1])  # type: ignore[index]
        for name in drawn
    }
    assert all(figure["data"] for figure in figures.values())
    assert not asks_for_something(html)
    assert "default-src 'none'" in html


@pytest.mark.slow
def test_a_seed_repeats_a_training_to_the_bit_and_another_does_not(here: Path, trained: Path) -> None:
    train(here / "again")
    train(here / "other", "--seed", 1)
    assert same_weights(here / "again" / "model.safetensors", trained / "model.safetensors")
    assert not same_weights(here / "other" / "model.safetensors", trained / "model.safetensors")


def test_json_stands_alone_on_stdout(here: Path, trained: Path) -> None:
    ran = run("train", "net.yaml", *SHORT, "--out", "t", "--json")
    assert ran.code == 0
    found = json.loads(ran.out)
    assert found == result(here / "t")
    assert found["test"] == result(trained)["test"]
    assert "epoch 2/2: " in ran.err


@pytest.mark.slow
def test_without_out_the_folders_are_numbered(here: Path) -> None:
    for number in (1, 2):
        ran = run("train", "net.yaml", *SHORT, "--epochs", 1)
        assert f"evaluate:  bneck evaluate runs/net-digits-{number}\n" in ran.out
    assert sorted(path.name for path in (here / "runs").iterdir()) == ["net-digits-1", "net-digits-2"]


def test_a_width_is_whole_in_the_name_of_the_folder(here: Path) -> None:
    numbered = numbered_run_directory("mobilenet_v3_small@0.35", "digits")
    assert numbered.stem == Path("runs/mobilenet_v3_small@0.35-digits")


# ------------------------------------------------------------------------- stopping and going on


@pytest.mark.parametrize(
    "words", [("train", "t", "--resume"), ("train", "net.yaml", *SHORT, "--out", "t", "--resume")]
)
@pytest.mark.slow
def test_a_training_stopped_by_ctrl_c_goes_on_as_if_nothing_had_been(
    here: Path, trained: Path, interrupt: Callable[[int], None], words: tuple[str, ...]
) -> None:
    interrupt(2)
    stopped = run("train", "net.yaml", *SHORT, "--out", "t")
    assert stopped.code == 130
    message, command = stopped.err.splitlines()
    assert "1 of 2 epochs" in message
    assert command.strip() == "bneck train t --resume"
    assert not (here / "t" / "result.json").exists()
    ended = run(*words)
    assert (ended.code, ended.err) == (0, "")
    assert ", epochs 2 to 2: " in ended.out.splitlines()[0]
    assert "epoch 1/2" not in ended.out
    assert same_weights(here / "t" / "model.safetensors", trained / "model.safetensors")
    assert result(here / "t")["test"] == result(trained)["test"]


def test_a_training_stopped_in_its_first_epoch_can_go_on_but_has_nothing_to_judge(
    here: Path, trained: Path, interrupt: Callable[[int], None]
) -> None:
    interrupt(1)
    assert "0 of 2 epochs" in run("train", "net.yaml", *SHORT, "--out", "t").err
    for command in ("evaluate", "report"):
        assert run(command, "t").complaint == "t: no epoch is complete yet; bneck train t --resume"
    assert run("train", "t", "--resume").code == 0
    assert same_weights(here / "t" / "model.safetensors", trained / "model.safetensors")


def test_a_finished_training_that_goes_on_only_reports(here: Path, trained: Path) -> None:
    train(here / "t")
    before = contents(here / "t")
    (here / "t" / "report.html").unlink()
    ended = run("train", "t", "--resume")
    assert (ended.code, ended.err) == (0, "")
    assert "epoch 1/" not in ended.out
    assert ended.out.splitlines()[0].startswith("test: ")
    assert contents(here / "t") == before


@pytest.mark.parametrize(
    ("option", "value"),
    # even a value that is the default, or what the training began with
    [
        ("--epochs", 9),
        ("--seed", 0),
        ("--augment", "none"),
        ("--learning-rate", 0.02),
        ("--train-images", 160),
        ("--device", "cpu"),
        ("--threads", 1),
        ("--init", "x"),
        ("--recipe", "guide"),
    ],
)
def test_a_training_that_goes_on_keeps_what_it_began_with(trained: Path, option: str, value: object) -> None:
    before = contents(trained)
    ended = run("train", trained, "--resume", option, value)
    assert ended.complaint.startswith(f"{option} cannot change with --resume")
    assert contents(trained) == before


@pytest.mark.parametrize(
    ("words", "difference"),
    [
        (("--epochs", 9), "epochs is 2, not 9"),
        (("--seed", 1), "seed is 0, not 1"),
        (("--augment", "flip-crop"), "augment is none, not flip-crop"),
        (("--train-images", 200), "train_images is 160, not 200"),
        (("--threads", 2), "threads is 1, not 2"),
        (("--resolution", 16), "at 8 px"),
        (("--precision", "bf16"), "precision is fp32, not bf16"),
        (("--init", "other"), "initial weights is random weights, not other"),
    ],
)
def test_the_same_words_go_on_and_others_are_named(
    trained: Path, words: tuple[object, ...], difference: str
) -> None:
    before = contents(trained)
    ended = run("train", trained.parent / "net.yaml", *SHORT, *words, "--out", trained, "--resume")
    assert difference in ended.complaint
    assert ended.complaint.startswith(f"{trained}: ")
    assert contents(trained) == before


def test_data_that_has_got_a_class_more_is_refused_when_a_training_goes_on(
    here: Path, interrupt: Callable[[int], None]
) -> None:
    photos(here / "photos")
    interrupt(1)
    words = ("--recipe", "small-images", "--threads", 1, "--epochs", 1, "--batch-size", 4)
    assert run("train", "net.yaml", "--data", "folder:photos", *words, "--out", "t").code == 130
    photos(here / "more", classes=("cat", "dog", "eel"))
    (here / "more" / "eel").rename(here / "photos" / "eel")
    complaint = run("train", "t", "--resume").complaint
    assert complaint.startswith("t: ")
    assert "eel" in complaint


# -------------------------------------------------------------------------- pictures and events


@pytest.mark.slow
def test_png_writes_every_figure_of_the_page(here: Path) -> None:
    pytest.importorskip("kaleido", reason="the extra bneck[png] is not installed")
    train(here / "t", "--png")
    names = ["confusion", "curves", "feature-maps", "gallery", "gates", "samples"]
    assert files(here / "t" / "pictures") == sorted(
        f"{name}.{kind}" for name in names for kind in ("png", "svg")
    )
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (here / "t" / "pictures").glob("*.png"))


def test_pictures_that_cannot_be_drawn_do_not_cost_the_training(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    ended = run("train", "net.yaml", *SHORT, "--epochs", 1, "--out", "t", "--png")
    assert ended.code == 2
    assert "needs the package kaleido" in ended.err
    assert not (here / "t").exists() or set(LEFT) <= set(files(here / "t"))


@pytest.mark.slow
@pytest.mark.extra
@TENSORBOARD
def test_events_of_tensorboard_hold_the_curve(here: Path, interrupt: Callable[[int], None]) -> None:
    interrupt(2)
    assert run("train", "net.yaml", *SHORT, "--out", "t", "--tensorboard").code == 130
    assert run("train", "t", "--resume", "--tensorboard").code == 0
    events = events_in(here / "t" / "tensorboard")
    rows = list(csv.DictReader((here / "t" / "curve.csv").read_text(encoding="utf-8").splitlines()))
    for tag, column in (("loss/train", "train_loss"), ("top-1/validation", "validation_top1")):
        assert events[tag] == [
            (int(row["epoch"]), pytest.approx(float(row[column]), rel=1e-6)) for row in rows
        ]


def test_without_tensorboard_the_remedy_is_told(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    ended = run("train", "net.yaml", *SHORT, "--out", "t", "--tensorboard")
    assert (ended.code, ended.err) == (
        2,
        "bneck: --tensorboard needs the package torch.utils.tensorboard, which is not installed; "
        "install it: pip install 'bneck[tensorboard]'\n",
    )


def test_without_tensorboard_nothing_is_made(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert run("train", "net.yaml", *SHORT, "--out", "t", "--tensorboard").code == 2
    assert files(here) == ["net.yaml"]


# ------------------------------------------------------------------- beginning from trained weights


def test_a_network_of_a_training_is_where_another_begins(here: Path, trained: Path) -> None:
    # a step of length 0 leaves the weights, and a frozen backbone its statistics
    still = ("--learning-rate", 0, "--freeze", "backbone", "--seed", 3)
    ran = train(here / "t", "--init", trained, *still)
    assert f" from {trained} on digits" in ran.out
    assert same_weights(here / "t" / "model.safetensors", trained / "model.safetensors")
    assert result(here / "t")["test"] == result(trained)["test"]


@pytest.mark.slow
def test_a_network_of_a_search_is_where_a_training_begins(here: Path, searched: Run) -> None:
    best = f"{searched.folder}#best"
    words = (*SHORT, "--learning-rate", 0, "--freeze", "backbone", "--epochs", 1)
    ran = run("train", best, "--init", best, *words, "--resolution", 24, "--out", "t")
    assert ran.code == 0, ran
    kept = searched.checkpoint(searched.record("best").architecture)
    assert same_weights(here / "t" / "model.safetensors", kept)


def test_other_classes_get_a_classifier_of_their_own_and_the_rest_is_kept(here: Path, trained: Path) -> None:
    photos(here / "photos")
    words = ("--recipe", "small-images", "--freeze", "backbone", "--epochs", 1, "--batch-size", 4)
    data = ("--data", "folder:photos", "--threads", 1)
    ran = run("train", "net.yaml", *data, "--init", trained, *words, "--out", "t")
    assert ran.code == 0, ran
    mine, given = weights(here / "t" / "model.safetensors"), weights(trained / "model.safetensors")
    stem = "stem.conv.weight"
    # a third for each colour, so that grey images in colour give what they gave before
    assert torch.allclose(mine[stem], (given[stem] / 3).expand(-1, 3, -1, -1))
    assert {name for name in mine if mine[name].shape != given[name].shape} == {
        stem,
        "classifier.weight",
        "classifier.bias",
    }
    same = [name for name in mine if mine[name].shape == given[name].shape]
    assert all(mine[name].equal(given[name]) for name in same)


@pytest.mark.slow
def test_the_backbone_trains_unless_it_is_frozen(here: Path, trained: Path) -> None:
    given = weights(trained / "model.safetensors")
    for name, words in (("free", ()), ("frozen", ("--freeze", "backbone"))):
        train(here / name, "--init", trained, "--epochs", 1, *words)
        mine = weights(here / name / "model.safetensors")
        assert mine["stem.conv.weight"].equal(given["stem.conv.weight"]) is (name == "frozen")
        assert not mine["classifier.weight"].equal(given["classifier.weight"])


@pytest.mark.slow
def test_torchvisions_weights_come_from_a_file(here: Path) -> None:
    torch.manual_seed(0)
    given = torchvision.models.mobilenet_v3_small(weights=None).state_dict()
    torch.save(given, here / "small.pth")
    short = (
        "--train-images",
        20,
        "--validation-images",
        20,
        "--batch-size",
        20,
        "--epochs",
        1,
        "--threads",
        1,
    )
    words = ("--pretrained", "--weights", "small.pth", "--freeze", "backbone", "--out", "t")
    ran = run("train", "mobilenet_v3_small", *short, *words)
    assert ran.code == 0, ran
    assert " from ImageNet weights of torchvision on digits" in ran.out
    mine = weights(here / "t" / "model.safetensors")
    # grey images get the sum over the colours
    assert torch.allclose(mine["stem.conv.weight"], given["features.0.0.weight"].sum(1, keepdim=True))
    known = {value.numpy().tobytes() for name, value in given.items() if name.startswith("features.")}
    kept = {name: value for name, value in mine.items() if not name.startswith(TRAINED)}
    assert len(kept) > 200
    assert [name for name, value in kept.items() if value.numpy().tobytes() not in known] == []


def test_imagenet_weights_that_cannot_be_fetched_are_told_with_the_way_round(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(here / "empty"))
    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    ended = run("train", "mobilenet_v3_small", "--pretrained", *SHORT, "--out", "t")
    assert ended.code == 2
    assert ended.err.splitlines()[-1].startswith("bneck: the weights of mobilenet_v3_small are not in ")
    assert "pass it as --weights FILE" in ended.err
    assert not (here / "t").exists()


# ------------------------------------------------------------------- words that make no sense


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["mobilenet_v3_smal"], "unknown network 'mobilenet_v3_smal'"),
        (["nowhere.yaml"], "nowhere.yaml: cannot be read: No such file or directory"),
        (["nowhere#1"], "nowhere is not a search run"),
        (["--data", "didgits"], "unknown data set 'didgits'"),
        (["--data", "folder:nowhere"], "nowhere not found; it needs"),
        (["--data", "fashion-mnist", "--data-root", "nowhere"], "--download"),
        (["--recipe", "gide"], "unknown recipe 'gide'"),
        (["--recipe", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["--recipe", "bad.yaml"], "bad.yaml:2: epochs: must be a whole number, got many"),
        (["--optimizer", "sdg"], "optimizer must be one of sgd, adam, adamw, rmsprop, got 'sdg'"),
        (["--augment", "mixed"], "unknown augmentation 'mixed'"),
        (["--augment", ""], "unknown augmentation ''"),
        (["--ema", "1"], "ema must be from 0 to below 1, got 1.0"),
        (["--ema", "-0.1"], "ema must be from 0 to below 1, got -0.1"),
        (["--freeze", "all"], "freeze must be one of none, backbone, early-stages, got 'all'"),
        (["--precision", "fp8"], "--precision must be auto, fp32, bf16, fp16, got 'fp8'"),
        (["--device", "gpu"], "--device must be auto, cpu or cuda, got 'gpu'"),
        (["--init", "nowhere"], "nowhere: checkpoint file not found"),
        (["--init", "empty"], "empty is no training; give a folder of `bneck train`, a file or RUN#TRIAL"),
        (["--init", "net.yaml"], "net.yaml: not a bneck checkpoint"),
        (["--init", "nowhere#1"], "nowhere is not a search run"),
        (["--init", "x", "--pretrained"], "--init and --pretrained exclude each other"),
        (["--init", "x", "--weights", "w"], "--init and --pretrained exclude each other"),
        (["--pretrained"], "pretrained must be mobilenet_v3_large, mobilenet_v3_small, mobilenet_v2"),
        (["--weights", "nowhere.pth"], "pretrained must be mobilenet_v3_large, mobilenet_v3_small, "),
        (["mobilenet_v3_small", "--weights", "bad.yaml"], "bad.yaml: damaged, or not written"),
        (["--out", "empty"], "empty exists; choose another --out, or resume it: bneck train empty "),
        (["--out", "net.yaml"], "net.yaml exists"),
        (["--out", "net.yaml/t"], "net.yaml/t cannot be created: Not a directory"),
        (["--resume", "--out", "nowhere"], "nowhere is not a training (no training.yaml)"),
        (["--resume", "--out", "empty"], "empty is not a training (no training.yaml)"),
    ],
)  # fmt: skip
def test_a_training_that_cannot_begin_says_why_and_makes_nothing(
    here: Path, words: list[str], expected: str
) -> None:
    (here / "empty").mkdir()
    (here / "bad.yaml").write_text("bneck: recipe/1\nepochs: many\n", encoding="utf-8")
    before = contents(here)
    arch = [] if words[0][:2] != "--" else ["net.yaml"]
    # a later option wins over an earlier one
    assert expected in run("train", *arch, *SHORT, "--out", "t", *words).complaint
    assert contents(here) == before
    assert files(here) == ["bad.yaml", "empty", "net.yaml"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["net.yaml", "net.yaml"],
        ["net.yaml", "--epochs", "0"],
        ["net.yaml", "--epochs", "many"],
        ["net.yaml", "--batch-size", "0"],
        ["net.yaml", "--learning-rate", "-1"],
        ["net.yaml", "--learning-rate", "nan"],
        ["net.yaml", "--resolution", "4"],
        ["net.yaml", "--seed", "-1"],
        ["net.yaml", "--train-images", "0"],
        ["net.yaml", "--validation-images", "0"],
        ["net.yaml", "--threads", "0"],
        ["net.yaml", "--colour", "red"],
    ],
)
@pytest.mark.slow
def test_what_the_parser_refuses_has_a_usage_line_and_makes_nothing(here: Path, words: list[str]) -> None:
    ended = run("train", *words)
    assert (ended.code, ended.out) == (2, "")
    assert re.match(r"Usage: .*bneck train ", ended.err)
    assert files(here) == ["net.yaml"]


@pytest.mark.parametrize("folder", ["nowhere", "empty"])
def test_going_on_needs_a_training(here: Path, folder: str) -> None:
    (here / "empty").mkdir()
    complaint = run("train", folder, "--resume").complaint
    assert complaint == f"{folder} is not a training (no training.yaml); create one with `bneck train`"


def test_several_processes_must_be_told_the_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run("train", "net.yaml", *SHORT).complaint.startswith("several processes need --out DIR")
    assert files(here) == ["net.yaml"]


def test_a_training_whose_loss_is_no_number_keeps_what_it_had_and_tells_what_to_try(here: Path) -> None:
    words = ("--optimizer", "sgd", "--learning-rate", 1e30, "--epochs", 2)
    ended = run("train", "net.yaml", *SHORT, *words, "--out", "t")
    assert ended.code == 2
    last = ended.err.splitlines()[-1]
    assert last.startswith("bneck: t: the loss ")
    assert "--learning-rate" in last
    assert "checkpoint.safetensors" in files(here / "t")


@pytest.mark.parametrize(
    "words", [("--batch-size", 1), ("--batch-size", 2, "--train-images", 21), ("--train-images", 1)]
)
def test_a_step_of_one_image_is_refused_where_the_maps_have_one_place(
    here: Path, words: tuple[object, ...]
) -> None:
    small = NET.replace("stride: 1", "stride: 2")  # 8 px, 4, 2, 1
    write_net(here, text=small)
    assert "batch" in run("train", "net.yaml", *SHORT, "--epochs", 1, *words, "--out", "t").complaint
    assert not (here / "t").exists()


# --------------------------------------------------------------------------------- recipes


def test_recipe_without_a_name_lists_the_presets() -> None:
    assert run("describe", "recipe").out.split() == list(RECIPES)
    assert json.loads(run("describe", "recipe", "--json").out) == list(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_printed_in_any_way_is_the_recipe_again(here: Path, name: str) -> None:
    for words in ((), ("--yaml",)):
        (here / "mine.yaml").write_text(run("describe", "recipe", name, *words).out, encoding="utf-8")
        assert load_recipe("mine.yaml") == load_recipe(name)
    shown = run("describe", "recipe", "mine.yaml", "--json")
    assert json.loads(shown.out) == vars(load_recipe(name))
    assert shown.err == ""


def test_a_recipe_of_ones_own_is_trained_by(here: Path) -> None:
    (here / "mine.yaml").write_text("bneck: recipe/1\nepochs: 1\nmomentum: 0.5\n", encoding="utf-8")
    words = ("--train-images", 20, "--validation-images", 20, "--threads", 1)
    assert run("train", "net.yaml", "--recipe", "mine.yaml", *words, "--out", "t").code == 0
    settings = yaml.safe_load((here / "t" / "training.yaml").read_text(encoding="utf-8"))
    assert (settings["recipe"]["epochs"], settings["recipe"]["momentum"]) == (1, 0.5)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["gide"], "unknown recipe 'gide'"),
        (["gide", "--yaml"], "unknown recipe 'gide'"),
        (["nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["bad.yaml"], "bad.yaml:2: epochs: must be a whole number, got many"),
        (["bad.yaml", "--json"], "bad.yaml:2: epochs: must be a whole number, got many"),
        (["net.yaml"], "net.yaml:1: bneck: must be recipe/1, got architecture/1"),
    ],
)
def test_a_recipe_that_is_none_is_told(here: Path, words: list[str], expected: str) -> None:
    (here / "bad.yaml").write_text("bneck: recipe/1\nepochs: many\n", encoding="utf-8")
    assert expected in run("describe", "recipe", *words).complaint
