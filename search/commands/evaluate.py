"""`bneck evaluate`: a trained network on a split of its images."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from rich.markup import escape

from ...evaluate import format_count
from ...evaluate.data.dataset import Split, unreadable_images_text
from ...evaluate.latency.meter import LatencyMeter
from ...evaluate.training.checkpoint import load_checkpoint
from ...results import DataSettings
from ...results.export.training import metrics_on_split
from ...results.text.formatting import milliseconds, truncate
from ...search_space import Architecture, GoalError, UnknownNameError, cost
from ..console.tables import plain_table, wide_console
from ..jobs.latency import make_meter, measure_all
from ..resolve.datasets import load_run_data
from ..resolve.environment import torch_device
from ..resolve.networks import NamedArchitecture
from ..resolve.trained_networks import resolve_checkpoint

_MOST_CLASSES, _LONGEST_NAME = 30, 30


def evaluate_and_measure(
    words: str,
    *,
    data: str | None,
    split: str,
    backend: str,
    threads: int,
    reference_model: str,
    data_root: Path | None,
    download: bool,
    device: str,
) -> dict[str, Any]:
    """Accuracy, calibration, every class, the confusion matrix, latency, cost and size.

    Args:
        data: None for what the network was trained on.
        backend: that measures the latency, or `none`.
    Raises:
        BneckError: no such network, data of other classes, or a device that does not work.
    """
    file = resolve_checkpoint(words)
    checkpoint = load_checkpoint(file.path)
    architecture = checkpoint.architecture
    known = DataSettings(data) if data else file.data or DataSettings(checkpoint.data)
    root = str(data_root) if data_root else known.root
    images = load_run_data(DataSettings(known.name, root), download=download)
    meter = None if backend == "none" else make_meter(architecture, backend, threads, 1, reference_model)
    metrics = metrics_on_split(checkpoint, images, _split(split), torch_device(device))
    network_cost = cost(architecture)
    return {
        "name": words,
        "key": architecture.key,
        "data": images.name,
        "split": split,
        **asdict(metrics),
        "macs": network_cost.macs,
        "params": network_cost.params,
        "size_bytes": file.path.stat().st_size,
        "latency": _latency(words, architecture, meter, reference_model) if meter is not None else None,
        "left_out": unreadable_images_text(images),
    }


def print_evaluation(evaluation: dict[str, Any]) -> None:
    """The numbers, then a row for each class."""
    console = wide_console()

    def print_line(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    top5 = f", top-5 {100 * evaluation['top5']:.2f}%" if evaluation["top5"] is not None else ""
    print_line(
        f"{evaluation['name']} on {evaluation['images']:,} {evaluation['split']} images "
        f"of {evaluation['data']}: top-1 {100 * evaluation['top1']:.2f}%{top5}, "
        f"loss {evaluation['loss']:.4f}, calibration error {100 * evaluation['calibration_error']:.2f}%"
    )
    cost_words = f"{format_count(evaluation['macs'])} MACs, {format_count(evaluation['params'])} parameters"
    latency = evaluation["latency"]
    if latency:
        cost_words += (
            f", {milliseconds(latency['latency_ms'])} ({latency['ratio']:.3f}x {latency['reference']})"
        )
    print_line(f"{cost_words}, {format_count(evaluation['size_bytes'])}B on disk")
    if evaluation["left_out"]:
        print_line(evaluation["left_out"])
    classes = sorted(evaluation["classes"], key=lambda each: (each["f1"], each["name"]))
    columns = ("class", "images", "precision %", "recall %", "F1 %", "most confused with")
    table = plain_table(*columns, left=(columns[0], columns[-1]))
    for each in classes[:_MOST_CLASSES]:
        shares = (f"{100 * each[name]:.1f}" for name in ("precision", "recall", "f1"))
        cells = (
            truncate(each["name"], _LONGEST_NAME),
            f"{each['images']:,}",
            *shares,
            _most_confused_with(evaluation, each["name"]),
        )
        table.add_row(*map(escape, cells))
    console.print(table)
    if len(classes) > _MOST_CLASSES:
        print_line(f"and {len(classes) - _MOST_CLASSES} classes more with a higher F1; --json has all")


def _most_confused_with(evaluation: dict[str, Any], name: str) -> str:
    """The class that images of this one are most often taken for, and how many of them."""
    names = [each["name"] for each in evaluation["classes"]]
    own = names.index(name)
    row = [0 if place == own else count for place, count in enumerate(evaluation["confusion"][own])]
    return f"{truncate(names[row.index(max(row))], _LONGEST_NAME)} ({max(row):,})" if max(row) else ""


def _latency(
    words: str, architecture: Architecture, meter: LatencyMeter, reference_model: str
) -> dict[str, Any]:
    [measured] = measure_all(meter, [NamedArchitecture(words, architecture)], fresh=False)
    if measured.latency.status == "failed":
        raise GoalError(f"{words}: {measured.latency.error}; --latency-backend none leaves the latency out")
    return {**asdict(measured.latency), "reference": reference_model, "backend": meter.setup.backend}


def _split(name: str) -> Split:
    for known in get_args(Split):
        if name == known:
            split: Split = known
            return split
    raise UnknownNameError("split", name, get_args(Split))
