"""The values of the page of a training, from its folder and its images."""

from dataclasses import asdict

from ...evaluate import format_count
from ...evaluate.data.dataset import Data, left_out_notice, unreadable_images_text
from ...evaluate.training.checkpoint import Checkpoint
from ...evaluate.training.grad_cam import (
    block_activations,
    first_of_each_class,
    select_examples,
    to_network_input,
)
from ...evaluate.training.metrics import Metrics
from ...evaluate.training.trivial_accuracy import accuracy_warnings, balance_text, few_images_text
from ...search_space import cost
from ..store.training_run import TrainingRun
from ..text.formatting import duration, key_value_text, pluralize
from .training import TrainingReport


def build_training_report(
    training: TrainingRun, data: Data, metrics: Metrics, device: str = "cpu"
) -> TrainingReport:
    """Collect the values of the training page; predicts some test images for the gallery.

    Args:
        metrics: of the best epoch on the test images.
    """
    model, settings = training.model(), training.settings
    normalized_data, network = model.normalize_data(data), model.network().to(device)
    gallery = select_examples(network, normalized_data, "test")
    viewed_example = gallery[-1] if gallery else None
    return TrainingReport(
        title=f"{settings.name} on {settings.data.name}",
        facts=_facts(training, model),
        curve=training.checkpoint().curve,
        best_epoch=len(model.curve),
        metrics=metrics,
        metrics_split="test",
        examples=gallery,
        views=block_activations(network, to_network_input(viewed_example.pixels, normalized_data))
        if viewed_example
        else (),
        viewed_example=viewed_example,
        class_names=normalized_data.class_names,
        architecture=model.architecture,
        samples=first_of_each_class(normalized_data, "test", model.architecture.resolution_px),
        notes=tuple(
            filter(
                None,
                (
                    balance_text(metrics.as_dict()),
                    *accuracy_warnings(metrics.as_dict(), "test"),
                    few_images_text(data.count("validation"), "validation"),
                    left_out_notice(data),
                    unreadable_images_text(data),
                ),
            )
        ),
    )


def _facts(training: TrainingRun, model: Checkpoint) -> tuple[tuple[str, object], ...]:
    settings, architecture = training.settings, model.architecture
    network_cost = cost(architecture)
    curve = training.checkpoint().curve
    seconds = sum(point.seconds or 0.0 for point in curve)
    images = settings.data
    limits = [
        f"at most {limit:,} for {split}"
        for split, limit in (("training", images.train_images), ("validation", images.validation_images))
        if limit
    ]
    colors = "grey" if architecture.image_channels == 1 else "color"
    compute = settings.compute
    return (
        (
            "network",
            f"{settings.name}, key {architecture.key}: {format_count(network_cost.macs)} MACs, "
            f"{format_count(network_cost.params)} parameters, "
            f"{colors} images of {architecture.resolution_px} px",
        ),
        ("initial weights", settings.initial_weights),
        *([("teacher", settings.teacher)] if settings.teacher else []),
        ("data", "; ".join([f"{images.name}, {architecture.classes} classes", *limits])),
        ("recipe", key_value_text(asdict(settings.recipe).items())),
        ("seed", settings.seed),
        (
            "selected epoch",
            f"{len(model.curve)} of {len(curve)}, by validation accuracy",
        ),
        (
            "precision",
            f"{compute.precision} on {compute.device}, {settings.processes} x "
            f"{pluralize(settings.threads, 'thread')}" + (", compiled" if compute.compiled else ""),
        ),
        ("time", f"{duration(seconds)} of training and validation"),
        ("machine", key_value_text(settings.host.items())),
        ("versions", key_value_text(settings.versions.items())),
        ("created", settings.created),
    )
