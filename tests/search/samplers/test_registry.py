from pathlib import Path
from typing import Any

import optuna
import pytest

from bneck.evaluate import Constraint, Goals, Objective
from bneck.search.samplers.registry import SAMPLERS, SamplerContext, make_sampler
from bneck.search_space import PluginError, UnknownNameError, cost
from bneck.testing import SamplerContract

from ..helpers import SMALL

MAX_MACS = 25_000  # about half of SMALL

SLOW = ("ehvi", "gp")
FEASIBLE = ("ehvi", "random")  # by construction


def context(seed: int) -> SamplerContext:
    goals = Goals((Objective("accuracy"), Objective("latency")), (Constraint("macs", MAX_MACS),))
    return SamplerContext(SMALL, goals, seed)


class TestBuiltinSampler(SamplerContract):
    space = SMALL
    max_macs = "25K"  # about half of SMALL

    @pytest.fixture(params=SAMPLERS)
    def sampler(self, request: pytest.FixtureRequest) -> Any:
        return request.param


PLUGIN = """\
import optuna

class Tuned(optuna.samplers.TPESampler): pass

def from_context(context):
    return optuna.samplers.RandomSampler(seed=context.seed)

number = 7
"""


class TestPluginSampler(SamplerContract):
    space = SMALL
    max_macs = "25K"

    @pytest.fixture(params=["annealing_plugin:from_context", "annealing_plugin:Tuned"])
    def sampler(self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        (tmp_path / "annealing_plugin.py").write_text(PLUGIN, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        return request.param


def test_a_plugin_that_gives_no_sampler_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "annealing_number.py").write_text(PLUGIN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError, match=r"annealing_number:number.*int"):
        make_sampler("annealing_number:number", context(0))


def test_an_instance_is_taken_as_it_is() -> None:
    sampler = optuna.samplers.RandomSampler()
    assert make_sampler(sampler, context(0)) is sampler


@pytest.mark.parametrize("name", SAMPLERS)
def test_only_bnecks_own_samplers_satisfy_cost_limits_by_construction(name: str) -> None:
    contract = TestBuiltinSampler()
    n_trials = contract.n_trials if name in SLOW else 3 * contract.n_trials
    proposed = contract.propose(make_sampler(name, context(0)), n_trials=n_trials)
    largest = max(cost(SMALL.decode(genes)).macs for genes in proposed)
    assert (largest <= MAX_MACS) == (name in FEASIBLE)


def test_the_names_are_those_of_the_help() -> None:
    kinds = {name: type(make_sampler(name, context(0))).__name__ for name in SAMPLERS}
    assert kinds == {
        "ehvi": "EhviSampler",
        "random": "UniformSampler",
        "tpe": "TPESampler",
        "nsga2": "NSGAIISampler",
        "gp": "GPSampler",
    }


def test_an_unknown_sampler_lists_the_names() -> None:
    with pytest.raises(UnknownNameError, match=r"'annealing'.* ehvi, random, tpe, nsga2, gp"):
        make_sampler("annealing", context(0))


def test_tpe_learns_from_limits_that_were_broken() -> None:
    # of random proposals some half break the limit
    found = TestBuiltinSampler().propose(make_sampler("tpe", context(0)), n_trials=60)
    kept = [cost(SMALL.decode(genes)).macs <= MAX_MACS for genes in found]
    assert sum(kept[30:]) > 20
