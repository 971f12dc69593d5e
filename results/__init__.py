"""Search runs, their records and Pareto fronts, figures, reports and exports."""

from .joined_runs import JoinedRuns
from .run import Run
from .store.pareto import losses_of, pareto_front
from .store.search_run import Baseline, Verification
from .store.settings import DataSettings, LatencyPolicy, RunSettings
from .store.trial import Record

__all__ = [
    "Baseline",
    "DataSettings",
    "JoinedRuns",
    "LatencyPolicy",
    "Record",
    "Run",
    "RunSettings",
    "Verification",
    "losses_of",
    "pareto_front",
]
