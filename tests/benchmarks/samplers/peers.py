"""The compared samplers, each as a function that returns the evaluations in order.

Each searches the genes of the space as flat categorical parameters and gets the observed accuracy, cost and
the violation of the limit. Duplicates are evaluated again. CPU-seconds are those of ask and tell, without
the evaluation.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version

from bneck.search.samplers.registry import SamplerContext, make_sampler
from bneck.search_space import Genes

from .landscapes import Evaluation, Evaluator, Sources, landscape_version

SamplerRun = Callable[[Evaluator, int], list[Evaluation]]
"""Runs a sampler for a number of evaluations, with the seed of the evaluator."""
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

    def proposals(evaluate: Evaluator, evaluations: int) -> list[Evaluation]:
        from optuna import create_study, logging
        from optuna.distributions import BaseDistribution, CategoricalDistribution
        from optuna.samplers import RandomSampler

        logging.set_verbosity(logging.WARNING)
        landscape, seed = evaluate.landscape, evaluate.seed
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
            evaluation = evaluate(trial.params)
            with timer.running():
                if landscape.limit:
                    trial.set_constraint(landscape.limit.quantity, evaluation.violation)
                study.tell(trial, (evaluation.observed, evaluation.cost))
            found.append(evaluation._replace(cpu_seconds=timer.taken()))
        return found

    return proposals


def pymoo(evaluate: Evaluator, evaluations: int) -> list[Evaluation]:
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

    landscape, seed = evaluate.landscape, evaluate.seed
    genes = landscape.space.genes
    last = np.array([len(gene.choices) - 1 for gene in genes])
    limited = int(landscape.limit is not None)
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
        evaluated = [evaluate(row) for row in rows]
        with timer.running():
            values = {"F": np.array([(-each.observed, each.cost) for each in evaluated])}
            if limited:
                values["G"] = np.array([[each.violation] for each in evaluated])
            Evaluator().eval(StaticProblem(problem, **values), population)
            algorithm.tell(infills=population)
        each_seconds = timer.taken() / len(evaluated)
        found += [each._replace(cpu_seconds=each_seconds) for each in evaluated]
    return found[:evaluations]


def pyglove(evaluate: Evaluator, evaluations: int) -> list[Evaluation]:
    """NSGA-II with mutation only; duplicates are proposed again.

    It supports no constraints: an infeasible network gets values worse than the reference point, by its
    violation.
    """
    import pyglove as pg

    landscape, seed = evaluate.landscape, evaluate.seed
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
        evaluation = evaluate(row)
        accuracy, cost = evaluation.observed, evaluation.cost
        if not evaluation.feasible:
            accuracy, cost = (
                worst * (1 + sign * evaluation.violation)
                for worst, sign in zip(landscape.worst, (-1, 1), strict=True)
            )
        with timer.running():
            algorithm.feedback(proposed, (accuracy, -cost))
        found.append(evaluation._replace(cpu_seconds=timer.taken()))
    return found


def own(variant: str = "") -> SamplerRun:
    def proposals(evaluate: Evaluator, evaluations: int) -> list[Evaluation]:
        from .own import own

        return own(evaluate, evaluations, variant)

    return proposals


GP, OWN = "gp", "own"
PEERS: dict[str, SamplerRun] = {  # fastest first
    "random": optuna("random"),
    "nsga2": optuna("nsga2"),
    "pymoo": pymoo,
    "tpe": optuna("tpe"),
    "pyglove": pyglove,
    GP: optuna(GP),
}
ABLATIONS = ("no-stage-kernels", "no-size-features", "no-evolution", "no-replicates")
SAMPLERS: dict[str, SamplerRun] = {
    **PEERS,
    OWN: own(),
    **{f"{OWN}-{variant}": own(variant) for variant in ABLATIONS},
}


def sampler_version(name: str) -> str:
    """Cache key of a sampler; increase the number if the code changes its proposals."""
    if name.startswith(OWN):
        from .own import DESIGN

        return f"{name}/{DESIGN}"
    package = name if name in ("pymoo", "pyglove") else "optuna"
    return f"{name}/1 of {package} {version(package)}"


def search_key(sources: Sources, name: str, sampler: str, noise: float, seed: int, evaluations: int) -> str:
    """Cache key of a search: everything that its result depends on."""
    words = (landscape_version(name, sources), sampler_version(sampler), f"noise {noise:g}")
    return "; ".join((*words, f"{evaluations} evaluations", f"seed {seed}"))
