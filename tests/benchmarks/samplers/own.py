"""bneck's own sampler in the comparison."""

from .landscapes import Evaluation, Landscape
from .peers import Timer

DESIGN = 3


def own(landscape: Landscape, seed: int, evaluations: int) -> list[Evaluation]:
    """It is told, as are the others, accuracy and cost; the limit on MACs it keeps by itself."""
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
        judged = landscape.evaluate(trial.params)
        with timer.running():
            study.tell(trial, (judged.accuracy, judged.cost))
        found.append(judged._replace(cpu_seconds=timer.taken()))
    return found
