from pathlib import Path

import pytest
import torch

from bneck.evaluate.training.checkpoint import Checkpoint, load_checkpoint
from bneck.results import Run
from bneck.search.resolve.trained_networks import resolve_checkpoint
from bneck.search_space import BneckError
from bneck.search_space.network import build_network

from ...evaluate.example_checkpoint import keep
from ...results.example_run import Row, example_run
from ..example_trainings import train, weights


def loaded(words: str) -> Checkpoint:
    return load_checkpoint(resolve_checkpoint(words).path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training to read only."""
    folder = tmp_path_factory.mktemp("trainings") / "t"
    train(folder, "--epochs", 1)
    return folder


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search of two networks, which both have weights; the second is more accurate."""
    rows = (Row("complete", 0.8, 0.2), Row("complete", 0.9, 0.3), Row("infeasible", None, 0.9))
    found = example_run(tmp_path_factory.mktemp("runs") / "a run", rows)
    for number in ("0", "1"):
        network = found.record(number).architecture
        torch.manual_seed(int(number))
        keep(build_network(network), found.checkpoint(network))
    return found


@pytest.mark.slow
def test_a_trial_is_found_by_its_number_and_the_most_accurate_as_the_best(searched: Run) -> None:
    keys = [searched.record(number).key for number in ("0", "1")]
    assert keys[0] != keys[1]
    for words, key in (("0", keys[0]), ("1", keys[1]), ("best", keys[1])):
        name = f"{searched.folder}#{words}"
        assert loaded(name).architecture.key == key
        assert resolve_checkpoint(name).path.name == f"{key}.safetensors"
        own = weights(resolve_checkpoint(name).path)
        assert all(value.equal(own[key]) for key, value in loaded(name).weights.items())


def test_of_a_training_it_is_the_network_that_is_kept(trained: Path) -> None:
    assert resolve_checkpoint(str(trained)).path == trained / "model.safetensors"
    found = loaded(str(trained))
    kept = weights(trained / "model.safetensors")
    assert found.weights.keys() == kept.keys()
    assert all(value.equal(kept[name]) for name, value in found.weights.items())
    assert found.state == {}  # nothing to go on from


def test_a_file_is_itself(trained: Path) -> None:
    path = trained / "checkpoint.safetensors"
    assert resolve_checkpoint(str(path)).path == path
    assert loaded(str(path)).state != {}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("RUN#2", "checkpoint file not found"),
        ("RUN#3", "has no trial '3'"),
        ("RUN#", "has no trial ''"),
        ("RUN", "is no training; give a folder of `bneck train`, a file or RUN#TRIAL"),
        ("T#1", "is not a search run"),
        ("T/curve.csv", "not a bneck checkpoint"),
        ("T/nothing.safetensors", "checkpoint file not found"),
        ("", "is no training"),
    ],
)
def test_what_is_no_trained_network_says_so(trained: Path, searched: Run, words: str, expected: str) -> None:
    name = words.replace("RUN", str(searched.folder)).replace("T", str(trained), words.startswith("T"))
    with pytest.raises(BneckError, match=expected):
        loaded(name)


def test_a_training_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "try #2"
    train(folder, "--epochs", 1)
    assert resolve_checkpoint(str(folder)).path == folder / "model.safetensors"
    assert loaded(str(folder)).data == "digits"
