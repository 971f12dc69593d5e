"""`bneck proxy`: which networks it judges, what it prints, what it refuses."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from bneck.evaluate.data.dataset import load_data, subsample
from bneck.evaluate.scorers import SCORER_NAMES, Score
from bneck.evaluate.scorers.cost import CostScorer
from bneck.evaluate.scorers.training import TrainingScorer
from bneck.evaluate.training.recipe import Recipe
from bneck.evaluate.training.train import seeded_network, train
from bneck.search.jobs.proxy_scores import NetworkScores, value_text
from bneck.search.resolve.networks import NamedArchitecture
from bneck.search.resolve.requests import ProxyRequest
from bneck.search_space import Architecture, cost, load_architecture, published_architecture
from bneck.search_space.errors import NonFiniteLossError

from ...search_space.helpers import TOY
from ..example_trainings import IMAGES, NET, run, write_net

LEARNS = "bneck: recipe/1\nbatch_size: 8\noptimizer: adamw\nlearning_rate: 0.02\naugment: none\n"
SMALLER = NET.replace("features: 32", "features: 8")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with two networks for the digits."""
    monkeypatch.chdir(tmp_path)
    write_net(tmp_path)
    write_net(tmp_path, "less.yaml", SMALLER)
    return tmp_path


def key(path: str) -> str:
    return load_architecture(Path(path)).key


def found(*words: object) -> dict[str, Any]:
    """What the command prints for programs."""
    ran = run("proxy", *words, "--json")
    assert ran.code == 0, ran
    told: dict[str, Any] = json.loads(ran.out)
    return told


def judged(*values: float) -> NetworkScores:
    return NetworkScores(NamedArchitecture("toy", TOY), tuple(Score(value, 0.1) for value in values))


def write_scores(*rows: tuple[str, float]) -> None:
    lines = [f"{key(path)},{top1}" for path, top1 in rows]
    Path("t.csv").write_text("\n".join(["key,top1", *lines]), encoding="utf-8")


# -------------------------------------------------------------------------------------- the help


def test_the_help_names_every_scorer() -> None:
    [field] = [each for each in fields(ProxyRequest) if each.name == "evaluator"]
    told = {word.strip(";:,. ") for word in field.metadata["option"].help.split()}
    assert set(SCORER_NAMES) <= told


# ------------------------------------------------------------------------------- what is printed


def test_the_best_network_comes_first_with_mean_and_deviation_of_its_seeds(here: Path) -> None:
    write_scores(("net.yaml", 0.4), ("less.yaml", 0.7), ("net.yaml", 0.6))
    told = found("net.yaml", "less.yaml", "--evaluator", "table:t.csv", "--seeds", 2)
    assert [each["name"] for each in told["networks"]] == ["less.yaml", "net.yaml"]
    best, second = told["networks"]
    assert (best["value"], best["std"], best["values"]) == (0.7, 0, [0.7, 0.7])
    # 0.4 and 0.6: mean 0.5, each 0.1 away, so the deviation is 0.1 * sqrt(2)
    assert (second["value"], second["values"]) == (pytest.approx(0.5), [0.4, 0.6])
    assert second["std"] == pytest.approx(0.1 * 2**0.5)
    assert second["key"] == key("net.yaml")
    assert second["cpu_seconds"] > 0
    assert (told["evaluator"], told["data"], told["seeds"]) == ("table:t.csv", "digits", 2)
    assert told["skipped"] == {}


def test_a_person_sees_a_table_with_progress_beside_it(here: Path) -> None:
    write_scores(("net.yaml", 0.4), ("less.yaml", 0.7), ("net.yaml", 0.6))
    ran = run("proxy", "net.yaml", "less.yaml", "--evaluator", "table:t.csv", "--seeds", 2)
    assert ran.code == 0
    header, best, second = (line.split() for line in ran.out.splitlines())
    assert header == ["network", "MACs", "table:t.csv", "CPU", "s"]
    assert best[0] == "less.yaml"
    assert best[2:] == ["0.7000", "±", "0.0000", "0.00"]
    assert second[2:] == ["0.5000", "±", "0.1414", "0.00"]
    assert ran.err.splitlines()[-1].startswith("evaluating 4/4")


def test_what_to_bear_in_mind_is_told(here: Path) -> None:
    words = ("net.yaml", "--evaluator", "naswot", "--train-images", 20)
    assert run("proxy", *words).out.splitlines()[-1].startswith("naswot: codes identify linear regions")
    told = found(*words)
    assert told["caveat"].startswith("codes identify")
    assert told["networks"][0]["std"] is None


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((0.84123,), "0.8412"),
        ((0.5, 0.7), "0.6000 ± 0.1414"),
        ((-54.171,), "-54.171"),
        ((468.413, 468.413), "468.41 ± 0.00"),
        ((56510400.0,), "56,510,400"),
    ],
)
def test_a_value_has_five_digits_and_a_cost_all_of_them(values: tuple[float, ...], text: str) -> None:
    assert value_text(judged(*values)) == text


# ------------------------------------------------------------------------- which networks, and how


def test_networks_are_fitted_to_the_images(here: Path) -> None:
    small, large = (
        replace(published_architecture(name), resolution_px=32, image_channels=1, classes=10)
        for name in ("mobilenet_v3_small@0.35", "mobilenet_v3_large@0.35")
    )
    told = found("mobilenet_v3_small@0.35", "mobilenet_v3_large@0.35", "--evaluator", "macs")
    assert [each["value"] for each in told["networks"]] == [cost(large).macs, cost(small).macs]
    assert [each["key"] for each in told["networks"]] == [large.key, small.key]


def test_the_resolution_can_be_chosen(here: Path) -> None:
    [network] = found("net.yaml", "--evaluator", "macs", "--resolution", 16)["networks"]
    assert network["resolution_px"] == 16
    assert network["macs"] == cost(replace(load_architecture(Path("net.yaml")), resolution_px=16)).macs


def test_a_network_that_is_named_twice_is_judged_once(here: Path) -> None:
    assert len(found("net.yaml", "net.yaml", "--evaluator", "macs")["networks"]) == 1


def test_train_scores_by_a_training_on_these_images_by_this_recipe(here: Path) -> None:
    Path("mine.yaml").write_text(LEARNS, encoding="utf-8")
    words = ("net.yaml", "--evaluator", "train", *IMAGES, "--recipe", "mine.yaml", "--epochs", 2)
    [network] = found(*words)["networks"]
    images = subsample(load_data("digits"), train=160, validation=50)
    recipe = Recipe(epochs=2, batch_size=8, optimizer="adamw", learning_rate=0.02, augment="none")
    own = seeded_network(load_architecture(Path("net.yaml")), 0)
    assert network["value"] == train(own, images, recipe, seed=0).top1 > 0.2


# ------------------------------------------------------------------------------- what goes wrong


def test_a_network_that_cannot_be_judged_is_left_out_and_the_rest_is_told(here: Path) -> None:
    write_scores(("net.yaml", 0.4))
    ran = run("proxy", "less.yaml", "net.yaml", "--evaluator", "table:t.csv", "--json")
    assert ran.code == 0
    told = json.loads(ran.out)
    assert [each["name"] for each in told["networks"]] == ["net.yaml"]
    why = f"t.csv: no row with key {key('less.yaml')}; add one, or train the network"
    assert told["skipped"] == {"less.yaml": why}
    assert ran.err.splitlines()[-1] == f"skipped less.yaml: {why}"


def test_a_training_that_diverges_is_left_out(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge(judge: TrainingScorer, architecture: Architecture, seed: int) -> Score:
        if architecture.key == key("net.yaml"):
            raise NonFiniteLossError("the loss of epoch 1 is nan")
        return Score(0.5, 1.0)

    monkeypatch.setattr(TrainingScorer, "score", diverge)
    told = found("net.yaml", "less.yaml", "--evaluator", "train")
    assert told["skipped"] == {"net.yaml": "the loss of epoch 1 is nan"}
    assert [each["name"] for each in told["networks"]] == ["less.yaml"]


def test_if_no_network_can_be_judged_the_command_fails(here: Path) -> None:
    Path("t.csv").write_text("key,top1\n", encoding="utf-8")
    ran = run("proxy", "net.yaml", "--evaluator", "table:t.csv")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines()[-1].startswith("bneck: t.csv: no row with key ")


def test_ctrl_c_keeps_what_was_judged(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(judge: CostScorer, architecture: Architecture, seed: int) -> Score:
        if architecture.key == key("less.yaml"):
            raise KeyboardInterrupt
        return Score(3.0, 0.1)

    monkeypatch.setattr(CostScorer, "score", pressed)
    ran = run("proxy", "net.yaml", "less.yaml", "--evaluator", "macs", "--json")
    assert ran.code == 130
    assert [each["value"] for each in json.loads(ran.out)["networks"]] == [3.0]
    assert "1 of 2 networks" in ran.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--evaluator", "nasvot"), "unknown evaluator 'nasvot'"),
        (("--evaluator", "table"), "unknown evaluator 'table'"),
        (
            ("--evaluator", "naswot", "--epochs", "3"),
            "--epochs needs an evaluator that trains (train, finetuned-supernet), got naswot",
        ),
        (
            ("--evaluator", "table:x", "--recipe", "guide"),
            "--recipe needs an evaluator that trains (train, finetuned-supernet), got table",
        ),
        (("--evaluator", "table:none.csv"), "none.csv: cannot be read: No such file or directory"),
        (("--device", "tpu"), "--device must be auto, cpu or cuda, got 'tpu'"),
    ],
)
def test_a_wrong_option_is_told_in_one_line(here: Path, words: tuple[str, ...], complaint: str) -> None:
    assert run("proxy", "net.yaml", *words).complaint.startswith(complaint)


def test_a_wrong_scorer_is_told_before_any_image_is_looked_for(here: Path) -> None:
    ran = run("proxy", "net.yaml", "--evaluator", "nasvot", "--data", "folder:nowhere")
    assert ran.complaint.startswith("unknown evaluator 'nasvot'")


def test_a_wrong_network_is_told_before_any_image_is_looked_for(here: Path) -> None:
    ran = run("proxy", "mobilenet_v9", "--data", "folder:nowhere")
    assert ran.complaint.startswith("unknown network 'mobilenet_v9'")


def test_a_training_needs_two_images_a_step(here: Path) -> None:
    ran = run("proxy", "net.yaml", "--evaluator", "train", "--train-images", 1)
    assert ran.code == 2
    assert "batch normalisation needs at least 2 images per training step" in ran.err.splitlines()[-1]
