"""What was found: runs, records, fronts, reports, exports. Optuna, pandas and plotly enter late."""

from .front import losses_of, pareto_front
from .record import Record
from .run import Baseline, Check, Run
from .settings import DataSettings, LatencyFrom, RunSettings

__all__ = [
    "Baseline",
    "Check",
    "DataSettings",
    "LatencyFrom",
    "Record",
    "Run",
    "RunSettings",
    "losses_of",
    "pareto_front",
]
