"""Warm start from an earlier run of the same space, which may have other data and other limits.

Networks of its front within the new limits are enqueued first. A surrogate of its accuracies is a prior for
the sampler's, weighted by how well it predicts the new accuracies. Everything is copied into the new study.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...evaluate.surrogate.encoder import Encoder
from ...evaluate.surrogate.factory import MAX_FITTED, TRANSFER_KEY, TransferPrior
from ...evaluate.surrogate.gaussian_process import fit
from ...results import Run
from ...search_space import CandidateSpace, Genes, GoalError, cost
from .feasibility import constraint_violation

MAX_ENQUEUED = 6


@dataclass(frozen=True)
class TransferredTrial:
    """A network that an earlier run evaluated.

    Attributes:
        trainings: number of training runs that `accuracy` is the mean of.
        best: whether it was on the front there.
    """

    genes: Genes
    accuracy: float
    trainings: int
    best: bool


def load_transferred_trials(source_run: Run, space: CandidateSpace) -> list[TransferredTrial]:
    """The evaluated networks of an earlier run, in the order of its trials.

    Raises:
        GoalError: it searched another space, or has no evaluated network.
    """
    source_space = source_run.settings.space
    if source_space.genes != space.genes:
        raise GoalError(
            f"--transfer-from {source_run.folder} searched space {source_space.name}, whose genes are not "
            f"those of {space.name}; search that space, or leave --transfer-from out"
        )
    trials = source_run.study.get_trials(deepcopy=False)
    front = {record.key for record in source_run.front()}
    transferred = [
        TransferredTrial(dict(trials[each.trial].params), each.top1, len(each.trainings), each.key in front)
        for each in source_run.completed_records()
    ]
    if not transferred:
        raise GoalError(f"--transfer-from {source_run.folder}: no network has been evaluated there yet")
    return transferred


def select_transferred_genes(transferred: Sequence[TransferredTrial], run: Run) -> list[Genes]:
    """Genes of networks equally spaced along the earlier front, within the run's limits on cost."""
    space, violation_of = run.settings.space, constraint_violation(run.settings.goals)
    best = [(cost(space.decode(each.genes)), each.genes) for each in transferred if each.best]
    left = sorted((pair for pair in best if violation_of(pair[0]) == 0), key=lambda pair: pair[0].macs)
    places = np.linspace(0, len(left) - 1, min(MAX_ENQUEUED, len(left))).round().astype(int)
    return [left[place][1] for place in places]


def transfer_prior_of(run: Run) -> TransferPrior | None:
    """The prior of a run; None without `--transfer-from`."""
    rows = run.study.user_attrs.get(TRANSFER_KEY)
    return fit_transfer_prior([TransferredTrial(*row) for row in rows], run.settings.space) if rows else None


def fit_transfer_prior(transferred: list[TransferredTrial], space: CandidateSpace) -> TransferPrior:
    """Fit a Gaussian process to the accuracies of the latest transferred trials."""
    encoder = Encoder(space)
    by_architecture = {}
    for each in transferred[-MAX_FITTED:]:
        own = encoder.encode(each.genes)
        by_architecture[own.architecture] = own, each
    networks = [own for own, _ in by_architecture.values()]
    model = fit(
        [own.architecture.key for own in networks],
        np.array([own.features for own in networks]),
        encoder.names,
        [each.accuracy for _, each in by_architecture.values()],
        [each.trainings for _, each in by_architecture.values()],
        None,
        columns=encoder.columns,
    )
    return TransferPrior(model)
