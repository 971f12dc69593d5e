"""`bneck evaluate`: its numbers, and the networks and images that it takes."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from bneck.evaluate import Latency, wilson_interval
from bneck.evaluate.data.dataset import SPLITS, Split, load_data
from bneck.evaluate.latency.measurement import failed_latency
from bneck.results import Run
from bneck.results.text.formatting import percent_range
from bneck.search.console.evaluation_table import print_evaluation
from bneck.search.jobs import latency as latency_job
from bneck.search.jobs.latency import NamedLatency
from bneck.search_space import architecture_yaml

from ...evaluate.data.example_torchvision import write_idx
from ...results.example_run import latency
from ..example_trainings import (
    assert_equal_metrics,
    contents,
    independent_metrics,
    logits_on_digits,
    photos,
    run,
    run_with_weights,
    saved_network,
    train,
    weights,
    write_net,
)

NO_LATENCY = ("--latency-backend", "none")
# the recipe for images in memory, which is short
ON_PHOTOS = ("--recipe", "small-images", "--epochs", 3, "--batch-size", 4, "--threads", 1, "--seed", 1)


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
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Have every network take 0.6 ms, 0.3 of the reference; the list is what the meters were asked for."""
    asked: list[tuple[Any, ...]] = []

    def make_meter(*words: Any) -> SimpleNamespace:
        asked.append(words)
        return SimpleNamespace(setup=SimpleNamespace(backend=words[1]))

    def measure_all(_: SimpleNamespace, networks: Any, *, fresh: bool) -> list[NamedLatency]:
        return [NamedLatency(each.name, latency(0.3)) for each in networks]

    monkeypatch.setattr(latency_job, "make_meter", make_meter)
    monkeypatch.setattr(latency_job, "measure_all", measure_all)
    return asked


def as_json(*words: object) -> dict[str, Any]:
    """What `bneck evaluate` prints for programs, which stands alone on stdout."""
    ran = run("evaluate", *words, "--json")
    assert (ran.code, ran.err) == (0, "")
    found: dict[str, Any] = json.loads(ran.out)
    return found


# ------------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.slow
def test_the_numbers_are_those_of_scikit_learn(trained: Path, split: Split) -> None:
    # of the whole split, however few images the training took
    found = as_json(trained, "--split", split, *NO_LATENCY)
    network = saved_network(trained / "model.safetensors", trained.parent / "net.yaml")
    assert_equal_metrics(found, independent_metrics(*logits_on_digits(network, split)))
    assert (found["split"], found["data"], found["name"]) == (split, "digits", str(trained))
    assert [each["name"] for each in found["classes"]] == list("0123456789")


def test_cost_and_size_are_those_of_the_network_and_its_file(trained: Path) -> None:
    found = as_json(trained, *NO_LATENCY)
    # stem 9*8*64; block 1: 8*16*64, 9*16*64, se 2*16*4, 16*8*64; block 2: 8*32*64, 9*32*16, 32*16*16;
    # head 16*32*16, classifier 32*10
    macs = 4608 + 8192 + 9216 + 128 + 8192 + 16384 + 4608 + 8192 + 8192 + 320
    assert found["macs"] == macs
    tensors = weights(trained / "model.safetensors").items()
    assert found["params"] == sum(value.numel() for name, value in tensors if name[-4:] in ("ight", "bias"))
    assert found["size_bytes"] == (trained / "model.safetensors").stat().st_size
    assert found["latency"] is None
    assert found["left_out"] is None


def test_a_folder_and_its_file_are_the_same_network(trained: Path) -> None:
    folder, file = (as_json(path, *NO_LATENCY) for path in (trained, trained / "model.safetensors"))
    assert {**folder, "name": ""} == {**file, "name": ""}


def test_the_last_epoch_can_be_judged_by_its_file(trained: Path) -> None:
    found = as_json(trained / "checkpoint.safetensors", *NO_LATENCY)
    network = saved_network(trained / "checkpoint.safetensors", trained.parent / "net.yaml")
    assert_equal_metrics(found, independent_metrics(*logits_on_digits(network, "test")))


@pytest.mark.parametrize("trial", ["best", "5"])
@pytest.mark.slow
def test_a_network_of_a_search_is_judged_by_its_number_or_as_the_best(
    searched: Run, tmp_path: Path, trial: str
) -> None:
    record = searched.record("best")
    path = tmp_path / "net.yaml"
    path.write_text(architecture_yaml(record.architecture), encoding="utf-8")
    found = as_json(f"{searched.folder}#{trial}", *NO_LATENCY)
    network = saved_network(searched.checkpoint(record.architecture), path)
    assert_equal_metrics(found, independent_metrics(*logits_on_digits(network, "test")))
    assert (found["key"], found["macs"]) == (record.key, record.cost.macs)


def test_a_person_reads_the_numbers_and_the_weakest_class_first(trained: Path) -> None:
    network = saved_network(trained / "model.safetensors", trained.parent / "net.yaml")
    expected = independent_metrics(*logits_on_digits(network, "test"))
    ran = run("evaluate", trained, *NO_LATENCY)
    head, cost, columns, *rows = ran.out.splitlines()
    most = max(sum(row) for row in expected["confusion"]) / 359
    interval = percent_range(*wilson_interval(expected["top1"], 359))
    assert head == (
        f"{trained} on 359 test images of digits: top-1 {100 * expected['top1']:.2f}% ({interval}), "
        f"top-5 {100 * expected['top5']:.2f}%, loss {expected['loss']:.4f}, "
        f"calibration error {100 * expected['calibration_error']:.2f}%; "
        f"balanced accuracy {100 * np.mean(expected['recall']):.2f}%; chance 10.00%, "
        f"majority class '3' {100 * most:.2f}%"
    )
    assert cost.startswith("68.03K MACs, 2.838K parameters, ")
    assert columns.split()[:2] == ["class", "images"]
    order = sorted(range(10), key=lambda each: (round(expected["f1"][each], 6), str(each)))
    assert [row.split()[0] for row in rows] == [str(each) for each in order]
    for row, own in zip(rows, order, strict=True):
        others = [0 if place == own else count for place, count in enumerate(expected["confusion"][own])]
        shares = [f"{100 * expected[name][own]:.1f}" for name in ("precision", "recall", "f1")]
        mistaken = f"{int(np.argmax(others))} ({max(others)})" if max(others) else ""
        assert row.split() == [str(own), str(sum(expected["confusion"][own])), *shares, *mistaken.split()]


def test_of_many_classes_the_weakest_are_shown(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"c{number:02}" for number in range(33)]
    classes = [
        {"name": name, "images": 1, "precision": 1.0, "recall": 1.0, "f1": number / 40}
        for number, name in enumerate(reversed(names))
    ]
    found = {**as_json(trained, *NO_LATENCY), "classes": classes, "confusion": np.eye(33, dtype=int).tolist()}
    print_evaluation(found)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[3:-1]] == sorted(names, reverse=True)[:30]
    assert lines[-1].startswith("and 3 classes ")


def test_class_names_are_no_markup(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"name": "[red]", "images": 3, "precision": 1.0, "recall": 1.0, "f1": 1.0}
    found = {
        **as_json(trained, *NO_LATENCY),
        "classes": [row, {**row, "name": "[/b]"}],
        "confusion": [[3, 0], [2, 1]],
    }
    print_evaluation(found)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[3:]]
    assert [(row[0], *row[5:]) for row in rows] == [("[/b]", "[red]", "(2)"), ("[red]",)]


# ------------------------------------------------------------------------------------ latency


def test_the_latency_is_told_with_what_it_is_a_ratio_to(
    trained: Path, measured: list[tuple[Any, ...]]
) -> None:
    words = ("--latency-backend", "torch", "--latency-threads", 2, "--reference-model", "mobilenet_v2")
    found = as_json(trained, *words)["latency"]
    assert (found["latency_ms"], found["ratio"]) == pytest.approx((0.6, 0.3))
    assert (found["backend"], found["reference"]) == ("torch", "mobilenet_v2@224px")
    [(architecture, *asked)] = measured
    assert asked == ["torch", 2, 1, "mobilenet_v2"]
    assert (architecture.resolution_px, architecture.classes) == (8, 10)
    assert ", 0.600 ms (0.300x mobilenet_v2@224px), " in run("evaluate", trained, *words).out.splitlines()[1]


def test_a_latency_that_cannot_be_measured_is_told_with_the_way_round(
    trained: Path, measured: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure_all(_: None, networks: Any, *, fresh: bool) -> list[NamedLatency]:
        return [NamedLatency(networks[0].name, failed_latency("out of memory"))]

    monkeypatch.setattr(latency_job, "measure_all", measure_all)
    complaint = run("evaluate", trained).complaint
    assert complaint.startswith(f"{trained}: out of memory; --latency-backend none ")


@pytest.mark.slow
def test_the_latency_is_measured_for_real(trained: Path) -> None:
    ran = run("evaluate", trained, "--json")
    found = Latency(
        **{
            name: value
            for name, value in json.loads(ran.out)["latency"].items()
            if name not in ("backend", "reference")
        }
    )
    assert 0 < found.ratio_low <= found.ratio <= found.ratio_high
    assert 0 < found.latency_ms < 50


# ------------------------------------------------------------------------------ other images


@pytest.fixture(scope="module")
def animals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, and a training `t` on them."""
    folder = tmp_path_factory.mktemp("animals")
    name = f"folder:{photos(folder / 'photos')}"
    ran = run("train", write_net(folder), "--data", name, *ON_PHOTOS, "--out", folder / "t")
    assert ran.code == 0, ran
    return folder


def clothes(root: Path, least: int) -> Path:
    """Files of Fashion-MNIST with noise of at least this grey level; a class is lighter than the last."""
    noise = np.random.default_rng(least)
    root.mkdir()
    for prefix, count in (("train", 200), ("t10k", 60)):
        labels = np.arange(count, dtype=np.uint8) % 10
        pixels = noise.integers(least, least + 60, (count, 28, 28)) + 8 * labels[:, None, None]
        write_idx(root / f"{prefix}-images-idx3-ubyte", pixels.astype(np.uint8))
        write_idx(root / f"{prefix}-labels-idx1-ubyte", labels)
    return root


def test_other_images_are_seen_as_the_network_was_trained_to_see(tmp_path: Path) -> None:
    dark, light = clothes(tmp_path / "dark", 20), clothes(tmp_path / "light", 90)
    train(tmp_path / "t", "--data", "fashion-mnist", "--data-root", dark, "--epochs", 1)
    words = (tmp_path / "t", "--data", "fashion-mnist", "--data-root", light, *NO_LATENCY)
    network = saved_network(tmp_path / "t" / "model.safetensors", tmp_path / "net.yaml")
    ours, theirs = (load_data("fashion-mnist", root=root) for root in (dark, light))
    [(images, labels)] = theirs.batches("test", 8, 1000)
    pixels = images * theirs.pixel_std[0] + theirs.pixel_mean[0]
    with torch.inference_mode():
        logits = network((pixels - ours.pixel_mean[0]) / ours.pixel_std[0]).double().numpy()
        otherwise = network(images).double().numpy()
    expected = independent_metrics(logits, labels.numpy())
    assert as_json(*words)["loss"] == pytest.approx(expected["loss"], rel=1e-4)
    # so that it matters
    assert abs(independent_metrics(otherwise, labels.numpy())["loss"] / expected["loss"] - 1) > 0.01


def test_images_that_cannot_be_read_are_told(animals: Path, tmp_path: Path) -> None:
    photos(tmp_path / "photos")
    for number in range(12):
        (tmp_path / "photos" / "dog" / f"{number}.png").write_bytes(b"no image")
    words = (animals / "t", "--data", f"folder:{tmp_path / 'photos'}", *NO_LATENCY)
    found = as_json(*words)
    assert "could not be read and were left out" in found["left_out"]
    assert found["classes"][1]["images"] == 0
    assert found["left_out"] in run("evaluate", *words).out


@pytest.mark.parametrize(
    ("classes", "difference"),
    [(("cat", "eel"), "without dog and with eel"), (("cat", "dog", "eel"), "is with eel (2 classes in")],
)
def test_images_of_other_classes_are_refused(
    animals: Path, tmp_path: Path, classes: tuple[str, ...], difference: str
) -> None:
    name = f"folder:{photos(tmp_path / 'photos', classes=classes)}"
    complaint = run("evaluate", animals / "t", "--data", name, *NO_LATENCY).complaint
    assert complaint.startswith(f"{name}: the network was trained on other classes: the data is ")
    assert difference in complaint


def test_a_folder_of_test_images_is_evaluated_whole(animals: Path, tmp_path: Path) -> None:
    # As many images as a file each, in splits of another name, without one of the classes.
    folder = tmp_path / "new"
    photos(folder / "Testing", classes=("dog",))
    for note in ("a.heic", "b.heic"):
        (folder / "Testing" / "dog" / note).touch()
    count = len(list(folder.rglob("*.png")))
    words = ("evaluate", animals / "t", "--data", f"folder:{folder}", *NO_LATENCY)
    assert "--split all" in run(*words).complaint
    found = as_json(*words[1:], "--split", "all")
    assert (found["split"], found["images"]) == ("all", count)
    assert [(each["name"], each["images"]) for each in found["classes"]] == [("cat", 0), ("dog", count)]
    assert [sum(row) for row in found["confusion"]] == [0, count]
    assert "2 .heic" in found["left_out"]
    printed = run(*words, "--split", "all").out
    assert f"all {count} images" in printed
    assert "2 .heic" in printed


def test_all_images_of_a_data_set_in_memory_are_evaluated(trained: Path) -> None:
    # 1,797 digits, see scikit-learn
    assert as_json(trained, "--split", "all", *NO_LATENCY)["images"] == 1797


def test_images_in_colour_are_not_for_a_network_for_grey_ones(trained: Path, animals: Path) -> None:
    complaint = run("evaluate", trained, "--data", f"folder:{animals / 'photos'}", *NO_LATENCY).complaint
    assert complaint == f"folder:{animals / 'photos'}: the network needs 1 channels, got 3"


def test_images_that_have_gone_are_named(animals: Path, tmp_path: Path) -> None:
    photos(tmp_path / "photos")
    name = f"folder:{tmp_path / 'photos'}"
    net = animals / "net.yaml"
    assert run("train", net, "--data", name, *ON_PHOTOS, "--epochs", 1, "--out", tmp_path / "t").code == 0
    (tmp_path / "photos").rename(tmp_path / "moved")
    assert f"folder {tmp_path / 'photos'} not found" in run("evaluate", tmp_path / "t", *NO_LATENCY).complaint
    moved = as_json(tmp_path / "t", "--data", f"folder:{tmp_path / 'moved'}", *NO_LATENCY)
    assert moved["images"] > 0


def test_a_training_knows_where_its_data_is(tmp_path: Path) -> None:
    root = clothes(tmp_path / "clothes", 0)
    train(tmp_path / "t", "--data", "fashion-mnist", "--data-root", root, "--epochs", 1)
    # 60 of them, and not those of the system in their place
    assert as_json(tmp_path / "t", *NO_LATENCY)["images"] == 60


# ------------------------------------------------------------------- words that make no sense


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nowhere"], "nowhere: checkpoint file not found"),
        (["nowhere.safetensors"], "nowhere.safetensors: checkpoint file not found"),
        (["FOLDER"], "is no training; give a folder of `bneck train`, a file or RUN#TRIAL"),
        (["NET"], "net.yaml: not a bneck checkpoint"),
        (["nowhere#1"], "nowhere is not a search run"),
        (["RUN#99"], "has no trial '99'"),
        (["RUN#x"], "has no trial 'x'"),
        (["RUN#0"], "checkpoint file not found"),
        (["T", "--split", "tests"], "unknown split 'tests'"),
        (["T", "--split", ""], "unknown split ''"),
        (["T", "--data", "didgits"], "unknown data set 'didgits'"),
        (["T", "--data", "fashion-mnist", "--data-root", "nowhere"], "--download"),
        (["T", "--device", "gpu"], "--device must be auto, cpu or cuda, got 'gpu'"),
        (["T", "--latency-backend", "onnx"], "unknown latency backend 'onnx'"),
        (["T", "--reference-model", "mobilenet_v4"], "unknown network 'mobilenet_v4'"),
    ],
)
def test_what_cannot_be_judged_is_told_in_one_line(
    trained: Path, searched: Run, tmp_path: Path, words: list[str], expected: str
) -> None:
    places = {"FOLDER": tmp_path, "NET": trained.parent / "net.yaml", "T": trained}
    first = str(places.get(words[0], words[0])).replace("RUN", str(searched.folder))
    before = contents(trained)
    none = () if {"--latency-backend", "--reference-model"} & set(words) else NO_LATENCY
    assert expected in run("evaluate", first, *words[1:], *none).complaint
    assert contents(trained) == before


def test_long_names_leave_room_for_the_numbers(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("a" * 100, "b" * 100)
    rows = [{"name": name, "images": 3, "precision": 0.25, "recall": 0.5, "f1": 0.75} for name in names]
    print_evaluation({**as_json(trained, *NO_LATENCY), "classes": rows, "confusion": [[1, 2], [2, 1]]})
    told = [line.split() for line in capsys.readouterr().out.splitlines()[3:]]
    assert [row[1:5] for row in told] == [["3", "25.0", "50.0", "75.0"]] * 2
