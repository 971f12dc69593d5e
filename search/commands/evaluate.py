"""`bneck evaluate`: metrics of a trained network on a split of its images."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

from ...search_space import BneckError, DataError, GoalError, UnknownNameError
from ..resolve.training_requests import EvaluationRequest
from .options import JsonOption, print_json

if TYPE_CHECKING:
    from ...evaluate.data.dataset import EvaluationSplit
    from ...evaluate.latency.meter import LatencyMeter
    from ...results import DataSettings
    from ...search_space import Architecture


def evaluate(request: EvaluationRequest, as_json: JsonOption = False) -> None:
    """Evaluate a trained network on a split of its data, or on all images of a folder.

    bneck evaluate runs/photos --data folder:new-photos --split all --json
    """
    from ..console.evaluation_table import print_evaluation

    evaluation = evaluate_and_measure(request)
    if as_json:
        print_json(evaluation)
    else:
        print_evaluation(evaluation)


def evaluate_and_measure(request: EvaluationRequest) -> dict[str, Any]:
    """Accuracy, calibration, metrics by class, confusion matrix, latency, cost and size.

    Raises:
        BneckError: no such network, data of other classes, or a device that does not work.
    """
    from ...evaluate.data.dataset import left_out_notice, unreadable_images_text
    from ...evaluate.training.checkpoint import load_checkpoint
    from ...evaluate.training.trivial_accuracy import accuracy_warnings
    from ...results import DataSettings
    from ...results.export.training import metrics_on_split
    from ...search_space import cost
    from ..jobs.latency import make_meter
    from ..resolve.environment import torch_device
    from ..resolve.trained_networks import resolve_checkpoint

    file = resolve_checkpoint(request.checkpoint)
    checkpoint = load_checkpoint(file.path)
    architecture = checkpoint.architecture
    known = DataSettings(request.data) if request.data else file.data or DataSettings(checkpoint.data)
    root = str(request.data_root) if request.data_root else known.root
    split = _split(request.split)
    settings = DataSettings(known.name, root)
    if split == "all":
        images = settings.load(download=request.download, whole_with_classes=checkpoint.class_names)
    else:
        try:
            images = settings.load(download=request.download)
        except DataError as error:
            raise _with_hint(error, settings, checkpoint.class_names) from None
    held_out = file.training_images(checkpoint).held_out(images, "test" if split == "all" else split)
    meter = None
    if request.latency_backend != "none":
        meter = make_meter(
            architecture, request.latency_backend, request.latency_threads, 1, request.reference_model
        )
    metrics = metrics_on_split(checkpoint, held_out.data, split, torch_device(request.device))
    network_cost = cost(architecture)
    return {
        "name": request.checkpoint,
        "key": architecture.key,
        "data": images.name,
        "split": request.split,
        **metrics.as_dict(),
        "macs": network_cost.macs,
        "params": network_cost.params,
        "size_bytes": file.path.stat().st_size,
        "latency": _latency(request, architecture, meter) if meter else None,
        "left_out": "; ".join(filter(None, (left_out_notice(images), unreadable_images_text(images))))
        or None,
        "training_images_left_out": held_out.n_leaked,
        "changes_since_training": None if held_out.changes is None else asdict(held_out.changes),
        "warnings": [*held_out.warnings, *accuracy_warnings(metrics.as_dict(), request.split)],
    }


def _latency(
    request: EvaluationRequest, architecture: "Architecture", meter: "LatencyMeter"
) -> dict[str, Any]:
    from ...evaluate import build_reference_panel
    from ..jobs.latency import measure_all
    from ..resolve.networks import NamedArchitecture

    [measured] = measure_all(meter, [NamedArchitecture(request.checkpoint, architecture)], fresh=False)
    if measured.latency.status == "failed":
        raise GoalError(
            f"{request.checkpoint}: {measured.latency.error}; --latency-backend none skips the latency"
        )
    return {
        **asdict(measured.latency),
        "reference": build_reference_panel(request.reference_model).reference,
        "backend": meter.setup.backend,
    }


def _split(name: str) -> "EvaluationSplit":
    from ...evaluate.data.dataset import EvaluationSplit

    for known in get_args(EvaluationSplit):
        if name == known:
            split: EvaluationSplit = known
            return split
    raise UnknownNameError("split", name, get_args(EvaluationSplit))


def _with_hint(error: DataError, settings: "DataSettings", class_names: Sequence[str]) -> DataError:
    """The error, and that the images can be evaluated without splits, if they can."""
    try:
        settings.load(whole_with_classes=class_names)
    except BneckError:
        return error
    return DataError(f"{error}; --split all evaluates every image of the folder")
