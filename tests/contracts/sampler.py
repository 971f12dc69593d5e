"""Contract of samplers: proposals lie in the space, infeasible trials do no harm, a seed repeats."""

from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from bneck.evaluate import parse_goals
from bneck.search.samplers.registry import SamplerContext, make_sampler
from bneck.search_space import Genes, SearchSpace, cost, load_space


class SamplerContract:
    """Tests that a sampler must pass; derive a class and override the fixture `sampler`.

    Attributes:
        n_trials: length of the searches.
        space: searched; `max_macs` should exclude some of its networks.
    """

    n_trials: int = 12
    space: SearchSpace = load_space("tiny")
    max_macs: str = "1M"

    @pytest.fixture
    def sampler(self) -> Any:
        """A name, `module:attribute`, a class, or a function of a `SamplerContext`."""
        raise NotImplementedError("override the fixture `sampler`")

    def test_proposals_are_networks_of_the_space(self, sampler: Any) -> None:
        proposed = self.propose(self.made(sampler, seed=0))
        choices = {gene.name: gene.choices for gene in self.space.genes}
        assert len(proposed) == self.n_trials
        for genes in proposed:
            assert set(genes) == set(choices)
            assert all(value in choices[name] for name, value in genes.items())
        assert len({self.space.decode(genes).key for genes in proposed}) > self.n_trials // 3

    def test_a_seed_repeats_the_proposals_and_another_seed_changes_them(self, sampler: Any) -> None:
        first, again = (self.propose(self.made(sampler, seed=3)) for _ in range(2))
        assert first == again
        assert first != self.propose(self.made(sampler, seed=4))

    def test_a_study_can_be_continued_by_a_new_sampler(self, sampler: Any) -> None:
        study = self.new_study(self.made(sampler, seed=0))
        self.propose(study.sampler, study, n_trials=3)
        study.sampler = self.made(sampler, seed=0, n_previous_trials=3)
        self.propose(study.sampler, study, n_trials=3)
        assert len(study.trials) == 6

    def made(self, sampler: Any, seed: int, n_previous_trials: int = 0) -> BaseSampler:
        goals = parse_goals("accuracy,latency", {"macs": self.max_macs})
        return make_sampler(sampler, SamplerContext(self.space, goals, seed, n_previous_trials))

    def new_study(self, sampler: BaseSampler) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)

    def propose(
        self, sampler: BaseSampler, study: optuna.Study | None = None, n_trials: int | None = None
    ) -> list[Genes]:
        """Run trials as a search does: infeasible ones are complete, duplicates fail."""
        study = study or self.new_study(sampler)
        limit = parse_goals("accuracy", {"macs": self.max_macs}).constraints[0]
        distributions: dict[str, BaseDistribution] = {
            gene.name: CategoricalDistribution(gene.choices) for gene in self.space.genes
        }
        proposed: list[Genes] = []
        keys: set[str] = set()
        for _ in range(n_trials or self.n_trials):
            trial = study.ask(distributions)
            assert isinstance(trial.relative_params, dict)
            network = self.space.decode(trial.params)
            proposed.append(dict(trial.params))
            if network.key in keys:
                study.tell(trial, state=TrialState.FAIL)
                continue
            keys.add(network.key)
            macs = cost(network).macs
            trial.set_constraint("macs", limit.violation(macs))
            study.tell(trial, [0.2 + int(network.key, 16) % 601 / 1000, macs / 1e6])
        return proposed
