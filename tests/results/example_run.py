"""A small run whose numbers are made up, so that what a report must show is known beforehand."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from bneck.evaluate import (
    Accuracy,
    Calibration,
    Device,
    Latency,
    LatencySetup,
    Recipe,
    ReferencePanel,
    parse_goals,
)
from bneck.results import Baseline, DataSettings, Record, Run, RunSettings, Verification
from bneck.results.store.trial import State
from bneck.search_space import Architecture, cost, load_space, published_architecture

REFERENCE_MS = 2.0
IMAGES = 400
SPACE = load_space("tiny")


@dataclass(frozen=True)
class Row:
    """One trial: what it is told as, its accuracy, and its latency in multiples of the reference."""

    state: State
    top1: float | None = None
    ratio: float | None = None


# With latency <= 0.5x of 2 ms: trials 2, 0 and 5 are the front, 0 beats 4, and 6 is far to the right.
ROWS = (
    Row("complete", 0.90, 0.30),  # 0.6 ms
    Row("infeasible", None, 0.90),  # 1.8 ms
    Row("complete", 0.80, 0.20),  # 0.4 ms
    Row("infeasible"),  # not measured
    Row("complete", 0.85, 0.35),  # 0.7 ms
    Row("complete", 0.95, 0.45),  # 0.9 ms
    Row("infeasible", None, 4.00),  # 8 ms
)
BASELINE = "mobilenet_v3_small@0.35"  # told as 88% at 0.7x, 1.4 ms


def latency(ratio: float) -> Latency:
    """With an interval from 10% below to 20% above."""
    return Latency(ratio, 0.9 * ratio, 1.2 * ratio, ratio * REFERENCE_MS, "ok")


def exact_latency(ratio: float) -> Latency:
    """With an interval of no width: near a limit as far from it as the ratio is."""
    return Latency(ratio, ratio, ratio, ratio * REFERENCE_MS, "ok")


def accuracy(top1: float, images: int = IMAGES) -> Accuracy:
    return Accuracy(top1, 0.5, images, 1000, seed=0, seconds=1.0, curve=())


def genes(number: int) -> dict[str, Any]:
    return dict(SPACE.sample(random.Random(number)))


def record(number: int, row: Row) -> Record:
    """The row as the study would give it, without a study."""
    network = SPACE.decode(genes(number))
    return Record(
        trial=number,
        source="sampler",
        state=row.state,
        architecture=network,
        cost=cost(network),
        latency=latency(row.ratio) if row.ratio else None,
        accuracy=accuracy(row.top1) if row.top1 else None,
    )


def records(rows: Iterable[Row] = ROWS) -> list[Record]:
    return [record(number, row) for number, row in enumerate(rows)]


def baseline(name: str = BASELINE) -> Baseline:
    return Baseline(name, _for_digits(name), latency(0.7), accuracy(0.88), test_top1=0.87, test_images=IMAGES)


def check(ratio: float, test_top1: float, ratio_upper: float | None = None) -> Verification:
    """A second look; without an upper bound of one's own it is the measured ratio."""
    upper = ratio if ratio_upper is None else ratio_upper
    return Verification(latency(ratio), upper, test_top1, test_loss=0.4, test_images=IMAGES)


def latency_setup() -> LatencySetup:
    """A made-up device: nothing can be measured on it."""
    names = ("mobilenet_v3_small@0.5", "mobilenet_v2")
    return LatencySetup(
        backend="onnxruntime",
        device=Device("onnxruntime", "onnxruntime 1.2.3", "an example", "avx2 fma", system="Linux x86_64"),
        panel=ReferencePanel("mobilenet_v2", {name: _for_digits(name) for name in names}),
        calibration=Calibration(
            {"mobilenet_v3_small@0.5": 0.25, "mobilenet_v2": 1.0},
            reference_ms=REFERENCE_MS,
            clock="CPU time of the thread",
            measured_at="2026-01-02T03:04:00+00:00",
            load=0.5,
        ),
    )


def run_settings(
    objectives: str = "accuracy,latency", limits: Mapping[str, str | None] | None = None
) -> RunSettings:
    return RunSettings(
        study="example",
        created="2026-01-02T03:04:05",
        space=SPACE,
        data=DataSettings("digits", validation_images=IMAGES),
        goals=parse_goals(objectives, {"latency": "0.5x"} if limits is None else limits),
        recipe=Recipe(),
        latency=latency_setup(),
        latency_policy="both",
        n_trials=40,
        seed=7,
        sampler="tpe",
        enqueue_published=False,
        baselines=(BASELINE,),
        torch_device="cpu",
        storage="",
        host={"cpu": "an example"},
        versions={"bneck": "0.1.0"},
    )


def example_run(
    folder: Path,
    rows: Iterable[Row] = ROWS,
    *,
    settings: RunSettings | None = None,
    baselines: Iterable[Baseline] = (),
    verifications: Mapping[str, Verification] | None = None,
    again: Mapping[int, Iterable[float]] | None = None,
) -> Run:
    """A run folder with its study, as a search would have left it.

    Args:
        again: accuracies of trainings with seeds 8, 9, ... by trial.
    """
    run = Run.create(folder, settings or run_settings())
    rows, baselines = tuple(rows), tuple(baselines)
    verifications = dict(verifications or {})
    again = {number: tuple(replicates) for number, replicates in (again or {}).items()}
    key = repr((rows, run.settings, baselines, verifications, again))
    study_file = folder / "study.db"
    if key in _STUDIES and not run.settings.storage:
        study_file.write_bytes(_STUDIES[key])
        return run
    _write_study(run, rows, baselines, verifications, again)
    if study_file.is_file():
        _STUDIES[key] = study_file.read_bytes()
    return run


_STUDIES: dict[str, bytes] = {}
"""The study files written before: writing one takes a third of a second."""


def _write_study(
    run: Run,
    rows: Iterable[Row],
    baselines: Iterable[Baseline],
    verifications: Mapping[str, Verification],
    again: Mapping[int, Iterable[float]],
) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = [objective.direction for objective in run.settings.goals.objectives]
    study = optuna.create_study(study_name="example", storage=run.storage_url, directions=directions)
    study.set_user_attr("genes", {gene.name: list(gene.choices) for gene in SPACE.genes})
    study.add_trials([_trial(number, row, run.settings) for number, row in enumerate(rows)])
    for each in baselines:
        found = {
            "latency": asdict(each.latency),
            "accuracy": asdict(each.accuracy),
            "test_top1": each.test_top1,
            "test_images": each.test_images,
        }
        study.set_user_attr(f"baseline:{each.name}", found)
    for key, found_again in verifications.items():
        study.set_user_attr(f"verification:{key}", asdict(found_again))
    for number, replicates in again.items():
        for seed, top1 in enumerate(replicates, run.settings.seed + 1):
            run.store_replicate(SPACE.decode(genes(number)).key, seed, replace(accuracy(top1), seed=seed))


def _trial(number: int, row: Row, settings: RunSettings) -> FrozenTrial:
    known = record(number, row)
    attributes: dict[str, Any] = {"key": known.key}
    attributes |= {name: asdict(found) for name in ("latency", "accuracy") if (found := getattr(known, name))}
    if row.state == "running":
        state = TrialState.RUNNING
    elif row.state == "failed":
        attributes |= {"state": row.state, "error": "the loss is no longer a number"}
        state = TrialState.FAIL
    else:
        attributes["state"] = row.state
        state = TrialState.COMPLETE
    violations = settings.goals.violations(known.cost, known.latency)
    if row.state == "infeasible" and not any(violation > 0 for violation in violations.values()):
        violations["macs"] = 1.0
    told = state == TrialState.COMPLETE
    return create_trial(
        state=state,
        values=_values(known, settings) if told else None,
        params=genes(number),
        distributions={gene.name: CategoricalDistribution(gene.choices) for gene in SPACE.genes},
        user_attrs=attributes,
        constraints=violations,
    )


def _values(known: Record, settings: RunSettings) -> list[float]:
    """A network that was not trained is told with bad values, as the search does."""
    if known.state == "complete":
        return [known.value(objective) for objective in settings.goals.objectives]
    return [0.0 if objective.direction == "maximize" else 1e9 for objective in settings.goals.objectives]


def _for_digits(name: str) -> Architecture:
    return replace(published_architecture(name), resolution_px=24, image_channels=1, classes=10)
