"""What an adaptation comes to: start and result on the test images, which nothing has looked at before."""

import json
from collections.abc import Sequence
from typing import Any

from ...evaluate.data.dataset import Data
from ...evaluate.training.checkpoint import load_checkpoint
from ...search_space.serialization.atomic_write import write_atomic
from ..store.netadapt_run import NetAdaptRow, NetAdaptRun
from .training import metrics_on_split, write_training_results


def write_result(folder: NetAdaptRun, rows: Sequence[NetAdaptRow], data: Data) -> dict[str, Any]:
    """Judge start and result on the test images; write `result.json`, and the page of the last training."""
    device = folder.settings.device
    final = write_training_results(folder.final(), data, device=device)
    start = metrics_on_split(load_checkpoint(folder.network_file(0)), data, "test", device)
    result = {
        "name": folder.settings.name,
        "data": folder.settings.data.name,
        "seed": folder.settings.seed,
        "limit": str(folder.settings.limit),
        "n_steps": len(rows) - 1,
        "test_images": start.images,
        "start": _network(rows[0], rows[0].top1, start.top1, start.loss),
        "final": _network(rows[-1], final["validation_top1"], final["test"]["top1"], final["test"]["loss"]),
    }
    write_atomic(folder.result_file, json.dumps(result, indent=2) + "\n")
    return result


def _network(row: NetAdaptRow, validation_top1: float, test_top1: float, test_loss: float) -> dict[str, Any]:
    values = row.as_row()
    shared_keys = ("key", "macs", "params", "latency_ms", "latency_ratio", "latency_source")
    shared = {name: values[name] for name in shared_keys}
    return shared | {"validation_top1": validation_top1, "test_top1": test_top1, "test_loss": test_loss}
