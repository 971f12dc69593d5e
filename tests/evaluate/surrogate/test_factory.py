"""Models of accuracies and latencies, on a made-up landscape."""

from collections.abc import Sequence

import numpy as np
import pytest

from bneck.evaluate.statistics.rank_correlation import spearman
from bneck.evaluate.surrogate import factory
from bneck.evaluate.surrogate.encoder import Candidate, Encoder, Observation
from bneck.evaluate.surrogate.factory import (
    TRANSFER_KEY,
    JointSurrogate,
    Surrogate,
    SurrogateFactory,
    TransferPrior,
)
from bneck.evaluate.surrogate.gaussian_process import GaussianProcess, fit

from ...search.example_landscape import encode, known_of, latency_ms, some, truth
from ...search.helpers import SMALL
from ...search_space.helpers import preset

TINY = preset("tiny")
ENCODER, TINY_ENCODER = Encoder(SMALL), Encoder(TINY)


def learned(
    known: Sequence[Observation],
    noise: float | None = 0.0,
    surrogate_factory: SurrogateFactory | None = None,
    encoder: Encoder = ENCODER,
) -> Surrogate:
    values = [each.accuracy for each in known if each.accuracy is not None]
    return (surrogate_factory or SurrogateFactory(encoder)).fit_surrogate(
        "accuracy", known, values, noise, range(len(known))
    )


def told(model: Surrogate, networks: Sequence[Candidate]) -> list[list[float]]:
    mean, std = model.predict(networks)
    return [mean.tolist(), std.tolist()]


# What is believed


def test_networks_that_were_not_judged_are_told_from_few_that_were() -> None:
    networks = some(SMALL, 60)
    model = learned(known_of(networks[:25]))
    mean, std = model.predict(networks[25:])
    accuracies = np.array([truth(each.architecture) for each in networks[25:]])
    assert mean == pytest.approx(accuracies, abs=0.01)
    assert ((abs(mean - accuracies) / std) < 3).all()


def test_without_noise_the_judged_are_believed_as_they_were_told() -> None:
    known = known_of(some(SMALL, 12))
    assert learned(known).fitted_means == pytest.approx([each.accuracy for each in known], abs=1e-4)


def test_a_lucky_network_is_believed_less_the_fewer_its_trainings() -> None:
    plain = known_of(some(SMALL, 12))
    excess = []
    for trainings in (1, 4, 100):
        lucky = Observation(plain[3].candidate, truth(plain[3].candidate.architecture) + 0.1, trainings)
        found = learned([*plain[:3], lucky, *plain[4:]], noise=0.05).fitted_means[3]
        excess.append(found - truth(lucky.candidate.architecture))
    assert excess == sorted(excess)
    assert excess[0] < 0.07 < 0.09 < excess[2] < 0.1


def test_accuracy_and_latency_together_are_predicted_as_each_alone() -> None:
    networks = some(SMALL, 60)
    known = known_of(networks[:40])
    surrogates = SurrogateFactory(ENCODER)
    accuracies = [each.accuracy for each in known if each.accuracy is not None]
    logs = [np.log(latency_ms(each.candidate.architecture)) for each in known]
    # conditioned on other networks each, the ones of the latency in another order
    accuracy = surrogates.fit_surrogate("accuracy", known, accuracies, 0.01, range(30))
    latency = surrogates.fit_surrogate("latency", known, logs, None, range(39, 10, -1))
    together = JointSurrogate([accuracy, latency]).predict(networks[40:])
    for found, alone in zip(together, (accuracy, latency), strict=True):
        assert np.array(found) == pytest.approx(np.array(alone.predict(networks[40:])), rel=1e-9)


def test_a_network_that_is_being_judged_is_known_and_so_in_part_are_those_like_it() -> None:
    networks = some(SMALL, 30)
    before = learned(known_of(networks[:10]), noise=0.01)
    pending = networks[12]
    other = next(gene for gene in ("stage1.out", "head.features") if gene in pending.genes)
    changed = {**pending.genes, other: 16 if pending.genes[other] != 16 else 32 if "head" in other else 8}
    near = [pending, encode(SMALL, changed)]
    after = before.fantasize([Observation(pending)])
    (mean, std), (mean_then, deviation_then) = before.predict(near), after.predict(near)
    assert mean_then == pytest.approx(mean, abs=0.01)
    assert (deviation_then < std).all()
    assert after.fitted_means[-1] == pytest.approx(mean[0], abs=0.01)
    assert before.fantasize([]) is before


# When it is fitted


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many networks each fit had."""
    counts: list[int] = []

    def counted(keys: Sequence[str], *rest: object) -> GaussianProcess:
        counts.append(len(keys))
        return fit(keys, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(factory, "fit", counted)
    return counts


def test_it_is_fitted_anew_only_when_a_tenth_more_is_known(fits: list[int]) -> None:
    known, surrogate_factory = known_of(some(SMALL, 30)), SurrogateFactory(ENCODER)
    for count in range(10, 31):
        learned(known[:count], surrogate_factory=surrogate_factory)
    # each by a tenth, rounded; by 1 at least
    assert fits == [10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 26, 29]


def test_what_is_learned_follows_from_what_is_known_and_not_from_the_way_there() -> None:
    networks = some(SMALL, 40)
    known, surrogate_factory = known_of(networks[:21]), SurrogateFactory(ENCODER)
    for count in (1, 9, 14, 20, 21):
        step_by_step = learned(known[:count], surrogate_factory=surrogate_factory)
    assert told(step_by_step, networks[21:]) == told(learned(known), networks[21:])


def test_an_accuracy_that_changes_and_noise_that_is_found_are_looked_at_at_once(fits: list[int]) -> None:
    known, surrogate_factory = known_of(some(SMALL, 12)), SurrogateFactory(ENCODER)
    again = [Observation(known[0].candidate, 0.1, 2), *known[1:]]
    for case in (known, known, again, again):
        learned(case, surrogate_factory=surrogate_factory)
    learned(again, 0.1, surrogate_factory)
    assert fits == [12, 12, 12]


def test_a_fit_looks_at_a_bounded_number_spread_over_the_search(
    fits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factory, "MAX_FITTED", 8)
    learned(known_of(some(SMALL, 30)))
    assert fits == [8]


def test_two_quantities_do_not_disturb_each_other(fits: list[int]) -> None:
    known, surrogate_factory = known_of(some(SMALL, 12)), SurrogateFactory(ENCODER)
    values = [1.0 - truth(each.candidate.architecture) for each in known]
    for _ in range(2):
        learned(known, surrogate_factory=surrogate_factory)
        surrogate_factory.fit_surrogate("latency", known, values, None, range(12))
    assert fits == [12, 12]


def test_only_those_that_are_kept_are_looked_at() -> None:
    known = known_of(some(SMALL, 20))
    values = [truth(each.candidate.architecture) for each in known]
    model = SurrogateFactory(ENCODER).fit_surrogate("accuracy", known, values, 0.0, [2, 5, 7])
    assert [each.key for each in model.known] == [known[place].key for place in (2, 5, 7)]
    assert model.fitted_means == pytest.approx([values[place] for place in (2, 5, 7)], abs=1e-4)


# What another search has found


def earlier_of(networks: Sequence[Candidate], values: Sequence[float]) -> TransferPrior:
    keys = [each.architecture.key for each in networks]
    features = np.array([each.features for each in networks])
    names, columns = TINY_ENCODER.names, TINY_ENCODER.columns
    return TransferPrior(fit(keys, features, names, values, [1] * len(keys), None, columns=columns))


def correlations(
    known: Sequence[Observation], earlier: TransferPrior, rest: Sequence[Candidate]
) -> list[float]:
    """Rank correlation of predictions with the truth, without and with an earlier search."""
    accuracies = [truth(each.architecture) for each in rest]
    factories = SurrogateFactory(TINY_ENCODER), SurrogateFactory(TINY_ENCODER, earlier)
    models = [learned(known, surrogate_factory=each) for each in factories]
    return [spearman(model.predict(rest)[0], accuracies) for model in models]


@pytest.mark.parametrize(("count", "least", "gain"), [(10, 0.9, 0.02), (16, 0.95, 0.04)])
def test_from_few_trainings_and_an_earlier_search_of_the_same_truth_the_rest_is_ranked(
    count: int, least: float, gain: float
) -> None:
    ranked = []
    for seed in range(4):
        networks = some(TINY, 110, seed)
        before, new, rest = networks[:60], networks[60 : 60 + count], networks[70:]
        earlier = earlier_of(before, [truth(each.architecture) for each in before])
        # other images: half the accuracy
        known = [Observation(each, truth(each.architecture) / 2) for each in new]
        ranked.append(correlations(known, earlier, rest))
    alone, helped = np.mean(ranked, axis=0)
    assert helped > max(least, alone + gain)


def test_an_earlier_search_tells_most_of_the_networks_that_it_judged_itself() -> None:
    # there one gained 0.3 by nothing that its genes tell
    networks = some(TINY, 40)
    values = [truth(each.architecture) for each in networks]
    lucky = networks[:1]
    earlier = earlier_of(networks, [values[0] + 0.3, *values[1:]])
    known = [
        Observation(each, value + 0.3 * (each is networks[0]))
        for each, value in zip(networks, values, strict=True)
    ]
    model = learned(
        known[20:],
        surrogate_factory=SurrogateFactory(TINY_ENCODER, earlier),
    )
    assert TRANSFER_KEY in model.hyperparameters.proxies
    without = learned(known[20:], encoder=TINY_ENCODER)
    assert model.predict(lucky)[0][0] > without.predict(lucky)[0][0] + 0.02


def test_an_earlier_search_that_tells_nothing_here_changes_little() -> None:
    ranked = []
    for seed in range(4):
        networks, rng = some(TINY, 100, seed), np.random.default_rng(seed)
        earlier = earlier_of(networks[:30], rng.random(30).tolist())
        known, rest = known_of(networks[30:60]), networks[60:]
        ranked.append(correlations(known, earlier, rest))
    alone, misled = np.mean(ranked, axis=0)
    assert misled == pytest.approx(alone, abs=0.02)
