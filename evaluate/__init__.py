"""What a network is worth: latency, accuracy, and the goals they are held against.

`train`, `data` and `onnx_graph` need torch and are imported by their own names.
"""

from .latency.device import Device, host, package_versions, usable_cores
from .latency.measurement import Latency
from .latency.reference_panel import Calibration, Panel, panel_of
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
    short_count,
)
from .training.accuracy import Accuracy, Epoch, wilson_margin
from .training.recipe import Recipe

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
