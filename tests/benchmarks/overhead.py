"""CPU time per proposal as a function of the number of finished trials, on a study in SQLite.

    python -m tests.benchmarks.overhead [--space mobile] [--sampler ehvi,tpe] [--finished 500,1000] [--json]

`--space accel-nasbench` is the space of the comparison of samplers.

Finished trials have random genes and synthetic values that depend on MACs and noise. A proposal is one
`study.ask` with every gene of the space; the storage file is reopened for each number of trials.
CPU-seconds of one process with one thread. The models of `ehvi` are refitted after every 10% more
observations; the amortised time of that is reported separately.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import optuna
from rich.console import Console
from threadpoolctl import threadpool_limits

from bneck.evaluate import Goals, Objective
from bneck.evaluate.surrogate.factory import REFIT_GROWTH
from bneck.search.console.tables import plain_table
from bneck.search.samplers.registry import SAMPLERS, SamplerContext, make_sampler
from bneck.search_space import SearchSpace, cost, load_space

from .samplers.landscapes import accel_space

FINISHED = "250,500,1000,2000"
PROPOSALS = 7
GOALS = Goals((Objective("accuracy"), Objective("latency")))


def finished_trials(space: SearchSpace, count: int) -> Iterator[optuna.trial.FrozenTrial]:
    """Completed trials with synthetic accuracy and latency."""
    rng = random.Random(0)
    choices: dict[str, optuna.distributions.BaseDistribution] = {
        gene.name: optuna.distributions.CategoricalDistribution(gene.choices) for gene in space.genes
    }
    for _ in range(count):
        genes = space.sample(rng)
        own = cost(space.decode(genes))
        accuracy = own.macs**0.05 / 4 + rng.gauss(0, 0.01)
        latency_ms = own.macs / 1e7 + own.depth / 10 + rng.gauss(0, 0.01)
        yield optuna.create_trial(params=genes, distributions=choices, values=(accuracy, latency_ms))


def seconds_a_proposal(name: str, space: SearchSpace, count: int, folder: Path) -> tuple[float, float]:
    """CPU-seconds of the first proposal, which fits the models, and the median of the following ones."""
    url = f"sqlite:///{folder / f'{name}-{count}.db'}"
    made = optuna.create_study(storage=url, study_name="study", directions=("maximize", "minimize"))
    made.add_trials(list(finished_trials(space, count)))
    study = optuna.load_study(
        study_name="study",
        storage=url,
        sampler=make_sampler(name, SamplerContext(space, GOALS, 0, n_previous_trials=count)),
    )
    study.get_trials(deepcopy=False)
    choices = {gene.name: optuna.distributions.CategoricalDistribution(gene.choices) for gene in space.genes}
    seconds = []
    for number in range(PROPOSALS + 1):
        start = time.process_time()
        trial = study.ask(dict(choices))
        seconds.append(time.process_time() - start)
        study.tell(trial, (0.5 + number / 1000, 5.0))
    return seconds[0], median(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--space", default="mobile")
    parser.add_argument("--sampler", default="ehvi,tpe")
    parser.add_argument("--finished", default=FINISHED, help="numbers of finished trials")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = accel_space() if arguments.space == "accel-nasbench" else load_space(arguments.space)
    rows = []
    table = plain_table("sampler", "finished", "CPU-s per proposal", "+ refits", left=("sampler",))
    with threadpool_limits(1), tempfile.TemporaryDirectory() as folder:
        for name in arguments.sampler.split(","):
            assert name in SAMPLERS, name
            for count in map(int, arguments.finished.split(",")):
                first, later = seconds_a_proposal(name, space, count, Path(folder))
                fits = max(first - later, 0.0) / (count * (REFIT_GROWTH - 1)) if name == "ehvi" else 0.0
                rows.append({"sampler": name, "finished": count, "cpu_seconds": later, "fits_seconds": fits})
                table.add_row(name, f"{count:,}", f"{later:.3f}", f"{fits:.3f}")
    if arguments.json:
        print(json.dumps(rows, indent=2))
    else:
        Console(width=100).print(table)


if __name__ == "__main__":
    main()
