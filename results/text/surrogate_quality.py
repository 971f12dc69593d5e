"""Cross-validated quality of the surrogate of accuracy, in sentences."""

from collections.abc import Sequence

import numpy as np

from ...evaluate.statistics.arrays import evenly_spaced
from ...evaluate.surrogate.architecture_features import feature_matrix
from ...evaluate.surrogate.cross_validation import PredictionMetrics, cross_validate
from ..analysis.front_posterior import FrontPosterior
from ..store.trial import Record

MIN_NETWORKS, MAX_NETWORKS = 12, 400  # fitting time is cubic in it


def surrogate_quality_text(completed: Sequence[Record], front_posterior: FrontPosterior | None) -> str:
    """Rank correlation of held-out networks, by all features and by MACs; empty below `MIN_NETWORKS`."""
    trained = [record for record in completed if record.trainings]
    if len(trained) < MIN_NETWORKS:
        return ""
    total, trained = len(trained), evenly_spaced(trained, MAX_NETWORKS)
    subset = f"{len(trained):,} of {total:,}" if len(trained) < total else f"{total}"
    names, features = feature_matrix([record.architecture for record in trained])
    cross_validation = cross_validate(
        [record.key for record in trained],
        features,
        names,
        np.array([record.top1 for record in trained]),
        [len(record.trainings) for record in trained],
        front_posterior.noise.std if front_posterior else None,
    )
    improve = "improve" if cross_validation.gain_over_macs.ci95[0] > 0 else "do not significantly improve"
    return (
        f"Surrogate ({cross_validation.folds}-fold cross-validation, {subset} networks): "
        f"{_text(cross_validation.full_model)} with architecture features, {_text(cross_validation.macs)} "
        f"with MACs alone. Architecture features {improve} on MACs alone."
    )


def _text(metrics: PredictionMetrics) -> str:
    low, high = metrics.spearman_ci95
    # Held-out networks pull the training mean away from themselves: values below 0 mean nothing.
    if not metrics.spearman > 0:
        return "no rank correlation"
    return f"Spearman {metrics.spearman:.2f} ({low:.2f} to {high:.2f})"
