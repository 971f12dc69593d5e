"""How well networks can be told apart without training them, once some of a search were trained."""

from collections.abc import Sequence

import numpy as np

from ...evaluate.surrogate.architecture_features import feature_matrix
from ...evaluate.surrogate.cross_validation import PredictionMetrics, cross_validate
from ..analysis.front_posterior import FrontPosterior
from ..store.trial import Record

MIN_NETWORKS = 12


def surrogate_quality_text(completed: Sequence[Record], front_posterior: FrontPosterior | None) -> str:
    """What a model of size and shape foretells of networks left out of it; empty for fewer than a dozen."""
    trained = [record for record in completed if record.trainings]
    if len(trained) < MIN_NETWORKS:
        return ""
    names, features = feature_matrix([record.architecture for record in trained])
    cross_validation = cross_validate(
        [record.key for record in trained],
        features,
        names,
        np.array([record.top1 for record in trained]),
        [len(record.trainings) for record in trained],
        front_posterior.noise.std if front_posterior else None,
    )
    verb = "tells" if cross_validation.gain_over_macs.ci95[0] > 0 else "does not surely tell"
    return (
        f"A model of size and shape, fitted without a fifth of {cross_validation.networks} networks at a "
        f"time, ranks those {_text(cross_validation.full_model)}; a trend in MACs "
        f"{_text(cross_validation.macs)}. Shape {verb} more than size."
    )


def _text(metrics: PredictionMetrics) -> str:
    low, high = metrics.spearman_ci95
    # Left-out networks pull the mean away from themselves, so below 0 means nothing.
    if not metrics.spearman > 0:
        return "no better than chance"
    return f"with Spearman {metrics.spearman:.2f} ({low:.2f} to {high:.2f})"
