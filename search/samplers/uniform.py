"""Random search: uniform over the networks within the limits on cost, without duplicates."""

import math
import random
from collections.abc import Callable

from optuna import Study
from optuna.trial import FrozenTrial

from ...evaluate import Goals
from ...search_space import CandidateSpace, Genes
from .base import GenesSampler, proposed_keys
from .feasibility import sample_unseen_feasible, sampler_within


class UniformSampler(GenesSampler):
    """Samples uniformly among the networks within the limits that no trial of the study has.

    A sample depends on the seed and the trial's number only, so a resumed study repeats nothing. Where no
    new network is found, a known one is proposed again.

    Args:
        goals: limits on MACs and parameters are satisfied; one on latency is ignored.
        max_training_macs: of the largest training that there is time for.
    Raises:
        NoFeasibleNetworkError: no network satisfies the limits.
    """

    def __init__(
        self,
        space: CandidateSpace,
        goals: Goals,
        seed: int,
        max_training_macs: Callable[[], float] = lambda: math.inf,
    ) -> None:
        super().__init__(space)
        self.goals = goals
        self.seed = seed
        self.max_training_macs = max_training_macs
        self.network_sampler = sampler_within(space, goals)

    def propose(self, study: Study, trial: FrozenTrial) -> Genes:
        rng = random.Random(f"{self.seed}/{trial.number}")
        excluded = proposed_keys(study, trial, self.space)
        unseen = sample_unseen_feasible(self.space, self.goals, excluded, rng, self.max_training_macs())
        return unseen or self.network_sampler.sample(rng)
