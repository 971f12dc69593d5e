"""What is told of a network in closed form, against sums by hand."""

from dataclasses import replace
from math import log

import numpy as np
import pytest

from bneck.evaluate.surrogate.architecture_features import MACS, analytic_features, feature_matrix
from bneck.search_space import Architecture, Block, Head, Stem, cost

from ...search_space.helpers import TOY, random_networks


def test_every_feature_of_a_small_network_is_the_one_by_hand() -> None:
    # 8 px, 4 after the stem, 2 after block 2; block 1 expands 4 to 8 and back with squeeze 2, block 2
    # takes 4 to 6 without expansion
    macs = 9 * 3 * 4 * 16 + (4 * 8 + 9 * 8 + 8 * 4) * 16 + 2 * 8 * 2 + (25 * 4 + 4 * 6 + 6 * 10) * 4 + 10 * 2
    weights = 9 * 3 * 4 + (4 * 8 + 9 * 8 + 8 * 4) + 2 * 8 * 2 + (25 * 4 + 4 * 6 + 6 * 10) + 10 * 2
    norms, biases = 2 * (4 + 8 + 8 + 4 + 4 + 6 + 10), 2 + 8 + 2
    elements = (4 + 8 + 8 + 4) * 16 + (2 + 8) + (4 + 6 + 10) * 4 + 2
    assert analytic_features(TOY) == pytest.approx(
        {
            "log_macs": log(macs),
            "log_params": log(weights + norms + biases),
            "log_activation_bytes": log(4 * elements),
            "log_blocks": log(2),
            "log_widths": log(8 + 4 + 4 + 6),
            "kernel": (log(3) + log(5)) / 2,
            "expansion": (log(2) + log(1)) / 2,
            "se_fraction": 1 / 2,
            "eca_fraction": 0,
            "smooth_activation_fraction": 1 / 2,
            "residual_fraction": 1 / 2,
            "log_resolution": log(8),
            "log_last_side": log(2),
            "log_last_width": log(6),
        }
    )


def test_an_odd_side_is_rounded_up_at_each_stride() -> None:
    # 9 px at stride 1, then 5, then 3; neither channels nor stride alone make a residual
    block = Block(3, 12, 6, "eca", "silu", 2)
    network = Architecture(9, Stem(6, stride=1), (block, block, replace(block, out=7, stride=1)), Head(8))
    found = analytic_features(network)
    assert found["log_last_side"] == pytest.approx(log(3))
    assert found["residual_fraction"] == 0
    assert (found["eca_fraction"], found["se_fraction"], found["smooth_activation_fraction"]) == (1, 0, 1)


def test_a_matrix_has_a_row_a_network_with_finite_numbers() -> None:
    networks = random_networks("tiny", 20)
    names, table = feature_matrix(networks)
    assert table.shape == (20, len(names)) and len(names) <= 14
    assert np.isfinite(table).all()
    assert table[:, names.index(MACS)] == pytest.approx([log(cost(each).macs) for each in networks])
    assert dict(zip(names, table[3], strict=True)) == analytic_features(networks[3])


def test_features_of_no_network_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one network"):
        feature_matrix([])
