from typing import ClassVar

import numpy as np
import pytest

from bneck.evaluate.statistics.outcomes import pack_outcomes, paired_std

from .differences import accuracy_difference, front_hypervolume, hypervolume_difference
from .limits import affordable_epochs, highest_within
from .report import Report
from .results import Arm, OutOfTimeError, Point, best_within, selected

LIMITS = (0.5, 0.06)


def point(network: str, share: float, validation: float, correct: list[int]) -> Point:
    return Point(network, share, validation, pack_outcomes(np.array(correct, dtype=bool)), len(correct))


def test_the_highest_candidate_within_a_limit_is_found_by_few_measurements() -> None:
    measured: list[int] = []

    def share(px: int) -> float:
        measured.append(px)
        return (px / 128) ** 2

    pixels = range(16, 129, 8)
    assert highest_within(pixels, share, 0.25) == 64  # (64/128)^2
    assert len(measured) <= 4  # 15 candidates
    assert highest_within(pixels, share, 0.01) is None


def test_a_front_is_read_by_validation_within_the_limit() -> None:
    points = [point("a", 0.5, 0.9, [1]), point("b", 0.25, 0.7, [0]), point("c", 0.2, 0.8, [0])]
    chosen = [best_within(points, limit) for limit in (0.5, 0.25, 0.1)]
    assert [each and each.network for each in chosen] == ["a", "c", None]


def test_all_networks_of_an_arm_share_its_time() -> None:
    # 300 s for epochs of 10, 6 and 4 s: 15 epochs of all would take all of it, half an epoch is overhead
    assert affordable_epochs((10, 6, 4), 300, 60) == 14
    assert affordable_epochs((10, 6, 4), 5, 60) == 1
    assert affordable_epochs((10, 6, 4), 300, 3) == 3


def test_the_interval_of_one_seed_is_the_paired_one_over_images() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.random(600) < 0.8, rng.random(600) < 0.75
    difference = accuracy_difference([one], [other])
    assert difference.mean == pytest.approx(one.mean() - other.mean())
    half_width = (difference.high - difference.low) / 2
    assert half_width == pytest.approx(1.96 * paired_std(one, other), rel=0.06)


def test_seeds_widen_the_interval() -> None:
    other = np.zeros(100, dtype=bool)
    seeds = [np.arange(100) < 40, np.arange(100) < 80]
    alike = accuracy_difference([seeds[0]] * 2, [other] * 2)
    differ = accuracy_difference(seeds, [other] * 2)
    assert differ.mean == pytest.approx(0.6)
    assert differ.high - differ.low > alike.high - alike.low
    assert differ.low <= 0.4 and differ.high >= 0.8  # both trainings alike by chance


def test_hypervolume_of_a_front_by_hand() -> None:
    # Box: accuracy 0.25 to 1, shares 0.125 to 0.5. In log2 units the point at 0.25 dominates half of the
    # width up to 75% (2/3 of the height), that at 0.5 nothing, and one below the box counts at its edge.
    weights = np.full(4, 0.25)
    halfway = (0.25, np.array([1, 1, 1, 0], dtype=bool))
    assert front_hypervolume([halfway], weights, (0.125, 0.5), 0.25) == pytest.approx(1 / 3)
    at_limit = (0.5, np.ones(4, dtype=bool))
    assert front_hypervolume([halfway, at_limit], weights, (0.125, 0.5), 0.25) == pytest.approx(1 / 3)
    below = (0.01, np.array([1, 1, 0, 0], dtype=bool))
    # 50% is a third of the height: (2/3 + 1/3) / 2
    assert front_hypervolume([halfway, below], weights, (0.125, 0.5), 0.25) == pytest.approx(1 / 2)
    difference = hypervolume_difference([[halfway, below]], [[halfway]], (0.125, 0.5), 0.25, samples=50)
    assert difference.mean == pytest.approx(1 / 6)


def test_patterns_may_leave_parts_out() -> None:
    assert selected(["trashnet/[AB]"], "trashnet", "B", 0.06, 2)
    assert selected(["*/*/0.06/0"], "flowers", "E", 0.06, 0)
    assert not selected(["*/*/0.06/0"], "flowers", "E", 0.06, 1)
    assert not selected(["*/[!W]"], "flowers", "W", 0.5, 0)


class Known:
    """Known results: arm A has two seeds, B one, D no network at the small limit; E and C are missing."""

    limits = LIMITS
    correct: ClassVar[dict[tuple[str, float], list[list[int]]]] = {
        ("A", 0.5): [[1, 1, 1, 0], [1, 1, 1, 1]],
        ("B", 0.5): [[1, 1, 0, 0]],
        ("D", 0.5): [[1, 0, 0, 0], [0, 0, 0, 0]],
        ("A", 0.06): [[1, 0, 0, 0]],
        ("D", 0.06): [],
    }

    def classes(self, data: str) -> int:
        return 4

    def point(self, data: str, arm: Arm, limit: float, seed: int) -> Point | None:
        if (arm, limit) not in self.correct:
            raise OutOfTimeError
        known = self.correct[arm, limit]
        if known and seed >= len(known):
            raise OutOfTimeError
        return point(f"{arm}{limit}", limit, 0.5, known[seed]) if known else None

    def front(self, data: str, arm: Arm, seed: int) -> list[Point]:
        points = (self.point(data, arm, limit, seed) for limit in self.limits)
        return [each for each in points if each]

    def cpu_minutes(self, data: str, arm: Arm, seed: int) -> float:
        raise OutOfTimeError


def test_the_table_pairs_seeds_and_marks_what_is_missing() -> None:
    _, _, large, small = Report(Known(), ["trashnet"], range(2)).accuracy_table()
    cells = [each.strip() for each in large.split("|")[1:-1]]
    # only seed 0 is in all arms: 75% against 50% of B, the best other, and 25% of D
    assert cells[:8] == ["trashnet", "0.5", "87.5", "50.0", "", "12.5", "", "1"]
    assert cells[8].startswith("B: +25.0") and cells[9].startswith("+50.0")
    cells = [each.strip() for each in small.split("|")[1:-1]]
    assert cells == ["trashnet", "0.06", "25.0", "", "", "none", "", "1", "", ""]
