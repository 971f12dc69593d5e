"""What a network is worth: latency, accuracy, and the goals they are held against.

`train`, `data` and `onnx_graph` need torch and are imported by their own names.
"""

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
    "Quantity",
    "Recipe",
    "ReferencePanel",
    "build_reference_panel",
    "format_count",
    "host",
    "package_versions",
    "parse_count",
    "parse_goals",
    "parse_latency",
    "parse_objectives",
    "usable_cores",
    "wilson_half_width",
]
