"""What `bneck train` is asked for: everything is checked before a folder is made."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import torch

from ...evaluate import host, package_versions, usable_cores
from ...evaluate.data.dataset import Data
from ...evaluate.training.checkpoint import load_checkpoint
from ...evaluate.training.pretrained import pretrained_network, transfer_weights
from ...evaluate.training.recipe import Recipe, load_recipe
from ...evaluate.training.train import seeded_network
from ...evaluate.training.trainer import ComputeConfig, Precision, Trainer
from ...results.store.training_run import TrainingRun, TrainingSettings
from ...search_space import Architecture, GoalError, RunError
from ...search_space.network import Network
from ..parallel.distributed import barrier, is_main_process, world_size
from ..resolve.datasets import load_run_data, open_images
from ..resolve.environment import torch_device, unused_run_directory
from ..resolve.networks import resolve_network
from ..resolve.requests import TrainingRequest
from ..resolve.trained_networks import resolve_checkpoint
from .training_loop import save_progress

RANDOM_WEIGHTS, IMAGENET_WEIGHTS = "random weights", "ImageNet weights of torchvision"
_STEP_PX = 32


def plan(request: TrainingRequest) -> tuple[TrainingSettings, Data]:
    """Check what was asked for, and open the images; nothing is made.

    Raises:
        BneckError: whatever cannot be met.
    """
    named = resolve_network(request.arch)
    images, data = open_images(request)
    recipe = recipe_for(request.recipe, data)
    recipe = replace(recipe, **request.recipe_overrides)
    initial_weights = _begins_from(request)
    if recipe.freeze == "backbone" and initial_weights == RANDOM_WEIGHTS:
        raise GoalError("--freeze backbone keeps the weights it begins from: add --pretrained or --init")
    processes = world_size()
    if recipe.batch_size % processes:
        raise GoalError(
            f"the batch size must be a multiple of {processes} processes, got {recipe.batch_size}"
        )
    require_two_images_per_step(recipe.batch_size // processes, -(-data.count("train") // processes))
    device = torch_device(request.device)
    settings = TrainingSettings(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        name=named.name,
        architecture=for_data(named.architecture, data, request.resolution_px),
        initial_weights=initial_weights,
        data=images,
        recipe=recipe,
        seed=request.seed,
        compute=ComputeConfig(device, _precision(request.precision, device), request.compiled),
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
    if resolution_px is None and data.image_size_px is not None:
        side = min(side, -(-data.image_size_px // _STEP_PX) * _STEP_PX)
    return replace(
        architecture, resolution_px=side, image_channels=data.image_channels, classes=len(data.class_names)
    )


def create_training_run(request: TrainingRequest, settings: TrainingSettings, data: Data) -> TrainingRun:
    """Make the training's folder, with a checkpoint from before the first epoch; all processes together.

    Raises:
        BneckError: the weights cannot be had, or the folder exists; then nothing has been made.
    """
    out = request.out or unused_run_directory(settings.name, settings.data.name)
    TrainingRun.require_absent(out)
    network = _first_network(request, settings)
    training = Trainer(network, data, settings.recipe, seed=settings.seed, compute=settings.compute)
    if is_main_process():
        folder = TrainingRun.create(out, settings)
        try:
            save_progress(folder, training, [])
        except RunError:
            shutil.rmtree(out)
            raise
    barrier()
    return TrainingRun(out, settings)


def resume_training_run(request: TrainingRequest, *, same_request: bool) -> tuple[TrainingRun, Data]:
    """A training that was stopped, and its images.

    Args:
        same_request: the request is that which the training began with; otherwise it names the
            folder alone.
    Raises:
        BneckError: it is none, cannot go on here, or something else is asked for.
    """
    folder = TrainingRun.open(request.out or Path(request.arch))
    settings = folder.settings
    if same_request:
        requested, data = plan(request)
        if difference := settings.difference(requested):
            raise GoalError(f"{folder.folder}: {difference}; --resume changes nothing")
        return folder, data
    if settings.processes != world_size():
        words = f"was begun with {settings.processes} processes; {world_size()} would come to other weights"
        raise GoalError(f"{folder.folder} {words}")
    if settings.compute.device == "cuda" and not torch.cuda.is_available():
        raise RunError(f"{folder.folder} was begun on a GPU, and torch finds none here")
    data = load_run_data(settings.data, download=request.download)
    if difference := settings.difference(replace(settings, data=settings.data.of(data))):
        raise GoalError(f"{folder.folder}: the images are no longer those it began with: {difference}")
    return folder, data


def _first_network(request: TrainingRequest, settings: TrainingSettings) -> Network:
    """The network with the weights that it begins from."""
    network = seeded_network(settings.architecture, settings.seed)
    if settings.initial_weights == IMAGENET_WEIGHTS:
        transfer_weights(network, pretrained_network(request.arch, request.weights))
    elif request.init:
        transfer_weights(network, load_checkpoint(resolve_checkpoint(request.init).path).network())
    return network


def recipe_for(name: str | None, data: Data) -> Recipe:
    """A recipe by its name or file; without one, what suits images in memory or in folders."""
    return load_recipe(name or ("guide" if data.image_size_px is None else "small-images"))


def require_two_images_per_step(batch_size: int, images: int) -> None:
    """Raise `GoalError` where a process would train on a single image: it has no deviation to divide by."""
    remainder = images % batch_size
    if min(batch_size, images) == 1 or (batch_size == 2 and remainder == 1):
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
