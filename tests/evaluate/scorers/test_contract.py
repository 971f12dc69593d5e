"""The contract of evaluators, and the selection of evaluators by name or object."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from bneck.evaluate import Accuracy
from bneck.evaluate.data.dataset import Data, Split
from bneck.evaluate.scorers import (
    COSTS,
    SCORER_NAMES,
    ZERO_COST,
    EvaluationContext,
    Score,
    Scorer,
    depends_on_seed,
    evaluator,
    scorer_kind,
)
from bneck.evaluate.supernet.config import SupernetConfig
from bneck.evaluate.supernet.trainer import SupernetTrainer, train_to_end
from bneck.search_space import Architecture, PluginError, ScorerError, UnknownNameError, cost
from bneck.testing.evaluator import RECIPE, SPACE, EvaluatorContract, random_images, smallest_networks

DATA = random_images()
CONTEXT = EvaluationContext(DATA, RECIPE)
NETWORK, OTHER = smallest_networks(2)
WITHOUT_VALIDATION = (*ZERO_COST, *COSTS)
MODULE = "bneck_example_evaluators"


def write_table(path: Path) -> None:
    rows = (f"{NETWORK.key},0.4", f"{NETWORK.key},0.5", f"{OTHER.key},0.6")
    path.write_text("\n".join(("key,top1", *rows)), encoding="utf-8")


def write_supernet(path: Path) -> None:
    train_to_end(SupernetTrainer(SPACE, DATA, SupernetConfig(RECIPE)), path)


FILES: dict[str, Callable[[Path], None]] = {
    "table": write_table,
    "supernet": write_supernet,
    "finetuned-supernet": write_supernet,
}


@pytest.fixture(scope="module", params=SCORER_NAMES)
def builtin_name(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A built-in evaluator's name, with a file of its kind."""
    form: str = request.param
    kind, _, needs_file = form.partition(":")
    if not needs_file:
        return kind
    path = tmp_path_factory.mktemp(kind) / "file"
    FILES[kind](path)
    return f"{kind}:{path}"


class TestBuiltin(EvaluatorContract):
    @pytest.fixture
    def evaluator_name(self, builtin_name: str) -> str:
        return builtin_name

    def test_images_are_read_only_where_they_are_needed(
        self, evaluator_name: str, scorer: Scorer, read: list[Split], data: Data
    ) -> None:
        score = scorer.score(NETWORK, 0)
        assert (score.accuracy is None) == (evaluator_name in WITHOUT_VALIDATION)
        if score.accuracy:
            assert score.accuracy.images == data.count("validation")
        if evaluator_name in WITHOUT_VALIDATION:
            assert read == (["train"] if evaluator_name in ZERO_COST else [])
        if evaluator_name == "train":
            assert score.network is not None


EXAMPLES = """
from bneck.evaluate.scorers import Score

def by_depth(architecture, seed):
    return len(architecture.blocks) / 100

class ByClass:
    name = "bneck_example_evaluators:ByClass"
    def __init__(self, context):
        self.images = context.data.count("validation")
    def score(self, architecture, seed):
        return Score(float(self.images), 0.0)

def factory(context):
    return lambda architecture, seed: context.data.count("validation") / 100

number = 3
"""


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / f"{MODULE}.py").write_text(EXAMPLES, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return MODULE


class TestFunctionByReference(EvaluatorContract):
    @pytest.fixture
    def evaluator_name(self, examples: str) -> str:
        return f"{examples}:by_depth"


class TestClassByReference(EvaluatorContract):
    @pytest.fixture
    def evaluator_name(self, examples: str) -> str:
        return f"{examples}:ByClass"


def test_seeds_matter_where_something_is_trained_or_drawn_at_random() -> None:
    matter = {kind: depends_on_seed(f"{kind}:FILE") for kind in FILES}
    matter |= {kind: depends_on_seed(kind) for kind in ("train", *COSTS, *ZERO_COST)}
    trained = {"finetuned-supernet", "train", *ZERO_COST}
    assert {kind for kind, does in matter.items() if does} == trained
    assert depends_on_seed("my_module:function")


@pytest.mark.parametrize("name", ["nasvot", "table", "table:", "naswot:x.csv", "", "train:", "naswot:x"])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown evaluator '{name}'"):
        evaluator(name, CONTEXT)


@pytest.mark.parametrize("name", COSTS)
def test_a_cost_scores_as_it_is_counted(name: str) -> None:
    assert evaluator(name, CONTEXT).score(NETWORK, 3).value == getattr(cost(NETWORK), name)


def test_a_fraction_becomes_an_accuracy_of_the_validation_images(examples: str) -> None:
    score = evaluator(f"{examples}:by_depth", CONTEXT).score(NETWORK, 3)
    assert score.accuracy
    assert score.value == score.accuracy.top1 == len(NETWORK.blocks) / 100
    assert (score.accuracy.images, score.accuracy.seed) == (20, 3)
    assert math.isnan(score.accuracy.loss)


def test_a_factory_gets_the_context(examples: str) -> None:
    assert evaluator(f"{examples}:factory", CONTEXT).score(NETWORK, 0).value == 0.2
    assert evaluator(f"{examples}:ByClass", CONTEXT).score(NETWORK, 0).value == 20


def test_objects_are_taken_in_place_of_names() -> None:
    def accuracy(architecture: Architecture, seed: int) -> Accuracy:
        return Accuracy(0.5, 1.0, 7, 0, 99, 1.0, ())

    scorer = evaluator(accuracy, CONTEXT)
    assert scorer.name.startswith("<") and scorer_kind(scorer.name) == "object"
    found = scorer.score(NETWORK, 4).accuracy
    assert found and (found.top1, found.images, found.seed) == (0.5, 7, 4)

    class Own:
        name = "own"

        def score(self, architecture: Architecture, seed: int) -> Score:
            return Score(1.0, 0.0)

    own = Own()
    assert evaluator(own, CONTEXT) is own
    assert evaluator(Own, CONTEXT).score(NETWORK, 0).value == 1.0


@pytest.mark.parametrize("result", [1.5, -0.1, math.nan, None, "high"])
def test_a_result_that_is_no_accuracy_is_refused(result: object) -> None:
    def wrong(architecture: Architecture, seed: int) -> object:
        return result

    with pytest.raises(ScorerError, match=r"evaluator <function .*wrong>"):
        evaluator(wrong, CONTEXT).score(NETWORK, 0)


@pytest.mark.parametrize("source", [3, lambda: 0.5, lambda one, two, three: 0.5, lambda context: 3])
def test_what_is_no_evaluator_is_refused(source: object) -> None:
    with pytest.raises(PluginError, match="must be a Scorer, a function"):
        evaluator(source, CONTEXT)


def test_an_attribute_that_is_no_evaluator_or_is_missing_is_refused(examples: str) -> None:
    for attribute in ("number", "nothing"):
        with pytest.raises(PluginError, match=f"{examples}:{attribute}"):
            evaluator(f"{examples}:{attribute}", CONTEXT)


def test_entry_points_register_names(monkeypatch: pytest.MonkeyPatch, examples: str) -> None:
    from importlib.metadata import EntryPoint, EntryPoints

    points = EntryPoints([EntryPoint("by-depth", f"{examples}:by_depth", "bneck.evaluators")])
    monkeypatch.setattr("bneck.evaluate.plugins.entry_points", lambda **chosen: points.select(**chosen))
    assert scorer_kind("by-depth") == "plugin"
    assert evaluator("by-depth", CONTEXT).score(NETWORK, 0).value == len(NETWORK.blocks) / 100
    with pytest.raises(UnknownNameError, match="by-depth"):
        evaluator("by-width", CONTEXT)
