"""The result of a NetAdapt run as plain values."""

from collections.abc import Mapping
from typing import Any

from ...evaluate.training.metrics import Metrics
from ..store.netadapt_run import NetAdaptRow, NetAdaptRun

_COPIED_KEYS = ("key", "macs", "params", "latency_ms", "latency_ratio", "latency_source")


def netadapt_result(run: NetAdaptRun, final: Mapping[str, Any], initial: Metrics) -> dict[str, Any]:
    """The content of `result.json`: initial and final network with cost and accuracy.

    Args:
        final: result of the final training.
        initial: metrics of the initial network on the test images.
    """
    rows, settings = run.path(), run.settings
    return {
        "name": settings.name,
        "data": settings.data.name,
        "seed": settings.seed,
        "limit": str(settings.limit),
        "n_steps": len(rows) - 1,
        "test_images": initial.images,
        "start": _network(rows[0], rows[0].top1, initial.top1, initial.loss),
        "final": _network(rows[-1], final["validation_top1"], final["test"]["top1"], final["test"]["loss"]),
    }


def _network(row: NetAdaptRow, validation_top1: float, test_top1: float, test_loss: float) -> dict[str, Any]:
    values = row.as_row()
    copied = {name: values[name] for name in _COPIED_KEYS}
    return copied | {"validation_top1": validation_top1, "test_top1": test_top1, "test_loss": test_loss}
