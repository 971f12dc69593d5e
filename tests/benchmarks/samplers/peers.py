"""The samplers that are compared, each behind one function: a landscape's networks in the order proposed.

All are given the space's genes as flat categorical choices, and are told accuracy, cost and by how much the
limit on MACs is broken. What is proposed twice is judged twice. CPU-seconds are those of proposing and of
taking in the answer, judging apart.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version

from bneck.search.samplers.registry import SamplerContext, make_sampler
from bneck.search_space import Genes

from .landscapes import Evaluation, Landscape

TrialManager = Callable[[Landscape, int, int], list[Evaluation]]
POPULATION = 20
ATTEMPTS = 100  # as many as pyglove's own Deduping, which takes one objective alone


class Timer:
    """CPU-seconds of this process within its blocks, since they were last taken."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        start = time.process_time()
        yield
        self.seconds += time.process_time() - start

    def taken(self) -> float:
        seconds, self.seconds = self.seconds, 0.0
        return seconds


def optuna(name: str) -> TrialManager:
    """A sampler of Optuna, set as `bneck search --sampler` sets it; random as it comes."""

    def proposals(landscape: Landscape, seed: int, evaluations: int) -> list[Evaluation]:
        from optuna import create_study, logging
        from optuna.distributions import BaseDistribution, CategoricalDistribution
        from optuna.samplers import RandomSampler

        logging.set_verbosity(logging.WARNING)
        context = SamplerContext(landscape.space, landscape.goals, seed)
        chosen = RandomSampler(seed) if name == "random" else make_sampler(name, context)
        study = create_study(sampler=chosen, directions=("maximize", "minimize"))
        choices: dict[str, BaseDistribution] = {
            gene.name: CategoricalDistribution(gene.choices) for gene in landscape.space.genes
        }
        timer, found = Timer(), []
        for _ in range(evaluations):
            with timer.running():
                trial = study.ask(choices)
            genes: Genes = trial.params
            judged = landscape.evaluate(genes)
            with timer.running():
                if landscape.max_macs is not None:
                    trial.set_constraint("macs", landscape.excess(genes))
                study.tell(trial, (judged.accuracy, judged.cost))
            found.append(judged._replace(cpu_seconds=timer.taken()))
        return found

    return proposals


def pymoo(landscape: Landscape, seed: int, evaluations: int) -> list[Evaluation]:
    """NSGA-II on the places of the choices, without duplicates, as pymoo's guide sets whole numbers."""
    import numpy as np
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.evaluator import Evaluator
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.problems.static import StaticProblem

    genes = landscape.space.genes
    last = np.array([len(gene.choices) - 1 for gene in genes])
    limited = int(landscape.max_macs is not None)
    problem = Problem(n_var=len(genes), n_obj=2, n_ieq_constr=limited, xl=0 * last, xu=last, vtype=int)
    algorithm = NSGA2(
        pop_size=POPULATION,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    algorithm.setup(problem, termination=("n_eval", evaluations), seed=seed, verbose=False)
    timer = Timer()
    found: list[Evaluation] = []
    while len(found) < evaluations:
        with timer.running():
            asked = algorithm.ask()
        rows: list[Genes] = [
            {gene.name: gene.choices[place] for gene, place in zip(genes, row, strict=True)}
            for row in asked.get("X").astype(int).tolist()
        ]
        judged = [landscape.evaluate(row) for row in rows]
        with timer.running():
            told = {"F": np.array([(-each.accuracy, each.cost) for each in judged])}
            if limited:
                told["G"] = np.array([[landscape.excess(row)] for row in rows])
            Evaluator().eval(StaticProblem(problem, **told), asked)
            algorithm.tell(infills=asked)
        each_seconds = timer.taken() / len(judged)
        found += [each._replace(cpu_seconds=each_seconds) for each in judged]
    return found[:evaluations]


def pyglove(landscape: Landscape, seed: int, evaluations: int) -> list[Evaluation]:
    """NSGA-II by mutation alone, asked again for what was proposed before.

    It knows no limits: a network beyond one is told as worse than the reference point, by its excess.
    """
    import pyglove as pg

    genes = landscape.space.genes
    algorithm = pg.evolution.nsga2(
        pg.evolution.mutators.Uniform(seed=seed), population_size=POPULATION, seed=seed
    )
    algorithm.setup(pg.dna_spec(pg.Dict({gene.name: pg.oneof(gene.choices) for gene in genes})))
    timer, found, seen = Timer(), [], set()
    for _ in range(evaluations):
        with timer.running():
            for _ in range(ATTEMPTS):
                proposed = algorithm.propose()
                places = tuple(proposed.to_numbers())
                if places not in seen:
                    break
        seen.add(places)
        row = {gene.name: gene.choices[place] for gene, place in zip(genes, places, strict=True)}
        judged = landscape.evaluate(row)
        accuracy, cost = judged.accuracy, judged.cost
        if not judged.feasible:
            accuracy, cost = (
                worst * (1 + sign * landscape.excess(row))
                for worst, sign in zip(landscape.worst, (-1, 1), strict=True)
            )
        with timer.running():
            algorithm.feedback(proposed, (accuracy, -cost))
        found.append(judged._replace(cpu_seconds=timer.taken()))
    return found


def own(landscape: Landscape, seed: int, evaluations: int) -> list[Evaluation]:
    from .own import own

    return own(landscape, seed, evaluations)


GP = "gp"
SAMPLERS: dict[str, TrialManager] = {  # the quick ones first
    "random": optuna("random"),
    "nsga2": optuna("nsga2"),
    "pymoo": pymoo,
    "tpe": optuna("tpe"),
    "pyglove": pyglove,
    "own": own,
    GP: optuna(GP),
}


def sampler_version(name: str) -> str:
    """A sampler's name with all that its proposals follow from: raise the number where the code changes."""
    if name == "own":
        from .own import DESIGN

        return f"own/{DESIGN}"
    package = name if name in ("pymoo", "pyglove") else "optuna"
    return f"{name}/1 of {package} {version(package)}"
