"""What `bneck train` is asked for: everything is checked before a folder is made."""

import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import torch

from ...evaluate import host, package_versions, usable_cores
from ...evaluate.data.dataset import Data
from ...evaluate.training.checkpoint import load_checkpoint
from ...evaluate.training.pretrained import pretrained_network, transfer
from ...evaluate.training.recipe import Recipe, load_recipe
from ...evaluate.training.train import seeded_network
from ...evaluate.training.trainer import Conditions, Precision, Training
from ...results.store.directories import refuse_existing
from ...results.store.training_run import TrainingFolder, TrainingSettings
from ...search_space import Architecture, GoalError, RunError
from ...search_space.network import Network
from ..commands.inspect import find
from ..parallel.distributed import is_first, process_count, wait_for_all
from ..resolve.trained_networks import trained_file
from ..runner.create import free_folder, torch_device
from ..runner.worker import load_run_data, open_images
from .training_loop import save_progress

RANDOM_WEIGHTS, IMAGENET_WEIGHTS = "random weights", "ImageNet weights of torchvision"
_STEP_PX = 32


@dataclass(frozen=True)
class TrainingRequest:
    """What a person asked for, in words; see `bneck train --help`.

    Attributes:
        changes: fields of the recipe that are set otherwise.
        weights: a file with ImageNet weights of torchvision, instead of torch's cache.
        init: a trained network to begin from.
    """

    arch: str
    data: str
    out: Path | None = None
    recipe: str | None = None
    changes: tuple[tuple[str, Any], ...] = ()
    seed: int = 0
    resolution_px: int | None = None
    pretrained: bool = False
    weights: Path | None = None
    init: str | None = None
    data_root: Path | None = None
    download: bool = False
    train_images: int | None = None
    validation_images: int | None = None
    device: str = "auto"
    precision: str = "auto"
    compiled: bool = False
    threads: int | None = None


def plan(request: TrainingRequest) -> tuple[TrainingSettings, Data]:
    """Check what was asked for, and open the images; nothing is made.

    Raises:
        BneckError: whatever cannot be met.
    """
    named = find(request.arch)
    images, data = open_images(request)
    recipe = recipe_for(request.recipe, data)
    recipe = replace(recipe, **dict(request.changes))
    begins_from = _begins_from(request)
    if recipe.freeze == "backbone" and begins_from == RANDOM_WEIGHTS:
        raise GoalError("--freeze backbone keeps the weights it begins from: add --pretrained or --init")
    processes = process_count()
    if recipe.batch_size % processes:
        raise GoalError(
            f"the batch size must be a multiple of {processes} processes, got {recipe.batch_size}"
        )
    refuse_steps_of_one(recipe.batch_size // processes, -(-data.count("train") // processes))
    device = torch_device(request.device)
    settings = TrainingSettings(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        name=named.name,
        architecture=for_data(named.architecture, data, request.resolution_px),
        begins_from=begins_from,
        data=images,
        recipe=recipe,
        seed=request.seed,
        conditions=Conditions(device, _precision(request.precision, device), request.compiled),
        threads=request.threads or max(1, usable_cores() // processes),
        processes=processes,
        host=host(),
        versions=package_versions(),
    )
    return settings, data


def for_data(architecture: Architecture, data: Data, resolution_px: int | None = None) -> Architecture:
    """The network for these images and classes.

    Args:
        resolution_px: without it the network's own, but no more than small images in memory have,
            in steps of 32.
    """
    side = resolution_px or architecture.resolution_px
    if resolution_px is None and data.side_px is not None:
        side = min(side, -(-data.side_px // _STEP_PX) * _STEP_PX)
    return replace(
        architecture, resolution_px=side, image_channels=data.image_channels, classes=len(data.class_names)
    )


def begin(request: TrainingRequest, settings: TrainingSettings, data: Data) -> TrainingFolder:
    """Make the training's folder, with a checkpoint from before the first epoch; all processes together.

    Raises:
        BneckError: the weights cannot be had, or the folder exists; then nothing has been made.
    """
    out = request.out or free_folder(settings.name, settings.data.name)
    refuse_existing(out, f"bneck train {out} --resume")
    network = _first_network(request, settings)
    training = Training(network, data, settings.recipe, seed=settings.seed, conditions=settings.conditions)
    if is_first():
        folder = TrainingFolder.create(out, settings)
        try:
            save_progress(folder, training, [])
        except RunError:
            shutil.rmtree(out)
            raise
    wait_for_all()
    return TrainingFolder(out, settings)


def reopen(request: TrainingRequest, *, same_words: bool) -> tuple[TrainingFolder, Data]:
    """A training that was stopped, and its images.

    Args:
        same_words: the request is that which the training began with; otherwise it names the
            folder alone.
    Raises:
        BneckError: it is none, cannot go on here, or something else is asked for.
    """
    folder = TrainingFolder.open(request.out or Path(request.arch))
    settings = folder.settings
    if same_words:
        asked, data = plan(request)
        if difference := settings.difference(asked):
            raise GoalError(f"{folder.folder}: {difference}; --resume changes nothing")
        return folder, data
    if settings.processes != process_count():
        words = (
            f"was begun with {settings.processes} processes; {process_count()} would come to other weights"
        )
        raise GoalError(f"{folder.folder} {words}")
    if settings.conditions.device == "cuda" and not torch.cuda.is_available():
        raise RunError(f"{folder.folder} was begun on a GPU, and torch finds none here")
    data = load_run_data(settings.data, download=request.download)
    if difference := settings.difference(replace(settings, data=settings.data.of(data))):
        raise GoalError(f"{folder.folder}: the images are no longer those it began with: {difference}")
    return folder, data


def _first_network(request: TrainingRequest, settings: TrainingSettings) -> Network:
    """The network with the weights that it begins from."""
    network = seeded_network(settings.architecture, settings.seed)
    if settings.begins_from == IMAGENET_WEIGHTS:
        transfer(network, pretrained_network(request.arch, request.weights))
    elif request.init:
        transfer(network, load_checkpoint(trained_file(request.init).path).network())
    return network


def recipe_for(name: str | None, data: Data) -> Recipe:
    """A recipe by its name or file; without one, what suits images in memory or in folders."""
    return load_recipe(name or ("guide" if data.side_px is None else "small-images"))


def refuse_steps_of_one(batch_size: int, images: int) -> None:
    """Raise `GoalError` where a process would train on a single image: it has no deviation to divide by."""
    rest = images % batch_size
    if min(batch_size, images) == 1 or (batch_size == 2 and rest == 1):
        raise GoalError(
            f"batch normalisation needs two images or more in each step; the batch size is {batch_size} "
            f"for {images:,} images a process: choose another --batch-size, or more images"
        )


def _begins_from(request: TrainingRequest) -> str:
    if request.init and (request.pretrained or request.weights):
        raise GoalError("--init and --pretrained exclude each other; a network begins from one of them")
    if request.pretrained or request.weights:
        return IMAGENET_WEIGHTS
    return request.init or RANDOM_WEIGHTS


def _precision(wanted: str, device: str) -> Precision:
    """`auto` is bf16, or fp16 on older GPUs; on a CPU fp32, which is faster there."""
    for known in get_args(Precision):
        if wanted == known:
            precision: Precision = known
            return precision
    if wanted != "auto":
        raise GoalError(f"--precision must be auto, {', '.join(get_args(Precision))}, got '{wanted}'")
    if device == "cpu":
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
