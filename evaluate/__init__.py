"""Evaluation of networks: latency, accuracy, objectives and constraints."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..search_space.cost import format_count
from .cores import usable_cores
from .latency.device import Device, host, package_versions
from .latency.measurement import Latency
from .latency.reference_panel import Calibration, ReferencePanel, build_reference_panel
from .latency.setup import LatencySetup
from .objectives import (
    QUANTITIES,
    Constraint,
    Goals,
    Objective,
    Quantity,
    parse_count,
    parse_goals,
    parse_latency,
    parse_objectives,
)
from .training.accuracy import Accuracy, Epoch, wilson_half_width
from .training.recipe import Recipe

if TYPE_CHECKING:
    from .latency.meter import LatencyMeter as LatencyMeter
    from .latency.meter import measure_latency as measure_latency
    from .latency.predictor import LatencyPredictor as LatencyPredictor

_LAZY = {  # names that need torch or numpy
    "LatencyMeter": ".latency.meter",
    "LatencyPredictor": ".latency.predictor",
    "measure_latency": ".latency.meter",
}

__all__ = [
    "QUANTITIES",
    "Accuracy",
    "Calibration",
    "Constraint",
    "Device",
    "Epoch",
    "Goals",
    "Latency",
    "LatencyMeter",
    "LatencyPredictor",
    "LatencySetup",
    "Objective",
    "Quantity",
    "Recipe",
    "ReferencePanel",
    "build_reference_panel",
    "format_count",
    "host",
    "measure_latency",
    "package_versions",
    "parse_count",
    "parse_goals",
    "parse_latency",
    "parse_objectives",
    "usable_cores",
    "wilson_half_width",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name], __name__), name)
