import random
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from bneck.evaluate import Accuracy
from bneck.results import Record
from bneck.results.text import surrogate_quality
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


def test_of_many_networks_some_are_cross_validated_and_the_text_says_how_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[int] = []

    def counted(keys: Sequence[str], *_: object) -> SimpleNamespace:
        given.append(len(keys))
        fit = SimpleNamespace(spearman=0.5, spearman_ci95=(0.4, 0.6))
        return SimpleNamespace(
            folds=5, full_model=fit, macs=fit, gain_over_macs=SimpleNamespace(ci95=(0.1, 0.2))
        )

    monkeypatch.setattr(surrogate_quality, "cross_validate", counted)
    few = networks(20)
    for count, text in ((400, "400 networks"), (1000, "400 of 1,000 networks")):
        many = [record(n, few[n % 20], 0.5) for n in range(count)]
        assert text in surrogate_quality_text(many, None)
    assert given == [surrogate_quality.MAX_NETWORKS] * 2
