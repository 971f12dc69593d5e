"""How far a surrogate is off on networks that a search chose later."""

import numpy as np
import pytest

from bneck.evaluate.surrogate.calibration import shrunk_factor, widening
from bneck.evaluate.surrogate.encoder import Encoder

from ...search.example_landscape import some, truth
from ...search.helpers import SMALL


@pytest.mark.parametrize(
    ("errors", "factor"),
    [([], 1.0), ([0.5, -0.5], 1.0), ([2.0, -2.0], (18 / 12) ** 0.5), ([3.0] * 90, (820 / 100) ** 0.5)],
)
def test_a_factor_is_the_root_mean_square_with_ten_errors_of_1(errors: list[float], factor: float) -> None:
    assert shrunk_factor(np.array(errors)) == pytest.approx(factor)


def test_later_networks_that_follow_another_rule_widen_the_predictions() -> None:
    networks = some(SMALL, 40)
    keys, features = (
        [each.architecture.key for each in networks],
        np.array([each.features for each in networks]),
    )
    alike = [truth(each.architecture) for each in networks]
    broken = [*alike[:20], *(value + 0.2 * (-1) ** place for place, value in enumerate(alike[20:]))]
    names = Encoder(SMALL).names
    same, other = (widening(keys, features, names, values, [1] * 40, 0.0) for values in (alike, broken))
    assert same < 1.5
    assert other > 3
    assert widening(keys[:9], features[:9], names, broken[:9], [1] * 9, 0.0) == 1
