"""`bneck evaluate` on images with labels, and `bneck predict` on images without."""

import csv
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from ...search_space import BneckError, DataError, GoalError, UnknownNameError
from ...search_space.printable import printable
from ..console.terminal import echo
from ..resolve.training_requests import EvaluationRequest
from .options import JsonOption, print_json

if TYPE_CHECKING:
    from ...evaluate.classifier import Prediction
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


def predict(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="search (its best network), RUN#TRIAL, training, .safetensors or .onnx",
        ),
    ],
    images: Annotated[Path, typer.Argument(metavar="IMAGE|FOLDER", help="image or folder")],
    top: Annotated[
        int, typer.Option(min=1, metavar="N", help="of an image: print the N likeliest classes")
    ] = 5,
    as_json: JsonOption = False,
) -> None:
    """Print the classes of an image with their probabilities, or CSV with the class of each in a folder.

    bneck predict exported/photos.onnx photo.jpg
    bneck predict runs/photos new-photos > classes.csv
    """
    from ...evaluate.classifier import Classifier
    from ..resolve.trained_networks import resolve_model_file

    classifier = Classifier.load(resolve_model_file(model))
    predictions = classifier.predict(_files(images))
    if images.is_dir() and not as_json:
        _print_csv(predictions, classifier.class_names)
        return
    rows = [_prediction_row(each, classifier.class_names) for each in predictions]
    if as_json:
        print_json(rows)
    elif rows[0]["problem"]:
        raise DataError(f"{images}: {rows[0]['problem']}")
    else:
        for name, probability in [*rows[0]["probabilities"].items()][:top]:
            echo(f"{probability:.4f}  {name}")


def _files(images: Path) -> list[Path]:
    """The image, or the images of a folder at any depth.

    Raises:
        DataError: there are none.
    """
    from ...evaluate.data.folder_files import image_paths

    if not images.is_dir():
        if not images.exists():
            raise DataError(f"{images}: there is no such image or folder")
        return [images]
    if files := [Path(path) for path in image_paths(str(images), Counter())]:
        return files
    raise DataError(f"{images}: has no images")


def _prediction_row(prediction: "Prediction", class_names: Sequence[str]) -> dict[str, Any]:
    """Plain values; classes in descending order of their probability."""
    values = [] if prediction.probabilities is None else prediction.probabilities.tolist()
    ranked = sorted(zip(class_names, values, strict=bool(values)), key=lambda pair: -pair[1])
    return {
        "file": str(prediction.file),
        "class": ranked[0][0] if ranked else None,
        "probability": ranked[0][1] if ranked else None,
        "problem": prediction.problem,
        "probabilities": dict(ranked),
    }


def _print_csv(predictions: Iterable["Prediction"], class_names: Sequence[str]) -> None:
    """One line an image as soon as it is known; unreadable ones on stderr."""
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(("file", "class", "probability"))
    for prediction in predictions:
        row = _prediction_row(prediction, class_names)
        if row["problem"]:
            typer.echo(f"{printable(row['file'])}: {row['problem']}; left out", err=True)
        else:
            table.writerow((row["file"], row["class"], f"{row['probability']:.4f}"))
