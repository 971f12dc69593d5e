from dataclasses import replace
from pathlib import Path

import pytest

from bneck.evaluate import parse_goals
from bneck.evaluate.latency.measurement import failed_latency
from bneck.results import Record
from bneck.search.runner.latency_policy import LatencyStrategy
from bneck.search.runner.ledger import Ledger
from bneck.search.runner.proposer import Proposer
from bneck.search.runner.trial_states import FINAL, TRANSITIONS, ActiveTrial, State, next_state

from ...results.example_run import accuracy
from ...results.example_run import exact_latency as latency
from ..helpers import fake_model, fake_run

GOALS = parse_goals("accuracy,latency", {"latency": "0.5x"})
PREDICTED = replace(latency(0.3), source="predicted")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(fake_run(tmp_path, limits={"latency": "0.5x"}))


@pytest.fixture
def active(ledger: Ledger) -> ActiveTrial:
    return Proposer(ledger.run, ledger).next()


def following(active: ActiveTrial, *, model: bool = True, has_rungs: bool = False) -> State:
    strategy = LatencyStrategy(GOALS, "both", fake_model({"network": 0.3}) if model else None)
    return next_state(active, GOALS, strategy, (), has_rungs=has_rungs)


def test_only_final_states_have_no_way_out() -> None:
    assert {state for state, following in TRANSITIONS.items() if not following} == FINAL
    assert set(TRANSITIONS) == set(State)


def test_a_state_cannot_be_skipped(active: ActiveTrial) -> None:
    with pytest.raises(ValueError, match="proposed to complete"):
        active.advance(State.COMPLETE)


def test_a_network_is_measured_then_trained_then_complete(ledger: Ledger, active: ActiveTrial) -> None:
    assert following(active, model=False) is State.MEASURING
    active.advance(State.MEASURING)
    ledger.store(active, latency(0.4))
    assert following(active, model=False) is State.TRAINING
    active.advance(State.TRAINING)
    ledger.store(active, accuracy(0.7))
    assert following(active, model=False) is State.COMPLETE
    assert following(active, model=False, has_rungs=True) is State.STOPPED


def test_a_predicted_network_that_would_enter_the_front_is_measured_after_its_training(
    ledger: Ledger, active: ActiveTrial
) -> None:
    ledger.store(active, PREDICTED)
    assert following(active) is State.TRAINING
    active.advance(State.TRAINING)
    ledger.store(active, accuracy(0.7))
    assert following(active) is State.REMEASURING
    active.advance(State.REMEASURING)
    ledger.store(active, latency(0.6))
    assert following(active) is State.INFEASIBLE
    active.latency = latency(0.5)
    assert following(active) is State.COMPLETE


def test_with_rungs_every_network_is_measured_before_its_training(
    ledger: Ledger, active: ActiveTrial
) -> None:
    ledger.store(active, PREDICTED)
    assert following(active, has_rungs=True) is State.MEASURING


def test_a_network_that_cannot_be_measured_fails(ledger: Ledger, active: ActiveTrial) -> None:
    active.advance(State.MEASURING)
    ledger.store(active, failed_latency("out of memory"))
    assert following(active) is State.FAILED
    record = ledger.finish(active, State.FAILED)
    assert (record.state, record.error) == ("failed", "out of memory")


def test_callbacks_receive_trials_that_were_never_trained_too(tmp_path: Path) -> None:
    received: list[Record] = []
    run = fake_run(tmp_path, limits={"macs": "25K"}, sampler="nsga2")
    ledger = Ledger(run, [received.append])
    proposer = Proposer(run, ledger)
    for _ in range(8):
        proposer.next()
    states = [record.state for record in received]
    assert states.count("infeasible") == ledger.infeasible > 0
    assert len(states) == ledger.infeasible + ledger.duplicates
