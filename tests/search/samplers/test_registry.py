"""What holds for every sampler: proposals lie in the space, limits and repeats do no harm, a seed repeats."""

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from bneck.evaluate import Constraint, Goals, Objective
from bneck.search.samplers.registry import SAMPLERS, SamplerContext, make_sampler
from bneck.search_space import Genes, UnknownNameError, cost

from ..helpers import SMALL, fake_accuracy, fake_latency

ROUNDS = 12
MAX_MACS = 25_000  # about half of SMALL

SLOW = ("ehvi", "gp")
FEASIBLE = ("ehvi", "random")  # by construction


def context(seed: int) -> SamplerContext:
    goals = Goals((Objective("accuracy"), Objective("latency")), (Constraint("macs", MAX_MACS),))
    return SamplerContext(SMALL, goals, seed)


def proposed(with_sampler: BaseSampler, rounds: int = ROUNDS) -> tuple[list[Genes], optuna.Study]:
    """Ask and tell as a search does: infeasible ones complete, repeats failed, the rest judged."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=with_sampler)
    distributions: dict[str, BaseDistribution] = {
        gene.name: CategoricalDistribution(gene.choices) for gene in SMALL.genes
    }
    found: list[Genes] = []
    seen: set[str] = set()
    for _ in range(rounds):
        trial = study.ask(distributions)
        assert isinstance(trial.relative_params, dict)
        network = SMALL.decode(trial.params)
        found.append(dict(trial.params))
        if network.key in seen:
            study.tell(trial, state=TrialState.FAIL)
            continue
        seen.add(network.key)
        trial.set_constraint("macs", cost(network).macs / MAX_MACS - 1)
        study.tell(trial, [fake_accuracy(network).top1, fake_latency(network).latency_ms])
    return found, study


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_proposes_networks_of_the_space_whatever_it_is_told(name: str) -> None:
    rounds = ROUNDS if name in SLOW else 3 * ROUNDS
    found, study = proposed(make_sampler(name, context(0)), rounds)
    assert len(found) == rounds
    choices = {gene.name: gene.choices for gene in SMALL.genes}
    for genes in found:
        assert set(genes) == set(choices)
        assert all(value in choices[gene] for gene, value in genes.items())
    violations = [trial.constraints["macs"] for trial in study.trials if trial.state == TrialState.COMPLETE]
    assert min(violations) <= 0
    assert (max(violations) <= 0) == (name in FEASIBLE)
    assert len({SMALL.decode(genes).key for genes in found}) > 5


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_seed_repeats_the_proposals_and_another_seed_changes_them(name: str) -> None:
    rounds = ROUNDS if name in SLOW else 3 * ROUNDS
    first, _ = proposed(make_sampler(name, context(3)), rounds)
    again, _ = proposed(make_sampler(name, context(3)), rounds)
    other, _ = proposed(make_sampler(name, context(4)), 3)
    assert first == again
    assert first[:3] != other


def test_the_names_are_those_of_the_help() -> None:
    kinds = {name: type(make_sampler(name, context(0))).__name__ for name in SAMPLERS}
    assert kinds == {
        "ehvi": "EhviSampler",
        "random": "UniformSampler",
        "tpe": "TPESampler",
        "nsga2": "NSGAIISampler",
        "gp": "GPSampler",
    }


def test_an_unknown_sampler_lists_the_names() -> None:
    with pytest.raises(UnknownNameError, match=r"'annealing'.* ehvi, random, tpe, nsga2, gp"):
        make_sampler("annealing", context(0))


def test_tpe_learns_from_limits_that_were_broken() -> None:
    # of random proposals some half break the limit
    found, _ = proposed(make_sampler("tpe", context(0)), 60)
    kept = [cost(SMALL.decode(genes)).macs <= MAX_MACS for genes in found]
    assert sum(kept[30:]) > 20
