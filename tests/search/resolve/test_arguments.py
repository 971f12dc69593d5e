from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bneck.evaluate.data.dataset import load_data
from bneck.search.resolve.arguments import split_arguments
from bneck.search.resolve.requests import SearchRequest
from bneck.search_space import GoalError, load_space


@dataclass
class InFolder:
    folder: Path


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"space": Path("mine.yaml")}, {"space": "mine.yaml"}),
        ({"data": Path("photos")}, {"data": "folder:photos"}),
        ({"data": "cifar10"}, {"data": "cifar10"}),
        ({"objectives": ["accuracy", "macs"]}, {"objectives": "accuracy,macs"}),
        ({"baselines": "none"}, {"baselines": ("none",)}),
        ({"baselines": ["mnasnet_a1"]}, {"baselines": ("mnasnet_a1",)}),
        ({"max_macs": 60_000_000, "max_params": "3M"}, {"max_macs": "60000000", "max_params": "3M"}),
        ({"out": "runs/a", "data_root": Path("d")}, {"out": Path("runs/a"), "data_root": Path("d")}),
        ({"transfer_from": InFolder(Path("runs/b"))}, {"transfer_from": Path("runs/b")}),
        ({"transfer_from": None, "max_macs": None}, {"transfer_from": None, "max_macs": None}),
    ],
)
def test_values_become_the_words_of_a_request(given: dict[str, Any], expected: dict[str, Any]) -> None:
    words, objects = split_arguments(given)
    assert words == expected
    assert objects.given == {}
    SearchRequest(**words)


def test_a_space_is_named_and_needs_no_second_hand_over() -> None:
    tiny = load_space("tiny")
    words, objects = split_arguments({"space": tiny})
    assert (words, objects.space, objects.given) == ({"space": "tiny"}, tiny, {})


def test_objects_leave_a_label_in_the_request() -> None:
    digits = load_data("digits")

    def half(architecture: object, seed: int) -> float:
        return 0.5

    words, objects = split_arguments({"data": digits, "evaluator": half})
    assert objects.given == {"data": digits, "evaluator": half}
    assert words["data"] == "<InMemoryData>"
    assert "half" in words["evaluator"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"pretrained": True, "cuts": "width"}, "--cuts must be depth or none, got width"),
        ({"cuts": "none"}, "--cuts need --pretrained"),
    ],
)
def test_cuts_of_a_search_are_depth_or_none_of_pretrained_networks(
    given: dict[str, Any], problem: str
) -> None:
    assert SearchRequest(pretrained=True).cuts == "depth"
    with pytest.raises(GoalError, match=problem):
        SearchRequest(**given)
