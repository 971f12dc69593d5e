"""Base of bneck's own samplers, which propose whole networks of a space."""

from abc import ABC, abstractmethod
from typing import Any, NoReturn

from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from ...search_space import CandidateSpace, Genes, UnknownNameError


class GenesSampler(BaseSampler, ABC):
    """An Optuna sampler that proposes whole networks of a space."""

    def __init__(self, space: CandidateSpace) -> None:
        self.space = space

    @abstractmethod
    def propose(self, study: Study, trial: FrozenTrial) -> Genes:
        """Genes for a new trial."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All genes of the space, whatever the parameters of earlier trials."""
        return {gene.name: CategoricalDistribution(gene.choices) for gene in self.space.genes}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self.propose(study, trial)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> NoReturn:
        """Refuse parameters that are no genes: they would change nothing.

        Raises:
            UnknownNameError: always; every gene comes from `propose`.
        """
        genes = [gene.name for gene in self.space.genes]
        raise UnknownNameError(f"gene of space {self.space.name}", param_name, genes)


def proposed_keys(study: Study, trial: FrozenTrial, space: CandidateSpace) -> set[str]:
    """Keys of the networks of all other trials, finished or not; trials without all genes are skipped."""
    genes = {gene.name for gene in space.genes}
    keys: set[str] = set()
    for other in study.get_trials(deepcopy=False):
        if other.number == trial.number:
            continue
        if "key" in other.user_attrs:
            keys.add(other.user_attrs["key"])
        elif other.params.keys() == genes:
            keys.add(space.decode(other.params).key)
    return keys
