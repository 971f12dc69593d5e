"""`bneck evaluate`: a trained network on a split of its images."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from rich.markup import escape

from ...evaluate import short_count
from ...evaluate.data.dataset import Split, broken_text
from ...evaluate.latency.meter import LatencyMeter
from ...evaluate.training.checkpoint import load_checkpoint
from ...results import DataSettings
from ...results.export.training import judge_on
from ...results.text.formatting import cut, milliseconds
from ...search_space import Architecture, GoalError, UnknownNameError, cost
from ..jobs.latency import measure_all, meter_for
from ..resolve.trained_networks import trained_file
from ..runner.create import torch_device
from ..runner.worker import load_run_data
from .front import plain_table, wide_console
from .inspect import NamedArchitecture

_MOST_CLASSES, _LONGEST_NAME = 30, 30


def evaluate_checkpoint(
    words: str,
    *,
    data: str | None,
    split: str,
    backend: str,
    threads: int,
    reference: str,
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
    file = trained_file(words)
    checkpoint = load_checkpoint(file.path)
    architecture = checkpoint.architecture
    known = DataSettings(data) if data else file.data or DataSettings(checkpoint.data)
    root = str(data_root) if data_root else known.root
    images = load_run_data(DataSettings(known.name, root), download=download)
    meter = None if backend == "none" else meter_for(architecture, backend, threads, 1, reference)
    metrics = judge_on(checkpoint, images, _split(split), torch_device(device))
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
        "latency": _latency(words, architecture, meter, reference) if meter is not None else None,
        "left_out": broken_text(images),
    }


def print_evaluation(found: dict[str, Any]) -> None:
    """The numbers, then a row for each class."""
    console = wide_console()

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    top5 = f", top-5 {100 * found['top5']:.2f}%" if found["top5"] is not None else ""
    say(
        f"{found['name']} on {found['images']:,} {found['split']} images of {found['data']}: "
        f"top-1 {100 * found['top1']:.2f}%{top5}, loss {found['loss']:.4f}, "
        f"calibration error {100 * found['calibration_error']:.2f}%"
    )
    cost_words = f"{short_count(found['macs'])} MACs, {short_count(found['params'])} parameters"
    latency = found["latency"]
    if latency:
        cost_words += (
            f", {milliseconds(latency['latency_ms'])} ({latency['ratio']:.3f}x {latency['reference']})"
        )
    say(f"{cost_words}, {short_count(found['size_bytes'])}B on disk")
    if found["left_out"]:
        say(found["left_out"])
    classes = sorted(found["classes"], key=lambda each: (each["f1"], each["name"]))
    columns = ("class", "images", "precision %", "recall %", "F1 %", "most often taken for")
    table = plain_table(*columns, left=(columns[0], columns[-1]))
    for each in classes[:_MOST_CLASSES]:
        shares = (f"{100 * each[name]:.1f}" for name in ("precision", "recall", "f1"))
        cells = (
            cut(each["name"], _LONGEST_NAME),
            f"{each['images']:,}",
            *shares,
            _mistaken(found, each["name"]),
        )
        table.add_row(*map(escape, cells))
    console.print(table)
    if len(classes) > _MOST_CLASSES:
        say(f"and {len(classes) - _MOST_CLASSES} classes more with a higher F1; --json has all")


def _mistaken(found: dict[str, Any], name: str) -> str:
    """The class that images of this one are most often taken for, and how many of them."""
    names = [each["name"] for each in found["classes"]]
    own = names.index(name)
    row = [0 if place == own else count for place, count in enumerate(found["confusion"][own])]
    return f"{cut(names[row.index(max(row))], _LONGEST_NAME)} ({max(row):,})" if max(row) else ""


def _latency(words: str, architecture: Architecture, meter: LatencyMeter, reference: str) -> dict[str, Any]:
    [measured] = measure_all(meter, [NamedArchitecture(words, architecture)], fresh=False)
    if measured.latency.status == "failed":
        raise GoalError(f"{words}: {measured.latency.error}; --backend none leaves the latency out")
    return {**asdict(measured.latency), "reference": reference, "backend": meter.setup.backend}


def _split(name: str) -> Split:
    for known in get_args(Split):
        if name == known:
            split: Split = known
            return split
    raise UnknownNameError("split", name, get_args(Split))
