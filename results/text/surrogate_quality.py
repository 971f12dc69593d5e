"""How well networks can be told apart without training them, once some of a search were trained."""

from collections.abc import Sequence

import numpy as np

from ...evaluate.surrogate.architecture_features import feature_matrix
from ...evaluate.surrogate.cross_validation import Agreement, cross_validated
from ..analysis.front_posterior import Certainty
from ..store.trial import Record

LEAST_NETWORKS = 12


def foretold_text(judged: Sequence[Record], certainty: Certainty | None) -> str:
    """What a model of size and shape foretells of networks left out of it; empty for fewer than a dozen."""
    trained = [record for record in judged if record.trainings]
    if len(trained) < LEAST_NETWORKS:
        return ""
    names, features = feature_matrix([record.architecture for record in trained])
    found = cross_validated(
        [record.key for record in trained],
        features,
        names,
        np.array([record.top1 for record in trained]),
        [len(record.trainings) for record in trained],
        certainty.noise.deviation if certainty else None,
    )
    told = "tells" if found.gain.interval[0] > 0 else "does not surely tell"
    return (
        f"A model of size and shape, fitted without a fifth of {found.networks} networks at a time, ranks "
        f"those {_text(found.everything)}; a trend in MACs {_text(found.macs)}. Shape {told} more than size."
    )


def _text(agreement: Agreement) -> str:
    low, high = agreement.spearman_interval
    # Left-out networks pull the mean away from themselves, so below 0 means nothing.
    if not agreement.spearman > 0:
        return "no better than chance"
    return f"with Spearman {agreement.spearman:.2f} ({low:.2f} to {high:.2f})"
