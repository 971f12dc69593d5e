import numpy as np
import pytest

from bneck.evaluate.statistics.learning_curves import final_accuracies
from bneck.evaluate.statistics.rank_correlation import spearman

NAN = float("nan")


def test_a_full_training_is_its_own_estimate_and_others_gain_what_the_finished_gained() -> None:
    # one finished network gained 20 points; that is all that is known of the others
    table = np.array([[0.4, 0.5, 0.6], [0.3, NAN, NAN], [0.5, 0.65, NAN]])
    assert final_accuracies(table[:1], np.array([14.0])) == pytest.approx([0.6])
    estimates = final_accuracies(table, np.array([14.0, 14.0, 14.0]))
    assert estimates[0] == 0.6
    # the mean gain of the first step is (10 + 15) / 2 points, of the second 10
    assert estimates[2] == pytest.approx(0.75)
    assert estimates[1] > 0.3 + 0.1


def test_without_any_finished_network_the_lowest_rung_counts() -> None:
    assert final_accuracies(np.array([[0.2, NAN], [0.4, NAN]]), np.array([13.0, 14.0])) == pytest.approx(
        [0.2, 0.4]
    )


def test_an_estimate_is_a_fraction() -> None:
    table = np.array([[0.5, 0.95], [0.9, NAN]])
    assert final_accuracies(table, np.array([13.0, 13.0]))[1] == 1


def test_estimates_rank_networks_better_than_the_lowest_rung_where_large_ones_learn_slowly() -> None:
    gains = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        log_macs = rng.uniform(13, 16, 40)
        final = 0.5 + 0.06 * (log_macs - 14.5) + rng.normal(0, 0.03, 40)
        early = final - 0.1 - 0.06 * (log_macs - 14.5) + rng.normal(0, 0.02, 40)
        middle = final - 0.05 - 0.03 * (log_macs - 14.5) + rng.normal(0, 0.01, 40)
        table = np.column_stack([early, middle, final])
        table[np.argsort(-early)[20:], 1] = NAN  # half is promoted at each rung
        table[np.argsort(-np.nan_to_num(table[:, 1]))[10:], 2] = NAN
        gains.append(spearman(final_accuracies(table, log_macs), final) - spearman(early, final))
    assert np.mean(gains) > 0.1
    assert min(gains) > 0
