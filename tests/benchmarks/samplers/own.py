"""bneck's sampler in the comparison, its replicates and its ablations."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from unittest.mock import patch

from bneck.evaluate import Accuracy, Goals, Latency
from bneck.evaluate.statistics.arrays import Array
from bneck.evaluate.surrogate import gaussian_process
from bneck.evaluate.surrogate.gene_kernels import PART_PREFIX, SIZES_LINEAR, SIZES_SMOOTH
from bneck.evaluate.surrogate.kernels import FEATURES, ScaledInputs, kernel_components
from bneck.results import Record
from bneck.results.store.trial import seed_noise_std
from bneck.search.runner.replication import REPLICATE_EVERY, next_to_replicate
from bneck.search.samplers.acquisition_optimizer import AcquisitionOptimizer
from bneck.search_space import Architecture, Genes, cost

from .landscapes import Evaluation, Evaluator
from .peers import Timer

DESIGN = 6
IMAGES = 10**9  # the noise is that of a training, not of a sample of images
WITHOUT: Mapping[str, Callable[[str], bool]] = {  # of the covariance components
    "no-stage-kernels": lambda name: name.startswith(PART_PREFIX),
    "no-size-features": lambda name: name in (SIZES_LINEAR, SIZES_SMOOTH, FEATURES),
}
EVOLUTION = AcquisitionOptimizer()
RANDOM_CANDIDATES = replace(
    EVOLUTION,
    n_initial=1,
    n_generations=0,
    n_random=EVOLUTION.n_initial + EVOLUTION.n_random + EVOLUTION.n_generations * EVOLUTION.n_offspring - 1,
)


def own(evaluate: Evaluator, evaluations: int, variant: str = "") -> list[Evaluation]:
    """Run bneck's sampler as a search does.

    Without noise it knows that there is none; otherwise it is told nothing, and every ninth evaluation is a
    replicate. A network beyond the latency limit is measured but not trained.
    """
    from optuna import create_study, logging
    from optuna.distributions import BaseDistribution, CategoricalDistribution

    from bneck.search.samplers.ehvi import EhviSampler

    logging.set_verbosity(logging.WARNING)
    landscape = evaluate.landscape
    replicates = evaluate.noise > 0 and variant != "no-replicates"
    records: dict[int, Record] = {}
    genes: dict[int, Genes] = {}
    timer, found = Timer(), list[Evaluation]()

    def noise() -> float | None:
        std = seed_noise_std(records.values()) if evaluate.noise else 0.0
        return None if std is None else 100 * std

    def observed_accuracies() -> Mapping[int, tuple[float, int]]:
        return {number: (100 * each.top1, len(each.trainings)) for number, each in records.items()}

    with _ablation(variant), timer.running():
        sampler = EhviSampler(
            landscape.space,
            landscape.goals,
            evaluate.seed,
            noise=noise,
            observed_accuracies=observed_accuracies,
            optimizer=RANDOM_CANDIDATES if variant == "no-evolution" else EVOLUTION,
        )
        study = create_study(sampler=sampler, directions=("maximize", "minimize"))
        choices: dict[str, BaseDistribution] = {
            gene.name: CategoricalDistribution(gene.choices) for gene in landscape.space.genes
        }
    while len(found) < evaluations:
        with timer.running():
            number = _due_replicate(list(records.values()), landscape.goals) if replicates else None
        if number is not None:
            evaluation = evaluate(genes[number])
            again = _accuracy(evaluation, 1 + len(records[number].trainings))
            records[number] = replace(records[number], replicates=(*records[number].replicates, again))
        else:
            with _ablation(variant), timer.running():
                trial = study.ask(choices)
            evaluation = evaluate(trial.params)
            latency = _latency(evaluation)
            with timer.running():
                trial.set_user_attr("latency", asdict(latency))
                if landscape.limit:
                    trial.set_constraint(landscape.limit.quantity, evaluation.violation)
                worst = min((each.observed for each in found), default=evaluation.observed)
                study.tell(trial, (evaluation.observed if evaluation.feasible else worst, evaluation.cost))
            if evaluation.feasible:
                genes[trial.number] = trial.params
                network = landscape.space.decode(trial.params)
                records[trial.number] = _record(trial.number, network, latency, _accuracy(evaluation, 1))
        found.append(evaluation._replace(cpu_seconds=timer.taken()))
    return found


def _due_replicate(records: Sequence[Record], goals: Goals) -> int | None:
    """The trial of the next replicate, by the policy of a search; None if a new network is due."""
    started = sum(len(each.replicates) for each in records)
    if started >= len(records) // REPLICATE_EVERY:
        return None
    chosen = next_to_replicate(records, goals, {})
    return chosen.trial if chosen else None


def _record(number: int, network: Architecture, latency: Latency, accuracy: Accuracy) -> Record:
    return Record(number, "sampler", "complete", network, cost(network), latency, accuracy)


def _latency(evaluation: Evaluation) -> Latency:
    return Latency(evaluation.cost, evaluation.cost, evaluation.cost, evaluation.cost, "ok")


def _accuracy(evaluation: Evaluation, seed: int) -> Accuracy:
    return Accuracy(evaluation.observed / 100, 0.0, IMAGES, 0, seed, 0.0, ())


@contextmanager
def _ablation(variant: str) -> Iterator[None]:
    """Leave covariance components out of both surrogates."""
    if variant not in WITHOUT:
        yield
        return
    leave_out = WITHOUT[variant]

    def components(one: ScaledInputs, other: ScaledInputs) -> dict[str, Array]:
        return {n: each for n, each in kernel_components(one, other).items() if not leave_out(n)}

    with patch.object(gaussian_process, "kernel_components", components):
        yield
