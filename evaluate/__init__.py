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
    parse_limit,
    parse_objectives,
)
from .training.accuracy import Accuracy, Epoch, wilson_interval
from .training.recipe import Recipe

if TYPE_CHECKING:
    from .api import TrainedNetwork as TrainedNetwork
    from .api import evaluate as evaluate
    from .api import load_network as load_network
    from .api import network_from as network_from
    from .api import train as train
    from .classifier import Classifier as Classifier
    from .data.dataset import Data as Data
    from .data.dataset import load_data as load_data
    from .inheritance.inherit import inherit as inherit
    from .latency.meter import LatencyMeter as LatencyMeter
    from .latency.meter import measure_latency as measure_latency
    from .latency.predictor import LatencyPredictor as LatencyPredictor

_LAZY = {  # names that need torch or numpy
    "Classifier": ".classifier",
    "Data": ".data.dataset",
    "LatencyMeter": ".latency.meter",
    "LatencyPredictor": ".latency.predictor",
    "TrainedNetwork": ".api",
    "evaluate": ".api",
    "inherit": ".inheritance.inherit",
    "load_data": ".data.dataset",
    "load_network": ".api",
    "measure_latency": ".latency.meter",
    "network_from": ".api",
    "train": ".api",
}

__all__ = [
    "QUANTITIES",
    "Accuracy",
    "Calibration",
    "Classifier",
    "Constraint",
    "Data",
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
    "TrainedNetwork",
    "build_reference_panel",
    "evaluate",
    "format_count",
    "host",
    "inherit",
    "load_data",
    "load_network",
    "measure_latency",
    "network_from",
    "package_versions",
    "parse_count",
    "parse_goals",
    "parse_latency",
    "parse_limit",
    "parse_objectives",
    "train",
    "usable_cores",
    "wilson_interval",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name], __name__), name)
