"""What a finished training leaves in its folder: the test images' verdict, and its page."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ...evaluate import format_count
from ...evaluate.data.dataset import Data, Split, unreadable_images_text
from ...evaluate.training.checkpoint import Checkpoint
from ...evaluate.training.grad_cam import block_activations, select_examples, to_network_input
from ...evaluate.training.metrics import Metrics, compute_metrics, predict
from ...search_space import cost
from ...search_space.serialization.atomic_write import write_atomic
from ..pages.training import TrainingReport, figures, training_html
from ..plots.png import write_pngs
from ..store.training_run import TrainingRun, best_epoch
from ..text.formatting import key_value_text, pluralize


def metrics_on_split(checkpoint: Checkpoint, data: Data, split: Split, device: str = "cpu") -> Metrics:
    """How a trained network does on a split of its data.

    Raises:
        RunError: the data has other classes or channels than the network.
    """
    normalized_data = checkpoint.normalise_data(data)
    network = checkpoint.network().to(device).to(memory_format=torch.channels_last)
    return compute_metrics(
        *predict(network, normalized_data, split, device=device), normalized_data.class_names
    )


def write_training_results(
    folder: TrainingRun, data: Data, *, device: str, page: Path | None = None, png_folder: Path | None = None
) -> dict[str, Any]:
    """Judge the kept network on the test images; write `result.json` and the page.

    Args:
        page: by default `report.html` in the folder.
        png_folder: a folder for the page's figures as PNG.
    Returns:
        What `result.json` holds.
    Raises:
        RunError: something cannot be written, or what draws PNG files is not installed.
    """
    metrics = metrics_on_split(folder.model(), data, "test", device)
    report = build_training_report(folder, data, metrics, device)
    result = write_result(folder, metrics)
    write_atomic(page or folder.report_file, training_html(report))
    if png_folder:
        write_pngs(figures(report), png_folder)
    return result


def write_result(folder: TrainingRun, metrics: Metrics) -> dict[str, Any]:
    """Write `result.json`."""
    result = training_result(folder, metrics)
    write_atomic(folder.result_file, json.dumps(result, indent=2) + "\n")
    return result


def training_result(folder: TrainingRun, metrics: Metrics) -> dict[str, Any]:
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


def build_training_report(
    folder: TrainingRun, data: Data, metrics: Metrics, device: str = "cpu"
) -> TrainingReport:
    """What the page tells; looks at the test images again for the gallery."""
    model, settings = folder.model(), folder.settings
    normalized_data, network = model.normalise_data(data), model.network().to(device)
    gallery = select_examples(network, normalized_data, "test")
    viewed_example = gallery[-1] if gallery else None
    skipped_images_text = unreadable_images_text(data)
    return TrainingReport(
        title=f"{settings.name} on {settings.data.name}",
        facts=_facts(folder, model),
        curve=folder.checkpoint().curve,
        best_epoch=len(model.curve),
        metrics=metrics,
        metrics_split="test",
        examples=gallery,
        views=block_activations(network, to_network_input(viewed_example.pixels, normalized_data))
        if viewed_example
        else (),
        viewed_example=viewed_example,
        class_names=normalized_data.class_names,
        notes=(skipped_images_text,) if skipped_images_text else (),
    )


def _facts(folder: TrainingRun, model: Checkpoint) -> tuple[tuple[str, object], ...]:
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
    compute = settings.compute
    return (
        (
            "network",
            f"{settings.name}, key {architecture.key}: {format_count(network_cost.macs)} MACs, "
            f"{format_count(network_cost.params)} parameters, "
            f"{colours} images of {architecture.resolution_px} px",
        ),
        ("initial weights", settings.initial_weights),
        ("images", "; ".join([f"{images.name}, {architecture.classes} classes", *limits])),
        ("recipe", key_value_text(asdict(settings.recipe).items())),
        ("seed", settings.seed),
        (
            "selected epoch",
            f"the weights of epoch {len(model.curve)} of {len(curve)}, the best on validation images",
        ),
        (
            "arithmetic",
            f"{compute.precision} on {compute.device}, {settings.processes} x "
            f"{pluralize(settings.threads, 'thread')}" + (", compiled" if compute.compiled else ""),
        ),
        ("time", f"{seconds / 60:.1f} min of training and validation"),
        ("machine", key_value_text(settings.host.items())),
        ("versions", key_value_text(settings.versions.items())),
        ("created", settings.created),
    )
