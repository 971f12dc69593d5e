"""bneck's sampler in the comparison."""

from .landscapes import Evaluation, Landscape
from .peers import Timer

DESIGN = 4


def own(landscape: Landscape, seed: int, evaluations: int) -> list[Evaluation]:
    """Run bneck's sampler, which satisfies the limit on MACs by itself."""
    from optuna import create_study, logging
    from optuna.distributions import BaseDistribution, CategoricalDistribution

    from bneck.search.samplers.ehvi import EhviSampler

    logging.set_verbosity(logging.WARNING)
    timer, found = Timer(), []
    with timer.running():
        sampler = EhviSampler(landscape.space, landscape.goals, seed, noise=lambda: 0.0)
        study = create_study(sampler=sampler, directions=("maximize", "minimize"))
        choices: dict[str, BaseDistribution] = {
            gene.name: CategoricalDistribution(gene.choices) for gene in landscape.space.genes
        }
    for _ in range(evaluations):
        with timer.running():
            trial = study.ask(choices)
        evaluation = landscape.evaluate(trial.params)
        with timer.running():
            study.tell(trial, (evaluation.accuracy, evaluation.cost))
        found.append(evaluation._replace(cpu_seconds=timer.taken()))
    return found
