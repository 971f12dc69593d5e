import random

import pytest

from bneck.evaluate import Accuracy
from bneck.results import Record
from bneck.results.text.surrogate_quality import MIN_NETWORKS, surrogate_quality_text
from bneck.search_space import Architecture, cost, load_space

SPACE = load_space("tiny").for_data(1, 10)


def networks(count: int) -> list[Architecture]:
    rng = random.Random(0)
    return [SPACE.decode(SPACE.sample(rng)) for _ in range(count)]


def record(number: int, network: Architecture, top1: float) -> Record:
    accuracy = Accuracy(top1, 1.0, images=1000, images_seen=1, seed=0, seconds=1.0, curve=())
    return Record(number, "sampler", "complete", network, cost(network), accuracy=accuracy)


def test_with_less_than_a_dozen_networks_nothing_is_said() -> None:
    few = [record(n, each, 0.5) for n, each in enumerate(networks(MIN_NETWORKS - 1))]
    assert surrogate_quality_text(few, None) == ""


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.slow
def test_shape_tells_more_where_accuracy_is_the_resolution_and_not_where_it_is_the_size() -> None:
    drawn = networks(40)
    by_shape = [record(n, each, each.resolution_px / 100 + n / 1e5) for n, each in enumerate(drawn)]
    by_size = [record(n, each, cost(each).macs / 1e8) for n, each in enumerate(drawn)]
    assert "do not significantly" not in surrogate_quality_text(by_shape, None)
    assert "do not significantly" in surrogate_quality_text(by_size, None)
