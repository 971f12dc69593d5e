"""What a finished training leaves in its folder: the test images' verdict, and its page."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ...evaluate import short_count
from ...evaluate.data.dataset import Data, Split, broken_text
from ...evaluate.training.checkpoint import Checkpoint
from ...evaluate.training.grad_cam import as_input, examples, views
from ...evaluate.training.metrics import Metrics, answers, metrics_of
from ...search_space import cost
from ...search_space.serialization.atomic_write import write_whole
from ..pages.training import TrainingStory, figures, training_html
from ..plots.png import write_pngs
from ..store.training_run import TrainingFolder, best_epoch
from ..text.formatting import count_of, pairs


def judge_on(checkpoint: Checkpoint, data: Data, split: Split, device: str = "cpu") -> Metrics:
    """How a trained network does on a split of its data.

    Raises:
        RunError: the data has other classes or channels than the network.
    """
    seen = checkpoint.normalised(data)
    network = checkpoint.network().to(device).to(memory_format=torch.channels_last)
    return metrics_of(*answers(network, seen, split, device=device), seen.class_names)


def write_training_results(
    folder: TrainingFolder, data: Data, *, device: str, page: Path | None = None, pictures: Path | None = None
) -> dict[str, Any]:
    """Judge the kept network on the test images; write `result.json` and the page.

    Args:
        page: by default `report.html` in the folder.
        pictures: a folder for the page's figures as PNG.
    Returns:
        What `result.json` holds.
    Raises:
        RunError: something cannot be written, or what draws PNG files is not installed.
    """
    metrics = judge_on(folder.model(), data, "test", device)
    story = story_of(folder, data, metrics, device)
    result = write_result(folder, metrics)
    write_whole(page or folder.report_file, training_html(story))
    if pictures:
        write_pngs(figures(story), pictures)
    return result


def write_result(folder: TrainingFolder, metrics: Metrics) -> dict[str, Any]:
    """Write `result.json`."""
    result = result_of(folder, metrics)
    write_whole(folder.result_file, json.dumps(result, indent=2) + "\n")
    return result


def result_of(folder: TrainingFolder, metrics: Metrics) -> dict[str, Any]:
    """What came out of a training, for programs."""
    settings, curve = folder.settings, folder.checkpoint().curve
    best = best_epoch(curve)
    network_cost = cost(settings.architecture)
    return {
        "name": settings.name,
        "key": settings.architecture.key,
        "data": settings.data.name,
        "seed": settings.seed,
        "epochs": len(curve),
        "best_epoch": best,
        "validation_top1": curve[best - 1].validation_top1,
        "seconds": sum(point.seconds or 0.0 for point in curve),
        "macs": network_cost.macs,
        "params": network_cost.params,
        "size_bytes": folder.model_file.stat().st_size,
        "test": asdict(metrics),
    }


def story_of(folder: TrainingFolder, data: Data, metrics: Metrics, device: str = "cpu") -> TrainingStory:
    """What the page tells; looks at the test images again for the gallery."""
    model, settings = folder.model(), folder.settings
    seen, network = model.normalised(data), model.network().to(device)
    shown = examples(network, seen, "test")
    viewed = shown[-1] if shown else None
    left_out = broken_text(data)
    return TrainingStory(
        title=f"{settings.name} on {settings.data.name}",
        facts=_facts(folder, model),
        curve=folder.checkpoint().curve,
        best_epoch=len(model.curve),
        metrics=metrics,
        metrics_split="test",
        examples=shown,
        views=views(network, as_input(viewed.pixels, seen)) if viewed else (),
        viewed=viewed,
        class_names=seen.class_names,
        notes=(left_out,) if left_out else (),
    )


def _facts(folder: TrainingFolder, model: Checkpoint) -> tuple[tuple[str, object], ...]:
    settings, architecture = folder.settings, model.architecture
    network_cost = cost(architecture)
    curve = folder.checkpoint().curve
    seconds = sum(point.seconds or 0.0 for point in curve)
    images = settings.data
    limits = [
        f"at most {limit:,} for {what}"
        for what, limit in (("training", images.train_images), ("validation", images.validation_images))
        if limit
    ]
    colours = "grey" if architecture.image_channels == 1 else "colour"
    conditions = settings.conditions
    return (
        (
            "network",
            f"{settings.name}, key {architecture.key}: {short_count(network_cost.macs)} MACs, "
            f"{short_count(network_cost.params)} parameters, "
            f"{colours} images of {architecture.resolution_px} px",
        ),
        ("began from", settings.begins_from),
        ("images", "; ".join([f"{images.name}, {architecture.classes} classes", *limits])),
        ("recipe", pairs(asdict(settings.recipe).items())),
        ("seed", settings.seed),
        ("kept", f"the weights of epoch {len(model.curve)} of {len(curve)}, the best on validation images"),
        (
            "arithmetic",
            f"{conditions.precision} on {conditions.device}, {settings.processes} x "
            f"{count_of(settings.threads, 'thread')}" + (", compiled" if conditions.compiled else ""),
        ),
        ("time", f"{seconds / 60:.1f} min of training and validation"),
        ("machine", pairs(settings.host.items())),
        ("versions", pairs(settings.versions.items())),
        ("created", settings.created),
    )
