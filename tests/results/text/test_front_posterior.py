import re

import pytest

from bneck.evaluate import parse_goals
from bneck.results.text.front_posterior import (
    front_posterior_lines,
    indistinguishable_text,
    noise_text,
    pareto_membership_text,
    percent,
)

from ..analysis.test_front_posterior import ACCURACY, REWARD, TWO, believed, trained


def trials_in(text: str) -> list[int]:
    """The trial numbers of a sentence, in order."""
    return [
        int(number)
        for group in re.findall(r"[Tt]rials? ([\d, ]+)", text)
        for number in re.findall(r"\d+", group)
    ]


def test_rewards_without_replicates_are_compared_by_the_sampling_error_of_the_images() -> None:
    # 400 images leave 0.80 uncertain by 0.039; at twice the target its reward is 0.762
    one, other = trained(0, 0.80, ratio=0.1), trained(1, 0.80, ratio=0.2)
    text = indistinguishable_text([one, other], REWARD, None)
    assert trials_in(text) == [0, 1] and "reward" in text and "400 validation images" in text
    # twice its accuracy: 0.90, uncertain by 2 * 0.0487, and the root of 0.0391^2 + 0.0974^2 is 0.105
    quick = trained(3, 0.45, ratio=0.1 * 2 ** (-1 / 0.07))
    assert trials_in(indistinguishable_text([one, quick], REWARD, None)) == [3, 0]
    tiny = trained(2, 0.80, ratio=0.0001)  # 0.001 ** -0.07 = 1.62
    assert trials_in(indistinguishable_text([one, tiny], REWARD, None)) == [2]


def test_seed_noise_has_a_deviation_and_the_least_significant_differences() -> None:
    # t of 2 degrees is 4.303, the difference of two has 1.414 x the deviation, with four trainings half of it
    posterior = believed([trained(0, 0.80, 0.82), trained(1, 0.72, 0.70), trained(2, 0.6)])
    text, points = noise_text(posterior), 100 * posterior.noise.std
    expected = [points, 4.303 * 1.414 * points, 4.303 * 0.707 * points]
    assert re.findall(r"[\d.]+ pp", text) == [f"{value:.1f} pp" for value in expected]
    assert "2 replicates" in text


def test_without_replicates_the_seed_noise_is_unknown() -> None:
    lines = front_posterior_lines([trained(0, 0.80), trained(1, 0.82)], TWO, None)
    assert len(lines) == 2
    assert "unknown" in lines[0]
    assert "400 validation images" in lines[1]
    assert trials_in(lines[1]) == [1, 0]
    assert front_posterior_lines([], parse_goals("accuracy", {}), None) == []


def test_networks_indistinguishable_from_the_best_are_named() -> None:
    records = [trained(0, 0.80, 0.82), trained(1, 0.82, 0.80), trained(2, 0.1)]
    posterior = believed(records, ACCURACY)
    text = indistinguishable_text(records, ACCURACY, posterior)
    assert trials_in(text) == [0, 1]
    assert f"P(best) = {percent(posterior.pareto_probability(records[0]))}" in text
    assert "P(best)" not in indistinguishable_text(records, TWO, posterior)
    assert trials_in(indistinguishable_text([records[0], records[2]], ACCURACY, posterior)) == [0]
    assert indistinguishable_text(records[:1], ACCURACY, posterior) == ""


def test_undecided_networks_are_named_beside_the_certain_ones() -> None:
    records = [trained(0, 0.6, 0.6, ratio=0.1), trained(1, 0.82, 0.81), trained(2, 0.80, 0.82)]
    posterior = believed(records)
    certain, undecided = pareto_membership_text(records[:2], posterior).split("Undecided")
    assert "0.9" in certain and trials_in(certain) == [0]
    assert trials_in(undecided) == [each.trial for each in posterior.undecided] == [1, 2]


@pytest.mark.parametrize(
    ("probability", "text"), [(0, "0%"), (0.001, "<1%"), (0.615, "62%"), (0.996, ">99%"), (1, "100%")]
)
def test_near_certainty_is_not_rounded_to_certainty(probability: float, text: str) -> None:
    assert percent(probability) == text
