import random
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState

from bneck.evaluate import Accuracy, Latency
from bneck.results import Record, Run, pareto_front
from bneck.search.runner.ledger import Ledger
from bneck.search.runner.proposer import Proposer, SpaceExhaustedError, feasible_published
from bneck.search.runner.trial_states import ActiveTrial, State, satisfies_latency_limit
from bneck.search_space import NoFeasibleNetworkError, cost, load_space

from ...results.example_run import REFERENCE_MS, accuracy
from ...results.example_run import exact_latency as latency
from ..helpers import FOUR, SMALL, SMALL_SIZE, fake_accuracy, fake_latency, fake_run

LIMITS = {"macs": "25K", "params": "2K", "latency": "0.4x"}
CARELESS = "nsga2"  # proposes networks over a limit, and the same again
FIRST_GENES = {gene.name: gene.choices[0] for gene in SMALL.genes}
LAST_GENES = {gene.name: gene.choices[-1] for gene in SMALL.genes}


@dataclass
class Trials:
    """Proposer and ledger of a run."""

    run: Run

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.run)
        self.proposer = Proposer(self.run, self.ledger)
        self.next, self.enqueue = self.proposer.next, self.proposer.enqueue

    def store(self, active: ActiveTrial, latency: Latency) -> bool:
        """Whether the latency satisfies the limit."""
        self.ledger.store(active, latency)
        return satisfies_latency_limit(self.run.settings.goals, active)

    def complete(self, active: ActiveTrial, accuracy: Accuracy) -> Record:
        active.advance(State.TRAINING)
        self.ledger.store(active, accuracy)
        return self.ledger.finish(active, State.COMPLETE)

    def reject(self, active: ActiveTrial, accuracy: Accuracy | None = None) -> Record:
        """Found infeasible: by its prediction, or after its training."""
        if accuracy:
            active.advance(State.TRAINING)
            self.ledger.store(active, accuracy)
            active.advance(State.REMEASURING)
        return self.ledger.finish(active, State.INFEASIBLE)

    def fail(self, active: ActiveTrial, error: str) -> None:
        active.advance(State.TRAINING)
        active.error = error
        self.ledger.finish(active, State.FAILED)


def judge(trials: Trials, networks: int) -> list[ActiveTrial]:
    """Measure and train by the fakes until so many networks are evaluated; all that was proposed."""
    found: list[ActiveTrial] = []
    while len(trials.ledger.completed) < networks:
        active = trials.next()
        found.append(active)
        if trials.store(active, fake_latency(active.architecture)):
            trials.complete(active, fake_accuracy(active.architecture))
        else:
            trials.reject(active)
    return found


def told(run: Run, state: str) -> list[FrozenTrial]:
    return [trial for trial in run.study.trials if trial.user_attrs.get("state") == state]


def tell_one(run: Run, **judgement: Any) -> None:
    """One judged network with a latency ratio and an accuracy of one's choice."""
    trials = Trials(run)
    proposal = trials.next()
    assert trials.store(proposal, latency(judgement["ratio"]))
    trials.complete(proposal, accuracy(judgement["top1"]))


@pytest.fixture
def limited(tmp_path: Path) -> Run:
    """Twelve networks judged under three limits, and those that broke one."""
    run = fake_run(tmp_path, limits=LIMITS, sampler=CARELESS)
    judge(Trials(run), 12)
    return run


def test_only_networks_within_the_limits_of_cost_are_proposed_and_each_once(tmp_path: Path) -> None:
    trials = Trials(fake_run(tmp_path, limits=LIMITS, sampler=CARELESS))
    found = judge(trials, 12)
    assert all(cost(each.architecture).macs <= 25_000 for each in found)
    assert all(cost(each.architecture).params <= 2_000 for each in found)
    keys = Counter(each.architecture.key for each in found)
    assert set(keys.values()) == {1}
    assert trials.ledger.infeasible > 0
    assert trials.ledger.duplicates > 0


def test_every_told_trial_has_a_violation_of_every_limit_as_optuna_takes_others_for_feasible(
    limited: Run,
) -> None:
    complete = [trial for trial in limited.study.trials if trial.state == TrialState.COMPLETE]
    assert {frozenset(trial.constraints) for trial in complete} == {frozenset({"macs", "params", "latency"})}


def test_infeasible_networks_are_told_complete_with_the_limit_they_broke(limited: Run) -> None:
    infeasible = told(limited, "infeasible")
    assert {trial.state for trial in infeasible} == {TrialState.COMPLETE}
    measured = 0
    for trial in infeasible:
        found = cost(SMALL.decode(trial.params))
        assert trial.constraints["macs"] == pytest.approx(found.macs / 25_000 - 1)
        assert trial.constraints["params"] == pytest.approx(found.params / 2_000 - 1)
        if "latency" in trial.user_attrs:
            ratio = fake_latency(SMALL.decode(trial.params)).ratio
            assert trial.constraints["latency"] == pytest.approx(ratio / 0.4 - 1)
            assert trial.constraints["latency"] > 0 >= trial.constraints["macs"]
            measured += 1
        else:
            # not measured: as bad as what stopped it
            assert trial.constraints["latency"] == max(trial.constraints["macs"], trial.constraints["params"])
            assert trial.constraints["latency"] > 0
    assert 0 < measured < len(infeasible)


def test_judged_networks_are_told_complete_and_keep_every_limit(limited: Run) -> None:
    completed = told(limited, "complete")
    assert len(completed) == 12
    for trial in completed:
        network = SMALL.decode(trial.params)
        assert trial.state == TrialState.COMPLETE
        assert max(trial.constraints.values()) <= 0
        assert trial.values == [fake_accuracy(network).top1, fake_latency(network).latency_ms]


def test_optunas_own_best_trials_are_the_front(limited: Run) -> None:
    # equal networks on both sides: what Optuna's dashboard and plots show is what bneck shows
    records = [record for record in limited.records() if record.state == "complete"]
    front = {record.trial for record in pareto_front(records, limited.settings.goals.objectives)}
    assert {trial.number for trial in limited.study.best_trials} == front


def test_the_record_that_is_handed_back_is_the_one_that_is_read_later(tmp_path: Path) -> None:
    run = fake_run(tmp_path, limits=LIMITS)
    trials = Trials(run)
    judge(trials, 3)
    read = [record for record in run.records() if record.state == "complete"]
    handed = [replace(record, violations=None, seconds=0.0) for record in trials.ledger.completed]
    assert handed == [replace(record, violations=None, seconds=0.0) for record in read]


def test_repeats_are_told_failed_and_without_values(tmp_path: Path) -> None:
    run = fake_run(tmp_path, sampler=CARELESS)
    trials = Trials(run)
    found = judge(trials, SMALL_SIZE // 2)
    duplicates = told(run, "duplicate")
    assert len(duplicates) == trials.ledger.duplicates > 0
    assert {trial.state for trial in duplicates} == {TrialState.FAIL}
    assert {trial.values for trial in duplicates} == {None}
    proposed = {each.architecture.key for each in found}
    assert {SMALL.decode(trial.params).key for trial in duplicates} <= proposed


def test_a_network_that_is_being_judged_is_not_proposed_again(tmp_path: Path) -> None:
    trials = Trials(fake_run(tmp_path))
    trials.enqueue(FIRST_GENES, "first")
    trials.enqueue(FIRST_GENES, "second")
    first, second = trials.next(), trials.next()
    assert first.architecture == SMALL.decode(FIRST_GENES)
    assert second.architecture != first.architecture
    assert trials.ledger.duplicates >= 1


def test_a_network_that_failed_is_not_proposed_again(tmp_path: Path) -> None:
    run = fake_run(tmp_path)
    trials = Trials(run)
    trials.enqueue(FIRST_GENES, "first")
    failing = trials.next()
    trials.fail(failing, "the loss of epoch 1 is nan")
    trials.enqueue(FIRST_GENES, "again")
    assert trials.next().architecture != failing.architecture
    resumed = Trials(run)
    resumed.enqueue(FIRST_GENES, "again")
    assert resumed.next().architecture != failing.architecture
    [record] = [record for record in run.records() if record.state == "failed"]
    assert (record.trial, record.error) == (failing.trial.number, "the loss of epoch 1 is nan")
    assert trials.ledger.failed == 1


@pytest.mark.parametrize("state", ["complete", "measured and infeasible", "predicted and infeasible"])
def test_what_an_earlier_session_found_is_not_proposed_again(tmp_path: Path, state: str) -> None:
    run = fake_run(tmp_path, limits={"latency": "0.4x"})
    trials = Trials(run)
    trials.enqueue(FIRST_GENES, "first")
    earlier = trials.next()
    if state == "complete":
        assert trials.store(earlier, latency(0.4))
        trials.complete(earlier, accuracy(0.5))
    else:
        slow = replace(latency(0.41), source="predicted" if "predicted" in state else "measured")
        assert not trials.store(earlier, slow)
        trials.reject(earlier)
    resumed = Trials(run)
    resumed.enqueue(FIRST_GENES, "again")
    assert resumed.next().architecture != earlier.architecture
    assert resumed.ledger.duplicates == 1


def test_a_later_session_knows_the_numbers_of_the_earlier_one(limited: Run) -> None:
    states = Counter(trial.user_attrs["state"] for trial in limited.study.trials)
    resumed = Trials(limited)
    assert len(resumed.ledger.completed) == states["complete"]
    assert (resumed.ledger.infeasible, resumed.ledger.duplicates) == (
        states["infeasible"],
        states["duplicate"],
    )


@pytest.mark.parametrize("name", ["random", "tpe", "nsga2"])
def test_a_later_session_does_not_propose_what_the_earlier_one_did(tmp_path: Path, name: str) -> None:
    # a sampler made anew from the same seed would: of this space repeats are no accident
    run = fake_run(tmp_path, load_space("tiny"), sampler=name)
    for _ in range(3):
        judge(Trials(run), len(told(run, "complete")) + 3)
    assert len({trial.user_attrs["key"] for trial in run.study.trials}) == 9
    assert told(run, "duplicate") == []


@pytest.mark.parametrize("name", ["random", "tpe", "nsga2"])
@pytest.mark.slow
def test_a_seed_repeats_a_search_and_another_seed_changes_it(tmp_path: Path, name: str) -> None:
    def keys(seed: int) -> list[str]:
        run = fake_run(tmp_path, limits=LIMITS, sampler=name, seed=seed)
        return [each.architecture.key for each in judge(Trials(run), 14)]

    first = keys(5)
    assert keys(5) == first
    assert keys(6) != first


def test_before_anything_is_judged_the_placeholders_are_chance_and_the_reference(tmp_path: Path) -> None:
    run = fake_run(tmp_path, limits={"macs": "25K"}, objectives="accuracy,latency,macs,params")
    trials = Trials(run)
    trials.enqueue(LAST_GENES, "too large")
    trials.next()
    network = SMALL.decode(LAST_GENES)
    # what is known of it is told as it is
    known = [float(cost(network).macs), float(cost(network).params)]
    assert run.study.trials[0].values == [1 / 10, REFERENCE_MS, *known]


def test_after_that_the_placeholders_are_the_worst_seen(tmp_path: Path) -> None:
    run = fake_run(tmp_path, limits={"macs": "25K"})
    tell_one(run, ratio=0.3, top1=0.62)
    tell_one(run, ratio=0.2, top1=0.71)
    trials = Trials(run)
    trials.enqueue(LAST_GENES, "too large")
    trials.next()
    [trial] = [trial for trial in told(run, "infeasible") if trial.params == LAST_GENES]
    # 0.3 times the reference's 2 ms
    assert trial.values == [0.62, pytest.approx(0.6)]


def test_a_network_over_a_limit_is_told_the_least_reward_seen_or_its_own_if_it_was_trained(
    tmp_path: Path,
) -> None:
    run = fake_run(tmp_path, limits={"macs": "25K", "latency": "0.5x"}, objectives="reward:0.2x")
    trials = Trials(run)
    trials.enqueue(LAST_GENES, "too large")
    first = trials.next()
    assert run.study.trials[0].values == [1 / 10]
    assert trials.store(first, latency(0.4))
    trials.complete(first, accuracy(0.75))
    # 0.75 * 2 ** -0.07 = 0.75 * 0.952638
    assert run.study.trials[first.trial.number].values == [pytest.approx(0.714479, abs=1e-6)]
    for trained, expected in ((None, 0.714479), (accuracy(0.5), 0.5 * 4**-0.07)):
        slow = trials.next()
        trials.store(slow, latency(0.8))
        trials.reject(slow, trained)
        assert run.study.trials[slow.trial.number].values == [pytest.approx(expected, abs=1e-6)]


def test_a_network_found_too_slow_is_told_with_its_own_latency(tmp_path: Path) -> None:
    run = fake_run(tmp_path, limits={"latency": "0.5x"})
    tell_one(run, ratio=0.3, top1=0.62)
    trials = Trials(run)
    slow = trials.next()
    assert not trials.store(slow, latency(0.9))
    trials.reject(slow)
    # 0.9 times 2 ms, and 0.9 / 0.5 - 1
    trial = run.study.trials[slow.trial.number]
    assert trial.values == [0.62, pytest.approx(1.8)]
    assert trial.constraints == {"latency": pytest.approx(0.8)}
    assert run.records()[slow.trial.number].latency == latency(0.9)


def test_a_network_found_too_slow_after_its_training_keeps_its_accuracy(tmp_path: Path) -> None:
    run = fake_run(tmp_path, limits={"latency": "0.5x"})
    tell_one(run, ratio=0.3, top1=0.62)
    trials = Trials(run)
    slow = trials.next()
    assert not trials.store(slow, latency(0.9))
    trials.reject(slow, accuracy(0.93))
    record = run.records()[slow.trial.number]
    assert (record.state, record.accuracy, record.latency) == ("infeasible", accuracy(0.93), latency(0.9))
    assert record.violations == pytest.approx({"latency": 0.8})
    # no more than the others is it judged, or on the front
    assert len(Trials(run).ledger.completed) == 1
    assert [each.trial for each in run.front()] == [0]


def test_a_network_found_too_slow_after_its_training_is_told_with_its_own_accuracy(tmp_path: Path) -> None:
    # "with the worst values seen so far in place of those it does not have"
    run = fake_run(tmp_path, limits={"latency": "0.5x"})
    tell_one(run, ratio=0.3, top1=0.62)
    trials = Trials(run)
    slow = trials.next()
    assert not trials.store(slow, latency(0.9))
    trials.reject(slow, accuracy(0.93))
    assert run.study.trials[slow.trial.number].values == [0.93, pytest.approx(1.8)]


def test_a_measurement_takes_the_place_of_the_prediction(tmp_path: Path) -> None:
    run = fake_run(tmp_path, limits={"latency": "0.5x"})
    trials = Trials(run)
    proposal = trials.next()
    predicted = replace(latency(0.3), source="predicted")
    assert trials.store(proposal, predicted)
    assert run.records()[0].latency == predicted
    assert not trials.store(proposal, latency(0.6))
    [record] = run.records()
    # 0.6 / 0.5 - 1
    assert record.latency == latency(0.6)
    assert record.violations == pytest.approx({"latency": 0.2})
    assert proposal.latency == latency(0.6)


@pytest.mark.parametrize(
    ("limit", "keeps"), [("0.5x", True), ("0.4999x", False), ("1ms", True), ("0.99ms", False)]
)
def test_a_latency_at_the_limit_keeps_it(tmp_path: Path, limit: str, keeps: bool) -> None:
    run = fake_run(tmp_path, limits={"latency": limit})
    trials = Trials(run)
    # 0.5 times 2 ms
    assert trials.store(trials.next(), latency(0.5)) is keeps


def test_without_a_limit_on_latency_every_latency_keeps_it(tmp_path: Path) -> None:
    trials = Trials(fake_run(tmp_path, limits={"macs": "1G"}))
    assert trials.store(trials.next(), latency(1000.0))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up after fewer proposals, to save time."""
    monkeypatch.setattr("bneck.search.runner.proposer.MAX_CONSECUTIVE_REJECTIONS", 100)


@pytest.mark.usefixtures("impatient")
def test_a_space_is_exhausted_when_all_its_networks_have_been_proposed(tmp_path: Path) -> None:
    run = fake_run(tmp_path, FOUR)
    trials = Trials(run)
    found = judge(trials, 4)
    assert len({each.architecture.key for each in found}) == 4
    with pytest.raises(SpaceExhaustedError):
        trials.next()
    with pytest.raises(SpaceExhaustedError):
        Trials(run).next()


@pytest.mark.usefixtures("impatient")
def test_a_space_is_exhausted_when_all_that_keeps_the_limits_has_been_proposed(tmp_path: Path) -> None:
    genes = {gene.name: gene.choices[0] for gene in FOUR.genes}
    macs = cost(FOUR.decode(genes)).macs  # of the least of the four
    trials = Trials(fake_run(tmp_path, FOUR, {"macs": str(macs)}, sampler=CARELESS))
    assert judge(trials, 1)[0].architecture == FOUR.decode(genes)
    with pytest.raises(SpaceExhaustedError):
        trials.next()


@pytest.mark.usefixtures("impatient")
def test_limits_that_nothing_new_keeps_end_the_search_and_are_named(tmp_path: Path) -> None:
    run = fake_run(tmp_path, load_space("tiny"), {"latency": "0.01x"}, sampler=CARELESS)
    trials = Trials(run)
    with pytest.raises(NoFeasibleNetworkError, match=r"limits: latency <= 0\.01x; 0 networks evaluated"):
        while True:
            slow = trials.next()
            assert not trials.store(slow, latency(0.5))
            trials.reject(slow)


def test_a_needle_in_a_haystack_is_found_by_descending(tmp_path: Path) -> None:
    # in 1,000 evenly drawn networks of tiny the least has 61K MACs; 41,472 is the least there is
    space = load_space("tiny")
    rng = random.Random(0)
    assert min(cost(space.decode(space.sample(rng))).macs for _ in range(1000)) > 50_000
    run = fake_run(tmp_path, space, {"macs": "42K"}, sampler=CARELESS)
    proposal = Trials(run).next()
    assert cost(proposal.architecture).macs <= 42_000
    assert proposal.trial.user_attrs["source"] == "random feasible"
    assert len(run.study.trials) < 50


def test_an_enqueued_network_is_asked_first_and_remembers_its_source(tmp_path: Path) -> None:
    run = fake_run(tmp_path)
    trials = Trials(run)
    trials.enqueue(LAST_GENES, "mobilenet_v3_small at 8 px")
    proposal = trials.next()
    assert proposal.architecture == SMALL.decode(LAST_GENES)
    assert trials.store(proposal, latency(0.5))
    record = trials.complete(proposal, accuracy(0.5))
    assert record.source == run.records()[0].source == "mobilenet_v3_small at 8 px"


def test_nsga2_learns_from_networks_that_were_given_to_it(tmp_path: Path) -> None:
    # a whole first generation of 20, all alike in twelve genes; of random proposals under half are
    space = load_space("tiny")
    alike = {gene.name: gene.choices[0] for gene in space.genes[:12]}
    run = fake_run(tmp_path, space, sampler="nsga2")
    trials = Trials(run)
    rng = random.Random(0)
    for _ in range(20):
        trials.enqueue({**space.sample(rng), **alike}, "given")
    mutated_offspring = [each.trial.params for each in judge(trials, 30)[20:]]
    inherited = sum(child[name] == value for child in mutated_offspring for name, value in alike.items())
    assert inherited > 0.8 * len(alike) * len(mutated_offspring)


def mobile_small(tmp_path: Path, **limits: str) -> Run:
    return fake_run(tmp_path, load_space("mobile-small"), limits)


@pytest.mark.slow
def test_the_published_networks_of_a_space_are_found_at_each_of_its_resolutions(tmp_path: Path) -> None:
    run = mobile_small(tmp_path)
    found = dict(feasible_published(run))
    assert list(found) == [f"mobilenet_v3_small at {side} px" for side in (96, 128, 160, 192, 224)]
    # 2,542,856 parameters and 56,517,968 MACs: torchvision's network
    network = run.settings.space.decode(found["mobilenet_v3_small at 224 px"])
    assert (network.resolution_px, cost(network).params) == (224, 2_542_856)
    assert round(cost(network).macs / 1e6, 1) == 56.5


def test_a_published_network_over_a_limit_is_left_out(tmp_path: Path) -> None:
    # 56.5M at 224 px, some 56.5 * (192 / 224) ** 2 = 41.5M at 192 px
    found = [name for name, _ in feasible_published(mobile_small(tmp_path, macs="50M"))]
    assert found == [f"mobilenet_v3_small at {side} px" for side in (96, 128, 160, 192)]
    assert list(feasible_published(mobile_small(tmp_path, params="2.5M"))) == []


@pytest.mark.slow
def test_published_networks_are_found_for_other_images_too_and_each_once(tmp_path: Path) -> None:
    space = replace(load_space("mobile"), resolution_px=(128, 224)).for_data(1, 10)
    run = fake_run(tmp_path, space)
    found = [name for name, _ in feasible_published(run)]
    # at width 1 the two ways of scaling are one: mobilenet_v3_large_paper is mobilenet_v3_large
    families = ("mobilenet_v3_large", "mobilenet_v2", "mnasnet_a1", "mnasnet_b1")
    assert found == [f"{family} at {side} px" for family in families for side in (128, 224)]
