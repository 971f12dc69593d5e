"""A made-up landscape of accuracies that can be learned, and searches of it that train nothing."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from bneck.evaluate import Goals
from bneck.evaluate.surrogate.encoder import Candidate, Encoder, Observation
from bneck.search_space import Architecture, Genes, SearchSpace, cost

from ..results.example_run import REFERENCE_MS
from ..results.example_run import exact_latency as latency


def truth(network: Architecture) -> float:
    """An accuracy that rises with MACs, and with a small first and a wide last kernel, and with attention."""
    first, last = network.blocks[0], network.blocks[-1]
    size = 0.05 * math.log(cost(network).macs) - 0.1
    return size + 0.03 * (first.kernel == 3) + 0.02 * (last.kernel > 3) + 0.03 * (last.attention == "se")


def latency_ms(network: Architecture) -> float:
    """10 us a thousand MACs, and 100 us a block."""
    return cost(network).macs / 1e5 + 0.1 * len(network.blocks)


def encode(space: SearchSpace, genes: Genes) -> Candidate:
    return Encoder(space).encode(genes)


def some(space: SearchSpace, count: int, seed: int = 0) -> list[Candidate]:
    """Different networks at random."""
    rng, encoder = random.Random(seed), Encoder(space)
    found: dict[Architecture, Candidate] = {}
    while len(found) < count:
        seen = encoder.encode(space.sample(rng))
        found.setdefault(seen.architecture, seen)
    return list(found.values())


def known_of(networks: Sequence[Candidate], trainings: int = 1, timed: bool = True) -> list[Observation]:
    """As the landscape has them."""
    return [
        Observation(
            each, truth(each.architecture), trainings, latency_ms(each.architecture) if timed else None
        )
        for each in networks
    ]


def study_of(
    sampler: BaseSampler, goals: Goals, storage: str | optuna.storages.BaseStorage | None = None
) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = [objective.direction for objective in goals.objectives]
    return optuna.create_study(
        study_name="s", sampler=sampler, storage=storage, directions=directions, load_if_exists=True
    )


def ask(study: optuna.Study, space: SearchSpace) -> optuna.Trial:
    distributions: dict[str, BaseDistribution] = {
        gene.name: CategoricalDistribution(gene.choices) for gene in space.genes
    }
    return study.ask(distributions)


def tell(
    study: optuna.Study,
    trial: optuna.Trial,
    space: SearchSpace,
    goals: Goals,
    accuracy: Callable[[Architecture], float] = truth,
) -> None:
    """As a search does: with its latency, and a violation for each limit."""
    network = space.decode(trial.params)
    found, measured = cost(network), latency(latency_ms(network) / REFERENCE_MS)
    trial.set_user_attr("latency", asdict(measured))
    for quantity, violation in goals.violations(found, measured).items():
        trial.set_constraint(quantity, violation)
    values = []
    for objective in goals.objectives:
        if objective.depends_on_accuracy:
            accuracy_factor = objective.accuracy_factor(found, measured)
            assert accuracy_factor is not None
            values.append(accuracy(network) * accuracy_factor)
        elif objective.quantity == "latency":
            values.append(measured.latency_ms)
        else:
            values.append(float(getattr(found, objective.quantity)))
    study.tell(trial, values, state=TrialState.COMPLETE)


def searched(
    study: optuna.Study,
    space: SearchSpace,
    goals: Goals,
    count: int,
    accuracy: Callable[[Architecture], float] = truth,
) -> list[Architecture]:
    """The next networks that are proposed, each told before the next."""
    found = []
    for _ in range(count):
        trial = ask(study, space)
        found.append(space.decode(trial.params))
        tell(study, trial, space, goals, accuracy)
    return found
