"""A search that begins with what another has found: `--transfer-from RUN`."""

import shutil
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest

from bneck.evaluate.statistics.rank_correlation import spearman
from bneck.evaluate.surrogate.factory import TRANSFER_KEY
from bneck.results import Run
from bneck.search.runner.create import create_run
from bneck.search.runner.loop import run_trials
from bneck.search.samplers.transfer import (
    MAX_ENQUEUED,
    TransferredTrial,
    fit_transfer_prior,
    load_transferred_trials,
    select_transferred_genes,
    transfer_prior_of,
)
from bneck.search_space import GoalError, RunError, cost

from ...results.example_run import Row, accuracy, example_run, genes, run_settings
from ...search_space.helpers import preset
from ..example_landscape import some, truth
from ..helpers import FakePool, Shown, bneck, fake_run
from ..runner.test_create import requested

TINY = preset("tiny")


def found_by_hand(count: int = 30) -> list[TransferredTrial]:
    """Of networks at random; every second one is said to be of the front."""
    networks = some(TINY, count)
    return [
        TransferredTrial(each.genes, truth(each.architecture), 1, n % 2 == 0)
        for n, each in enumerate(networks)
    ]


def begun_from(folder: Path, found: list[TransferredTrial], **changes: Any) -> Run:
    """A run that began with these findings, its study in memory."""
    run = fake_run(folder, TINY, objectives="accuracy,macs", **changes)
    run.study.set_user_attr(TRANSFER_KEY, [astuple(each) for each in found])
    for first in select_transferred_genes(found, run):
        run.study.enqueue_trial(first, user_attrs={"source": "transfer"})
    return run


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An earlier run; its fifth network was trained two times more."""
    return example_run(tmp_path_factory.mktemp("transfer") / "run", again={4: [0.87, 0.89]})


# What is taken over


def test_what_was_judged_is_found_with_all_its_trainings(searched: Run) -> None:
    found = load_transferred_trials(searched, TINY)
    # trials 0, 2, 4 and 5 are judged; 0 beats 4, whose three trainings have a mean of 0.87
    assert [each.genes for each in found] == [genes(number) for number in (0, 2, 4, 5)]
    assert [each.accuracy for each in found] == pytest.approx([0.9, 0.8, 0.87, 0.95])
    assert [each.trainings for each in found] == [1, 1, 3, 1]
    assert [each.best for each in found] == [True, True, False, True]


def test_another_space_is_refused(searched: Run) -> None:
    expected = (
        f"^--transfer-from {searched.folder} searched space tiny, whose genes are not those of mobile-small; "
        "search that space, or leave --transfer-from out$"
    )
    with pytest.raises(GoalError, match=expected):
        load_transferred_trials(searched, preset("mobile-small"))


def test_other_images_and_classes_make_no_other_space(searched: Run) -> None:
    other = TINY.for_data(3, 100)
    found = load_transferred_trials(searched, other)
    assert found == load_transferred_trials(searched, TINY)
    assert set(fit_transfer_prior(found, other).fitted_by_key) == {
        other.decode(each.genes).key for each in found
    }


def test_a_run_that_judged_nothing_is_refused(tmp_path: Path) -> None:
    earlier = example_run(tmp_path / "run", [Row("infeasible"), Row("failed")])
    with pytest.raises(GoalError, match=rf"--transfer-from {tmp_path}/run"):
        load_transferred_trials(earlier, TINY)


# What is judged first


def test_the_first_networks_are_spread_over_the_earlier_front(tmp_path: Path) -> None:
    found = found_by_hand()
    first = select_transferred_genes(found, fake_run(tmp_path, TINY))
    front = sorted((each for each in found if each.best), key=lambda each: cost(TINY.decode(each.genes)).macs)
    # 6 of 15: by steps of 14 / 5 = 2.8
    assert first == [front[place].genes for place in (0, 3, 6, 8, 11, 14)]


def test_the_first_networks_keep_the_limits_of_the_new_run(tmp_path: Path) -> None:
    found = found_by_hand()
    sizes = sorted(cost(TINY.decode(each.genes)).macs for each in found if each.best)
    run = fake_run(tmp_path, TINY, {"macs": str(sizes[3])})
    assert [cost(TINY.decode(each)).macs for each in select_transferred_genes(found, run)] == sizes[:4]
    none = fake_run(tmp_path, TINY, {"macs": str(sizes[0] - 1)})
    assert select_transferred_genes(found, none) == []


def test_a_search_begins_with_them_and_goes_on_with_others(tmp_path: Path) -> None:
    run = begun_from(tmp_path, found_by_hand(), n_trials=MAX_ENQUEUED + 2, sampler="ehvi")
    run_trials(run, FakePool(run, 2, accuracy_of=lambda network: accuracy(truth(network))), Shown())
    records = [record for record in run.records() if record.state == "complete"]
    assert [record.source for record in records] == [*["transfer"] * MAX_ENQUEUED, "sampler", "sampler"]
    assert len({record.key for record in records}) == MAX_ENQUEUED + 2


# What is learned from it


def test_the_earlier_search_is_learned_from_what_the_study_has_of_it(tmp_path: Path) -> None:
    run = begun_from(tmp_path, found_by_hand(60))
    model = transfer_prior_of(run)
    assert model is not None
    rest = some(TINY, 120)[60:]
    assert spearman(model.scores(rest), [truth(each.architecture) for each in rest]) > 0.9


def test_a_run_that_began_with_nothing_has_no_earlier_search(tmp_path: Path) -> None:
    assert transfer_prior_of(fake_run(tmp_path, TINY)) is None


def test_a_network_that_other_genes_name_again_counts_once() -> None:
    found = found_by_hand(12)
    inactive = {name for name in found[0].genes if not TINY.is_active(name, found[0].genes)}
    twin = {gene.name: gene.choices[-1] for gene in TINY.genes if gene.name in inactive}
    again = [*found, replace(found[0], genes={**found[0].genes, **twin})]
    assert len(fit_transfer_prior(again, TINY).fitted_by_key) == 12


# From the request to the study


@pytest.mark.slow
def test_a_new_run_keeps_what_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [Row("complete", 0.9, 0.3), Row("infeasible"), Row("complete", 0.8, 0.2)]
    earlier = example_run(tmp_path / "transfer", rows, settings=run_settings(limits={}))
    expected = load_transferred_trials(earlier, TINY)
    run = create_run(requested(space="tiny", transfer_from=tmp_path / "transfer", sampler="ehvi"))
    shutil.rmtree(tmp_path / "transfer")
    kept = [TransferredTrial(*row) for row in Run.open(run.folder).study.user_attrs[TRANSFER_KEY]]
    assert kept == expected
    waiting = [record for record in run.records() if record.state == "enqueued"]
    assert [record.source for record in waiting] == ["transfer"] * 2
    assert {record.key for record in waiting} == {TINY.decode(each.genes).key for each in expected}
    assert transfer_prior_of(run) is not None


def test_a_folder_that_is_no_run_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="nowhere"):
        create_run(requested(space="tiny", transfer_from=tmp_path / "nowhere", out=tmp_path / "new"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_search_that_begins_with_another_is_ahead_of_one_that_does_not(tmp_path: Path) -> None:
    def best(run: Run) -> float:
        run_trials(run, FakePool(run, accuracy_of=lambda network: accuracy(truth(network) / 2)), Shown())
        return max(record.top1 for record in run.records() if record.state == "complete")

    ahead = []
    for seed in range(3):
        # ten of the design, and one proposal
        changes: dict[str, Any] = {"n_trials": 11, "sampler": "ehvi", "seed": seed}
        changes |= {"objectives": "accuracy", "limits": {"macs": "1M"}}
        plain = fake_run(tmp_path, TINY, **changes)
        helped = fake_run(tmp_path, TINY, **changes)
        # it judged networks without a limit; none of them is given, its model alone helps
        found = [replace(each, best=False) for each in found_by_hand(60)]
        helped.study.set_user_attr(TRANSFER_KEY, [astuple(each) for each in found])
        ahead.append(best(helped) - best(plain))
    assert sum(ahead) > 0.01
    assert min(ahead) > -0.005


@pytest.mark.slow
def test_a_search_is_begun_from_another_by_the_command(tmp_path: Path) -> None:
    few: tuple[str, ...] = ("--no-latency-predictor", "--objectives", "accuracy,macs", "--workers", "1")
    few += ("--baseline", "none", "--train-images", "200", "--validation-images", "100", "--epochs", "1")
    first = bneck("search", "tiny", *few, "--n-trials", "3", "--out", "first", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    words = ("--transfer-from", "first", "--max-macs", "2M", "--n-trials", "4", "--out", "second")
    second = bneck("search", "tiny", *few, *words, cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    run = Run.open(tmp_path / "second")
    sources = [record.source for record in run.records() if record.state == "complete"]
    front = [record for record in Run.open(tmp_path / "first").front() if record.cost.macs <= 2_000_000]
    assert len(sources) == 4
    assert sources.count("transfer") == len(front)
    refused = bneck(
        "search", "mobile-small", *few, "--transfer-from", "first", "--out", "third", cwd=tmp_path
    )
    assert refused.returncode == 2
    assert "--transfer-from first searched space tiny" in refused.stderr
    assert not (tmp_path / "third").exists()
