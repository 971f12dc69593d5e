"""Searches over pretrained networks: by made-up accuracies, and with real trainings that are interrupted."""

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bneck.evaluate import Accuracy, Latency, Recipe, parse_goals
from bneck.evaluate.scorers import EvaluationContext
from bneck.evaluate.scorers.training import TrainingScorer
from bneck.evaluate.statistics.multi_objective import hypervolume
from bneck.evaluate.training.checkpoint import load_checkpoint, make_checkpoint, save_checkpoint
from bneck.results import Record, Run
from bneck.results.analysis.ablation import ablation_effects
from bneck.results.analysis.gene_model import GeneModel
from bneck.results.export.front_table import front_dict
from bneck.results.store.settings import load_settings
from bneck.results.store.trial import BASELINE_SOURCE
from bneck.results.text.findings import findings
from bneck.results.text.pretrained_baseline import pretrained_baseline
from bneck.search import run_search
from bneck.search.console.front_table import BASELINE_MARK, print_front
from bneck.search.console.progress import Progress
from bneck.search.resolve.pretrained import resolve_parents
from bneck.search.runner import budget, worker
from bneck.search.runner.loop import run_trials
from bneck.search.runner.partial_training import train_to_epoch
from bneck.search.samplers.highest_resolutions import highest_resolutions
from bneck.search_space import Architecture, ArchitectureError, Parent, cost, load_architecture
from bneck.search_space.architecture import TUNED, FineTuning, Tuned
from bneck.search_space.network import build_network
from bneck.search_space.pretrained_space import candidate_text, pretrained_space

from ...evaluate.example_training import SMALL, noise_data
from ...results.example_run import accuracy
from ...results.example_run import exact_latency as latency
from ...search_space.helpers import TOY
from ..helpers import FakePool, Shown, bneck, fake_run, fake_settings

MEAN, STD = (127.0,) * 3, (128.0,) * 3
PARENTS = [
    Parent(name, replace(TOY, resolution_px=side, head=replace(TOY.head, features=width)), MEAN, STD, top1)
    for name, side, width, top1 in (("low", 128, 16, 0.6), ("middle", 160, 64, 0.7), ("high", 224, 256, 0.8))
]
SPACE = pretrained_space(PARENTS).for_data(3, 2)
# of the best accuracy that this much tuning reaches
SHARES = {"all": 1.0, "last-stage": 0.9, "head": 0.8}


def truth(network: Architecture) -> Accuracy:
    """Better with the parent, the resolution and the part that is tuned."""
    assert network.fine_tuning
    (parent,) = (each for each in PARENTS if each.name == network.fine_tuning.parent)
    assert parent.imagenet_top1
    share = SHARES[network.fine_tuning.tuned] * (1 - 8 / network.resolution_px)
    return accuracy(share * parent.imagenet_top1)


def fast(network: Architecture) -> Latency:
    """In proportion to the MACs: 1x is the largest of all."""
    return latency(cost(network).macs / max(cost(each).macs for each in SPACE.candidates))


def searched(run: Run, progress: Progress | None = None) -> tuple[list[Record], FakePool]:
    pool = FakePool(run, latency_of=fast, accuracy_of=truth)
    run_trials(run, pool, progress or Shown())
    return run.records(), pool


@pytest.mark.parametrize("sampler", ["ehvi", "random", "tpe"])
def test_a_search_tunes_no_candidate_twice_and_none_above_a_limit(tmp_path: Path, sampler: str) -> None:
    macs = sorted(cost(each).macs for each in SPACE.candidates)
    limits = {"macs": str(macs[60]), "latency": f"{macs[45] / macs[-1]:.4f}x"}
    run = fake_run(tmp_path, SPACE, limits, sampler=sampler, n_trials=18)
    records, pool = searched(run)
    tuned: list[Architecture] = pool.asked_for(worker.train_network)
    assert len(tuned) == len(set(tuned)) == 18
    assert all(cost(each).macs <= macs[45] * 1.001 for each in tuned)
    assert all(cost(each).macs <= macs[60] for each in pool.asked_for(worker.measure))
    assert [each.architecture for each in records if each.state == "complete"] == tuned


def test_a_network_that_is_too_slow_is_not_measured_at_higher_resolutions(tmp_path: Path) -> None:
    """Of 5% of the largest latency; all feasible candidates are tuned, and few of the others measured."""
    run = fake_run(tmp_path, SPACE, {"latency": "0.05x"}, sampler="random", n_trials=99)
    records, pool = searched(run)
    goals = run.settings.goals
    feasible = [
        each for each in SPACE.candidates if not goals.violations(cost(each), fast(each))["latency"] > 0
    ]
    assert {each.architecture for each in records if each.state == "complete"} == set(feasible)
    slow = [each for each in pool.asked_for(worker.measure) if each not in feasible]
    for each in slow:
        lower = [other for other in slow[: slow.index(each)] if other.resolution_px < each.resolution_px]
        assert all(other.blocks != each.blocks or other.head != each.head for other in lower)
    skipped = [each for each in records if each.state == "infeasible" and not each.latency]
    assert len(skipped) > len(SPACE.candidates) / 3


def test_the_sampler_learns_what_pays(tmp_path: Path) -> None:
    """A quarter of the candidates is enough for 99% of the hypervolume of all; random search reaches 95%."""
    macs = [math.log(cost(each).macs) for each in SPACE.candidates]

    def share(networks: Iterable[Architecture]) -> float:
        points = [
            (-truth(each).top1, (math.log(cost(each).macs) - min(macs)) / (max(macs) - min(macs)))
            for each in networks
        ]
        return hypervolume(np.array(points), np.array([0.0, 1.0]))

    run = fake_run(tmp_path, SPACE, objectives="accuracy,macs", sampler="ehvi", n_trials=20, seed=0)
    for each in highest_resolutions(SPACE, run.settings.goals, fast):
        run.study.enqueue_trial(SPACE.encode(each))
    records, _ = searched(run)
    assert share(each.architecture for each in records) > 0.99 * share(SPACE.candidates)
    model = GeneModel.of(run, records)
    assert model
    effects = {
        (each.gene_change.location, each.gene_change.alternative): each for each in ablation_effects(model)
    }
    assert {location for location, _ in effects} == {"weights", "images"}
    # the head alone reaches 80% of an accuracy of 45 to 77%
    assert -0.17 < effects["weights", "head"].changes["accuracy"].value < -0.07
    assert effects["weights", "head"].changes["macs"].value == pytest.approx(0)
    assert (
        effects["weights", "high"].changes["accuracy"].value > 0.1
    )  # 20 points of the share of the resolution


def test_a_short_time_limit_leaves_time_for_more_than_the_baselines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "usable_cores", lambda: 2)
    settings = fake_settings(SPACE)
    largest, smaller = (
        highest_resolutions(replace(SPACE, parents=(parent,)), parse_goals("accuracy", {}), fast)[0]
        for parent in (PARENTS[2], PARENTS[1])
    )
    # three times the MACs of a forward pass per image and epoch, at 15 GMAC/s
    seconds = [3 * cost(each).macs * 10**6 * settings.recipe.epochs / 15e9 for each in (largest, smaller)]
    long, short = seconds
    for needed, share, expected in (
        (0.999 * short, 0.5, []),
        (1.001 * short, 0.5, [smaller]),
        (1.001 * long, 0.25, [largest]),
        (0.999 * (long + short), 0.25, [largest]),
        (1.001 * (long + short), 0.25, [largest, smaller]),
    ):
        minutes = needed / (share * 60 * 2)
        found = budget.affordable_baselines([largest, smaller], 10**6, settings, minutes)
        assert list(found) == expected


@pytest.mark.parametrize(
    "limits", [{}, {"macs": "150K"}, {"latency": "0.3x"}, {"macs": "150K", "latency": "0.1x"}]
)
def test_the_baseline_is_each_good_parent_at_its_highest_resolution_within_the_limits(
    limits: dict[str, str],
) -> None:
    goals = parse_goals("accuracy,latency", limits)
    measured: list[Architecture] = []

    def measure(network: Architecture) -> Latency:
        measured.append(network)
        return fast(network)

    found = highest_resolutions(SPACE, goals, measure)
    expected: dict[str, Architecture] = {}
    for each in SPACE.candidates:  # in ascending order of resolution
        tuning, violations = each.fine_tuning, goals.violations(cost(each), fast(each))
        if tuning and tuning.tuned == "all" and max(violations.values(), default=0) <= 0:
            expected[tuning.parent] = each
    stride = TOY.stem.stride * math.prod(block.stride for block in TOY.blocks)
    published = {parent.name: parent.imagenet_top1 or 0 for parent in PARENTS}
    worth = {
        each: published[name] - 0.2 * (stride / each.resolution_px) ** 2 for name, each in expected.items()
    }
    good = [each for each in worth if worth[each] >= max(worth.values()) - 0.1]
    assert found == sorted(good, key=lambda each: -worth[each])
    assert found == highest_resolutions(replace(SPACE, dropped_blocks=(0, 1)), goals, fast)
    assert len(measured) <= (4 * len(PARENTS) if "latency" in limits else 0)  # of 11 resolutions at most


@pytest.mark.parametrize("dominated", [False, True])
def test_the_baseline_is_a_marked_row_of_the_front_table_whether_it_is_on_the_front_or_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dominated: bool
) -> None:
    run = fake_run(tmp_path, SPACE, n_trials=2)
    best = highest_resolutions(SPACE, run.settings.goals, fast)[0]
    worse = replace(best, fine_tuning=FineTuning("high", "head"))
    for each, source in ((worse if dominated else best, BASELINE_SOURCE), (best, "sampler")):
        run.study.enqueue_trial(SPACE.encode(each), user_attrs={"source": source})
    (baseline, *_), _ = searched(run)
    assert (baseline not in run.front()) == dominated
    print_front(run)
    marked = [line for line in capsys.readouterr().out.splitlines() if BASELINE_MARK in line]
    assert len(marked) == 1
    assert candidate_text(baseline.architecture) in marked[0]
    row = front_dict(run.front(), pretrained_baseline=pretrained_baseline(run.completed_records()))
    assert row["pretrained_baseline"]["trial"] == baseline.trial == 0


def test_a_search_begins_with_its_baseline_and_names_networks_in_report_table_and_files(
    tmp_path: Path, context: EvaluationContext
) -> None:
    parent = replace(SMALL, resolution_px=64)
    torch.manual_seed(1)
    file = tmp_path / "own.safetensors"
    save_checkpoint(make_checkpoint(build_network(parent), noise_data(), context.recipe, 0, ()), file)

    def by_resolution(network: Architecture, seed: int) -> float:
        assert network.fine_tuning
        return network.resolution_px / 100 - TUNED.index(network.fine_tuning.tuned) / 10

    run = run_search(
        pretrained=[str(file)],
        cuts="none",
        data=noise_data(),
        evaluator=by_resolution,
        latency_backend="fake",
        objectives="accuracy,macs",
        max_macs=f"{cost(replace(parent, resolution_px=48)).macs + 1}",
        n_trials=4,
        replicates=0,
        out=tmp_path / "run",
        progress=False,
    )
    first, *others = run.records()
    name = "own.safetensors at 48 px, all tuned"
    assert (first.source, candidate_text(first.architecture)) == (BASELINE_SOURCE, name)
    assert all(each.source != BASELINE_SOURCE for each in others)
    assert name in (run.folder / "report.html").read_text(encoding="utf-8")
    assert name in (run.folder / "front.csv").read_text(encoding="utf-8")
    assert findings(run)[0].endswith("the search found no network that is more accurate.")


def test_a_search_ends_when_every_candidate_was_tuned(tmp_path: Path) -> None:
    few = replace(SPACE, parents=SPACE.parents[:1], resolution_px=(32, 64, 96))
    within = [each for each in few.candidates if each.resolution_px < 96]
    limits = {"macs": str(max(cost(each).macs for each in within))}
    shown = Shown()
    records, _ = searched(fake_run(tmp_path, few, limits, sampler="random", n_trials=10), shown)
    assert sum(record.state == "complete" for record in records) == len(within) == 6
    assert len(records) < 30
    assert any("every network of space pretrained" in line for line in shown.lines)


def test_the_file_of_a_run_holds_its_candidates(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", fake_settings(SPACE))
    settings = load_settings(tmp_path / "run" / "run.yaml")
    assert settings.space == SPACE
    assert settings.parents == {parent.name: parent for parent in PARENTS}
    candidate = next(iter(SPACE.candidates))
    data = run.settings.data_for(candidate)
    assert (data.pixel_mean, data.pixel_std) == (MEAN, STD)
    assert run.settings.data_for(TOY) == run.settings.data


@pytest.fixture
def context(tmp_path: Path) -> EvaluationContext:
    """Fine-tuning of SMALL from weights in a file."""
    recipe = Recipe(epochs=3, batch_size=8, augment="flip-crop", bn_recalibration_images=16)
    torch.manual_seed(1)
    network, file = build_network(SMALL), tmp_path / "weights.safetensors"
    save_checkpoint(make_checkpoint(network, noise_data(), recipe, 0, ()), file)
    parent = Parent("own", SMALL, MEAN, STD, file=str(file))
    return EvaluationContext(noise_data(), recipe, parents={"own": parent})


@pytest.mark.parametrize("tuned", ["all", "last-stage", "head"])
def test_a_paused_fine_tuning_ends_as_one_without_a_pause_to_the_bit(
    tmp_path: Path, context: EvaluationContext, tuned: Tuned
) -> None:
    candidate = replace(SMALL, fine_tuning=FineTuning("own", tuned))
    files = tmp_path / "paused.safetensors", tmp_path / "final.safetensors"
    for epochs in (1, 3):
        result = train_to_epoch(epochs, candidate, context, 5, *files)
        assert epochs == 1 or result.restart_reason == ""
    unbroken = TrainingScorer(context).score(candidate, 5)
    assert unbroken.accuracy
    assert unbroken.network
    assert replace(result.accuracy, seconds=0.0) == replace(unbroken.accuracy, seconds=0.0)
    stored = load_checkpoint(tmp_path / "final.safetensors")
    assert all(torch.equal(stored.weights[name], own) for name, own in unbroken.network.state_dict().items())
    assert (stored.architecture, stored.pixel_mean) == (candidate, MEAN)


def test_a_parent_is_a_file_of_bneck_or_a_published_name_with_its_weights(
    tmp_path: Path, context: EvaluationContext
) -> None:
    file = context.parents["own"].file
    (parent,) = resolve_parents([file])
    assert (parent.name, parent.architecture, parent.file) == ("weights.safetensors", SMALL, file)
    assert parent.pixel_mean == noise_data().pixel_mean
    with pytest.raises(ArchitectureError, match="mobilenet_v9"):
        resolve_parents(["mobilenet_v9"])


@pytest.mark.slow
def test_a_search_by_command_stops_early_is_resumed_and_exports(
    tmp_path: Path, context: EvaluationContext
) -> None:
    parent = replace(SMALL, resolution_px=64, image_channels=3)
    file = tmp_path / "own.safetensors"
    save_checkpoint(make_checkpoint(build_network(parent), noise_data(), context.recipe, 0, ()), file)
    words = ["--pretrained", "--parent", file, "--data", "digits", "--train-images", 100, "--out", "run"]
    words += ["--validation-images", 50, "--epochs", 2, "--min-epochs", 1, "--latency-backend", "fake"]
    first = bneck("search", *words, "--n-trials", 3, "--max-macs", "50M", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "own.safetensors at" in first.stdout
    (longer,) = (line for line in first.stdout.splitlines() if "bneck train" in line)
    assert longer.endswith(f"bneck train 'run#{Run.open(tmp_path / 'run').best().label}' --epochs 2")
    again = bneck("search", "run", "--resume", "--n-trials", 5, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    run = Run.open(tmp_path / "run")
    assert sum(record.is_evaluated for record in run.records()) == 5
    exported = bneck("export", "run", "--trial", "best", "--format", "config,onnx", "-o", "out", cwd=tmp_path)
    assert exported.returncode == 0, exported.stderr
    (config,) = (tmp_path / "out").glob("*.yaml")
    best = run.best()
    assert load_architecture(config) == best.architecture
    assert candidate_text(best.architecture) in config.read_text(encoding="utf-8")
    checkpoint = load_checkpoint(run.checkpoint(best.architecture))
    mean = sum(noise_data().pixel_mean) / 3  # of grey images
    assert checkpoint.pixel_mean == pytest.approx((mean,))
    assert run.settings.data_for(best.architecture).pixel_mean == pytest.approx((mean,))
