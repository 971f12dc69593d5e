"""The compared samplers, each as a function that returns the evaluations in order.

Each searches the genes of the space as flat categorical parameters and gets accuracy, cost and the
violation of the limit on MACs. Duplicates are evaluated again. CPU-seconds are those of ask and tell,
without the evaluation.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version

from bneck.search.samplers.registry import SamplerContext, make_sampler
from bneck.search_space import Genes

from .landscapes import Evaluation, Landscape

SamplerRun = Callable[[Landscape, int, int], list[Evaluation]]
POPULATION = 20
ATTEMPTS = 100  # as in pyglove's Deduping, which supports one objective only


class Timer:
    """CPU-seconds of this process within its blocks since the last call of `taken`."""

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


def optuna(name: str) -> SamplerRun:
    """A sampler of Optuna, configured as by `bneck search --sampler`; random unconfigured."""

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
            evaluation = landscape.evaluate(genes)
            with timer.running():
                if landscape.max_macs is not None:
                    trial.set_constraint("macs", landscape.excess(genes))
                study.tell(trial, (evaluation.accuracy, evaluation.cost))
            found.append(evaluation._replace(cpu_seconds=timer.taken()))
        return found

    return proposals


def pymoo(landscape: Landscape, seed: int, evaluations: int) -> list[Evaluation]:
    """NSGA-II on the indices of the choices, without duplicates, as in pymoo's guide for integers."""
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
            population = algorithm.ask()
        rows: list[Genes] = [
            {gene.name: gene.choices[place] for gene, place in zip(genes, row, strict=True)}
            for row in population.get("X").astype(int).tolist()
        ]
        evaluated = [landscape.evaluate(row) for row in rows]
        with timer.running():
            values = {"F": np.array([(-each.accuracy, each.cost) for each in evaluated])}
            if limited:
                values["G"] = np.array([[landscape.excess(row)] for row in rows])
            Evaluator().eval(StaticProblem(problem, **values), population)
            algorithm.tell(infills=population)
        each_seconds = timer.taken() / len(evaluated)
        found += [each._replace(cpu_seconds=each_seconds) for each in evaluated]
    return found[:evaluations]


def pyglove(landscape: Landscape, seed: int, evaluations: int) -> list[Evaluation]:
    """NSGA-II with mutation only; duplicates are proposed again.

    It supports no constraints: an infeasible network gets values worse than the reference point, by its
    violation.
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
        evaluation = landscape.evaluate(row)
        accuracy, cost = evaluation.accuracy, evaluation.cost
        if not evaluation.feasible:
            accuracy, cost = (
                worst * (1 + sign * landscape.excess(row))
                for worst, sign in zip(landscape.worst, (-1, 1), strict=True)
            )
        with timer.running():
            algorithm.feedback(proposed, (accuracy, -cost))
        found.append(evaluation._replace(cpu_seconds=timer.taken()))
    return found


def own(landscape: Landscape, seed: int, evaluations: int) -> list[Evaluation]:
    from .own import own

    return own(landscape, seed, evaluations)


GP = "gp"
SAMPLERS: dict[str, SamplerRun] = {  # fastest first
    "random": optuna("random"),
    "nsga2": optuna("nsga2"),
    "pymoo": pymoo,
    "tpe": optuna("tpe"),
    "pyglove": pyglove,
    "own": own,
    GP: optuna(GP),
}


def sampler_version(name: str) -> str:
    """Cache key of a sampler; increase the number if the code changes its proposals."""
    if name == "own":
        from .own import DESIGN

        return f"own/{DESIGN}"
    package = name if name in ("pymoo", "pyglove") else "optuna"
    return f"{name}/1 of {package} {version(package)}"
