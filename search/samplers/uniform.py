"""Random search that wastes nothing: networks within the limits on cost, each once, all as likely."""

import random

from optuna import Study
from optuna.trial import FrozenTrial

from ...evaluate import Goals
from ...search_space import Genes, SearchSpace
from .base import GenesSampler, proposed_keys
from .feasibility import sample_unseen_feasible, sampler_within


class UniformSampler(GenesSampler):
    """Draws evenly among the networks that keep the limits and that no trial of the study has.

    A draw follows from the seed and the number of its trial, so a study that goes on repeats nothing.
    Where nothing new turns up, an old network is proposed again, and whoever asked sees the repeat.

    Args:
        goals: whose limits on MACs and parameters are kept; one on latency is not looked at.
    Raises:
        NoFeasibleNetworkError: no network keeps the limits.
    """

    def __init__(self, space: SearchSpace, goals: Goals, seed: int) -> None:
        super().__init__(space)
        self.goals = goals
        self.seed = seed
        self.network_sampler = sampler_within(space, goals)

    def propose(self, study: Study, trial: FrozenTrial) -> Genes:
        rng = random.Random(f"{self.seed}/{trial.number}")
        seen = proposed_keys(study, trial, self.space)
        return sample_unseen_feasible(self.space, self.goals, seen, rng) or self.network_sampler.sample(rng)
