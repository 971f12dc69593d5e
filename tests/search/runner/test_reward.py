"""A search for the most reward, from its words to its exports, with made-up judgements."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from bneck.evaluate import Accuracy
from bneck.results import Record, Run
from bneck.search.console.front_table import print_front, start_message
from bneck.search.runner import session
from bneck.search.runner.loop import run_trials
from bneck.search.runner.replication import replicate_front
from bneck.search.runner.session import resume, run_session
from bneck.search_space import Architecture

from ..helpers import FakePool, Shown, fake_accuracy, fake_run, fresh_pools, run_on_disk


def by_hand(record: Record) -> float:
    """The reward for 0.2x."""
    assert record.latency
    return float(record.top1 * (record.latency.ratio / 0.2) ** -0.07)


def nearly_equal(architecture: Architecture, seed: int = 7) -> Accuracy:
    """From 80% to 80.6%, so that the quickest have most reward."""
    top1 = 0.8 + int(architecture.key, 16) % 601 / 100_000
    return replace(fake_accuracy(architecture), top1=top1, seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize("objectives", ["reward:0.2x", "reward:20K", "accuracy"])
@pytest.mark.parametrize("sampler", ["ehvi", "tpe", "nsga2", "random", "gp"])
def test_every_sampler_searches_for_one_objective(tmp_path: Path, sampler: str, objectives: str) -> None:
    run = fake_run(tmp_path, objectives=objectives, sampler=sampler, n_trials=11, limits={"macs": "40K"})
    run_trials(run, FakePool(run), Shown())
    [objective] = run.settings.goals.objectives
    best = max(record.value(objective) for record in run.completed_records())
    assert len(run.completed_records()) == 11
    assert {record.value(objective) for record in run.front()} == {best, run.best().value(objective)}
    assert run.study.best_value == best


def test_the_best_is_the_network_of_the_most_reward(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = fake_run(
        tmp_path / "run", objectives="reward:0.2x", limits={"macs": "40K"}, n_trials=8, replicates=2
    )
    pool, shown = FakePool(run, accuracy_of=nearly_equal, again_of=nearly_equal), Shown()
    run_trials(run, pool, shown)
    assert replicate_front(run, pool, shown) > 0
    best = max(run.completed_records(), key=by_hand)
    assert best.top1 < max(record.top1 for record in run.completed_records())
    assert [record.trial for record in run.front()] == [best.trial]
    assert run.record("best") == best
    assert run.study.best_trial.values == [pytest.approx(by_hand(best))]
    last = [status for status in shown.statuses if status.best][-1]
    assert (last.best_label, last.best.trial if last.best else None) == ("best by reward", best.trial)

    assert "; objective reward:0.2x; macs <= 40K; " in start_message(run)
    print_front(run)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["trial", "key", "reward"]
    [reward] = run.settings.goals.objectives
    assert lines[1].split()[:3] == [str(best.trial), best.key, f"{best.value(reward):.4f}"]
    assert any(f"Trial {best.trial} has the highest estimated reward" in line for line in lines)
    assert not any(line.startswith("Baseline ") for line in lines)
    [config] = run.export("best", ["config"], tmp_path / "exported")
    assert config.stem == f"trial{best.trial}-{best.key}"


@pytest.mark.slow
def test_a_search_for_a_reward_goes_on_after_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "open_pool", FakePool)
    fresh_pools(monkeypatch)
    run = run_on_disk(tmp_path / "run", objectives="reward:0.2x", n_trials=4)
    run_session(run, 2, Shown())
    again = resume(run.folder, 6)
    assert again.settings.goals == run.settings.goals
    run_session(again, 2, Shown())
    opened = Run.open(run.folder)
    best = max(opened.completed_records(), key=by_hand)
    assert len(opened.completed_records()) == 6
    assert best.key in opened.verifications()
    [row] = csv.DictReader(io.StringIO((run.folder / "front.csv").read_text(encoding="utf-8")))
    assert (row["key"], float(row["reward"])) == (best.key, by_hand(best))
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert f"Best: trial {best.trial} (reward {by_hand(best):.4f})." in page
