"""What a network is worth: latency, accuracy, and the goals they are held against.

`train`, `data` and `onnx_graph` need torch and are imported by their own names.
"""

from .accuracy import Accuracy, Epoch, wilson_margin
from .device import Device, host, package_versions, usable_cores
from .goals import (
    QUANTITIES,
    Constraint,
    Goals,
    Objective,
    Quantity,
    parse_count,
    parse_goals,
    parse_latency,
    parse_objectives,
    short_count,
)
from .latency import Latency
from .latency_setup import LatencySetup
from .panel import Calibration, Panel, panel_of
from .recipe import Recipe

__all__ = [
    "QUANTITIES",
    "Accuracy",
    "Calibration",
    "Constraint",
    "Device",
    "Epoch",
    "Goals",
    "Latency",
    "LatencySetup",
    "Objective",
    "Panel",
    "Quantity",
    "Recipe",
    "host",
    "package_versions",
    "panel_of",
    "parse_count",
    "parse_goals",
    "parse_latency",
    "parse_objectives",
    "short_count",
    "usable_cores",
    "wilson_margin",
]
