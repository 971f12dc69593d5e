"""From the request of `bneck train` to its folder; everything is checked before the folder is created."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import cast, get_args

import torch

from ...evaluate import host, package_versions, usable_cores
from ...evaluate.data.dataset import Data, absolute_name
from ...evaluate.inheritance.inherit import inherit
from ...evaluate.training.checkpoint import load_checkpoint
from ...evaluate.training.pretrained import describe_weights, pretrained_network, pretrained_normalization
from ...evaluate.training.recipe import Recipe
from ...evaluate.training.train import seeded_network
from ...evaluate.training.trainer import ComputeConfig, Precision, Trainer
from ...evaluate.trust import trusting
from ...results import DataSettings
from ...results.store.recorded_data import reopen_data, require_same_images
from ...results.store.training_run import TrainingRun, TrainingSettings
from ...search_space import Architecture, GoalError, RunError
from ...search_space.network import Network
from ..parallel.distributed import barrier, is_main_process, world_size
from ..resolve.confirmed import require_same
from ..resolve.datasets import open_images, with_normalization
from ..resolve.environment import numbered_run_directory, torch_device
from ..resolve.networks import resolve_network
from ..resolve.recipes import choose_recipe, require_two_images_per_step
from ..resolve.teacher import resolve_teacher
from ..resolve.trained_networks import require_held_out, resolve_checkpoint, searched_network
from ..resolve.training_requests import NO_WEIGHTS, TrainingRequest
from .training_loop import save_start

RANDOM_WEIGHTS = "random weights"
_STEP_PX = 32


def plan(
    request: TrainingRequest, on_note: Callable[[str], None] = lambda note: None
) -> tuple[TrainingSettings, Data]:
    """Check the request and open the data set; no file is written.

    Args:
        on_note: called with a line on the recipe.
    Raises:
        BneckError: the request is invalid.
    """
    named = resolve_network(request.arch)
    request, own = with_search(request)
    images, data = _normalized_as_trained(request, *open_images(request))
    initial_weights = _initial_weights(request)
    chosen = choose_recipe(
        request.recipe,
        request.recipe_overrides,
        data.count("train"),
        trained_weights=initial_weights != RANDOM_WEIGHTS,
        own=(request.arch, own) if own else None,
    )
    recipe = chosen.recipe
    if recipe.freeze != "none" and initial_weights == RANDOM_WEIGHTS:
        raise GoalError(f"--freeze {recipe.freeze} needs trained weights: add --pretrained or --init")
    processes = world_size()
    if recipe.batch_size % processes:
        raise GoalError(
            f"the batch size must be a multiple of {processes} processes, got {recipe.batch_size}"
        )
    require_two_images_per_step(recipe.batch_size // processes, -(-data.count("train") // processes))
    device = torch_device(request.device)
    teacher = resolve_teacher(request.teacher, data) if request.teacher else None
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
        teacher=teacher.name if teacher else "",
        soft_label_weight=teacher.weight if teacher else 0.0,
    )
    on_note(chosen.text)
    return settings, data


def with_search(request: TrainingRequest) -> tuple[TrainingRequest, Recipe | None]:
    """The request with the data and weights of the search that found its network, unless it names others.

    Returns:
        The request, which may be passed again, and the recipe of the search if its data is used.
    Raises:
        BneckError: there is no such run or trial.
    """
    if (searched := searched_network(request.arch)) is None:
        return request if request.data else replace(request, data="digits"), None
    if searched.has_weights and not (request.init or request.pretrained or request.weights):
        request = replace(request, init=request.arch)
    if not request.data:
        own = searched.data
        request = replace(
            request,
            data=own.name,
            data_root=request.data_root or (Path(own.root) if own.root else None),
            train_images=request.train_images or own.train_images,
            validation_images=request.validation_images or own.validation_images,
        )
    same_data = absolute_name(request.data) == searched.data.name
    return request, searched.recipe if same_data else None


def for_data(architecture: Architecture, data: Data, resolution_px: int | None = None) -> Architecture:
    """The network adapted to the channels, classes and size of the images.

    Args:
        resolution_px: by default the network's own, at most that of small images in memory rounded up to
            a multiple of 32.
    """
    side = resolution_px or architecture.resolution_px
    if resolution_px is None and data.image_size_px is not None:
        side = min(side, -(-data.image_size_px // _STEP_PX) * _STEP_PX)
    return replace(
        architecture, resolution_px=side, image_channels=data.image_channels, classes=len(data.class_names)
    )


def create_training_run(
    request: TrainingRequest,
    settings: TrainingSettings,
    data: Data,
    on_note: Callable[[str], None] = lambda note: None,
) -> TrainingRun:
    """Create the folder with a checkpoint of the initial weights; called by all processes.

    Args:
        on_note: called with a line on the initial weights, if there is something to know.
    Raises:
        BneckError: the weights cannot be loaded, or the folder exists; nothing has been created.
    """
    out = request.out or numbered_run_directory(settings.name, settings.data.name)
    TrainingRun.require_absent(out)
    request, _ = with_search(request)
    network = initial_network(request, settings, data, on_note)
    training = Trainer(network, data, settings.recipe, seed=settings.seed, compute=settings.compute)
    teacher = resolve_teacher(settings.teacher, data).path if settings.teacher else None
    if is_main_process():
        folder = TrainingRun.create(out, settings, partial(save_start, training=training, teacher=teacher))
    else:
        assert isinstance(out, Path)  # several processes have --out
        folder = TrainingRun(out, settings)
    barrier()
    return folder


def resume_training_run(
    request: TrainingRequest, *, same_request: bool, confirmed: Mapping[str, str] = MappingProxyType({})
) -> tuple[TrainingRun, Data]:
    """Open an interrupted training and its data set.

    Args:
        same_request: whether the request repeats the original one; otherwise only its folder is used.
        confirmed: settings that the training has too, by parameter.
    Raises:
        BneckError: the folder holds no training, it cannot be resumed on this machine, or the request
            differs.
    """
    with trusting(given=[request.data] if same_request else []):  # a worker process has no command line
        folder = TrainingRun.open(request.out or Path(request.arch))
    settings = folder.settings
    if same_request:
        # before the weights are read, which other words may misspell
        request, _ = with_search(request)
        initial_weights = replace(settings, initial_weights=_initial_weights(request))
        _require_no_difference(folder, initial_weights)
        requested, data = plan(request)
        folder = folder.with_settings(data=settings.data.moved_to(requested.data))
        as_recorded = requested.data.with_images_of(settings.data)
        _require_no_difference(folder, replace(requested, data=as_recorded))
        require_same_images(folder, data)
        return folder, data
    require_same(folder, confirmed)
    folder.require_trusted()
    if settings.processes != world_size():
        raise GoalError(
            f"{folder.folder} was started with {settings.processes} processes and cannot be resumed with "
            f"{world_size()}"
        )
    if settings.compute.device == "cuda" and not torch.cuda.is_available():
        raise RunError(f"{folder.folder} was started on a GPU, but torch finds none")
    return reopen_data(folder, moved_to=confirmed.get("data"), download=request.download)


def _require_no_difference(folder: TrainingRun, requested: TrainingSettings) -> None:
    if difference := folder.settings.difference(requested):
        raise GoalError(f"{folder.folder}: {difference}; --resume cannot change it")


def initial_network(
    request: TrainingRequest, settings: TrainingSettings, data: Data, on_note: Callable[[str], None]
) -> Network:
    """The network with its initial weights.

    Raises:
        BneckError: the weights cannot be loaded, or do not fit the network.
    """
    architecture = settings.architecture
    if request.pretrained or request.weights:
        source = pretrained_network(request.arch, request.weights)
    elif request.init not in (None, NO_WEIGHTS):
        file = resolve_checkpoint(request.init)
        checkpoint = load_checkpoint(file.path)
        require_held_out(file, checkpoint, data)
        source = checkpoint.network()
    else:
        return seeded_network(architecture, settings.seed)
    network = inherit(source, architecture, seed=settings.seed)
    larger = source.architecture
    if (larger.stem, larger.blocks, larger.head) != (
        architecture.stem,
        architecture.blocks,
        architecture.head,
    ):
        on_note(
            f"the network is smaller than {larger.key}: it inherits the most important blocks and channels"
        )
    if architecture.classes != source.architecture.classes:
        classes = f"{architecture.classes:,} classes instead of {source.architecture.classes:,}"
        on_note(f"the classifier starts from random weights ({classes}); all other weights are loaded")
    return network


def _normalized_as_trained(
    request: TrainingRequest, images: DataSettings, data: Data
) -> tuple[DataSettings, Data]:
    """The data with the normalization of the initial weights."""
    if request.pretrained or request.weights:
        mean, std = pretrained_normalization(request.arch, request.weights)
    elif request.init and request.init != NO_WEIGHTS:
        checkpoint = load_checkpoint(resolve_checkpoint(request.init).path)
        mean, std = checkpoint.pixel_mean, checkpoint.pixel_std
    else:
        return images, data
    return with_normalization(images, data, mean, std)


def _initial_weights(request: TrainingRequest) -> str:
    if request.init and (request.pretrained or request.weights):
        raise GoalError("--init and --pretrained exclude each other")
    if request.pretrained or request.weights:
        return describe_weights(request.arch, request.weights)
    return RANDOM_WEIGHTS if request.init in (None, NO_WEIGHTS) else request.init


def _precision(requested: str, device: str) -> Precision:
    """`auto`: fp32 on CPUs, where it is fastest; bf16 on GPUs, fp16 on GPUs without bf16."""
    for precision in get_args(Precision):
        if requested == precision:
            return cast("Precision", precision)
    if requested != "auto":
        raise GoalError(f"--precision must be auto, {', '.join(get_args(Precision))}, got '{requested}'")
    if device == "cpu":
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
