"""What a network is worth: latency, accuracy, and the goals they are held against.

`train`, `data` and `onnx_graph` need torch and are imported by their own names.
"""

from .accuracy import Accuracy, Epoch, wilson_margin
from .device import device_fingerprint, package_versions, usable_cores
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
from .latency import BACKENDS, Latency, LatencyBackend, LatencyMeter, latency_backend
from .recipe import Recipe

__all__ = [
    "BACKENDS",
    "QUANTITIES",
    "Accuracy",
    "Constraint",
    "Epoch",
    "Goals",
    "Latency",
    "LatencyBackend",
    "LatencyMeter",
    "Objective",
    "Quantity",
    "Recipe",
    "device_fingerprint",
    "latency_backend",
    "package_versions",
    "parse_count",
    "parse_goals",
    "parse_latency",
    "parse_objectives",
    "short_count",
    "usable_cores",
    "wilson_margin",
]
