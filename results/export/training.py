"""The result of a training as plain values."""

from typing import Any

import torch

from ...evaluate.data.dataset import Data, EvaluationSplit
from ...evaluate.training.checkpoint import Checkpoint
from ...evaluate.training.metrics import Metrics, compute_metrics, predict
from ...evaluate.training.trivial_accuracy import accuracy_warnings, few_images_text
from ...search_space import cost
from ..store.training_run import TrainingRun, best_epoch


def metrics_on_split(
    checkpoint: Checkpoint, data: Data, split: EvaluationSplit, device: str = "cpu"
) -> Metrics:
    """Evaluate a trained network on a split of its data, or on all of it.

    Raises:
        RunError: the classes or channels of the data differ from those of the network.
    """
    normalized_data = checkpoint.normalize_data(data)
    network = checkpoint.network().to(device).to(memory_format=torch.channels_last)
    return compute_metrics(
        *predict(network, normalized_data, split, device=device), normalized_data.class_names
    )


def training_result(training: TrainingRun, metrics: Metrics) -> dict[str, Any]:
    """The content of `result.json`; times in seconds, accuracies as fractions.

    Args:
        metrics: of the best epoch on the test images.
    """
    settings, curve = training.settings, training.checkpoint().curve
    best = best_epoch(curve)
    network_cost = cost(settings.architecture)
    few_validation_images = few_images_text(sum(settings.data.validation_counts), "validation")
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
        "size_bytes": training.model_file.stat().st_size,
        "test": metrics.as_dict(),
        "warnings": [*accuracy_warnings(metrics.as_dict(), "test"), *filter(None, (few_validation_images,))],
    }
