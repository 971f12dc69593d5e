"""What was found: runs, records, fronts, reports, exports. Optuna, pandas and plotly enter late."""

from .store.pareto import losses_of, pareto_front
from .store.search_run import Baseline, Check, Run
from .store.settings import DataSettings, LatencyFrom, RunSettings
from .store.trial import Record

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
