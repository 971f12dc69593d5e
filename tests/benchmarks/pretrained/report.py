"""Tables of the results that are there, in Markdown."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

import numpy as np

from bneck.evaluate.statistics.outcomes import Outcomes, unpack_outcomes

from .differences import accuracy_difference, hypervolume_difference
from .results import ARMS, Arm, OutOfTimeError, Point, Results

RIVALS: tuple[Arm, ...] = ("B", "C", "D", "E")
COMPARED: tuple[Arm, ...] = ("A", *RIVALS)

Value = TypeVar("Value")


def outcomes_of(point: Point) -> Outcomes:
    return unpack_outcomes(point.outcomes, point.images)


def known(call: Callable[..., Value], *arguments: object) -> Value | None:
    """A result, or None while it is missing."""
    with suppress(OutOfTimeError):
        return call(*arguments)
    return None


class Report:
    """The tables of the results that are there."""

    def __init__(self, results: Results, data_sets: Sequence[str], seeds: Sequence[int]) -> None:
        self.results, self.data_sets, self.seeds = results, data_sets, seeds

    def lines(self) -> Iterator[str]:
        yield from self.accuracy_table()
        yield from self.front_table()
        yield from self.teacher_table()
        yield from self.minutes_table()

    def outcomes(self, data: str, arm: Arm, limit: float) -> dict[int, Outcomes] | None:
        """Test outcomes of an arm by seed; empty if no network of it meets the limit, None if unknown."""
        is_known, outcomes = False, {}
        for seed in self.seeds:
            with suppress(OutOfTimeError):
                point = self.results.point(data, arm, limit, seed)
                is_known = True
                if point:
                    outcomes[seed] = outcomes_of(point)
        return outcomes if is_known else None

    def accuracy_table(self) -> Iterator[str]:
        """Test accuracy of every arm at every limit, and the differences of arm A."""
        yield f"| data | limit | {' | '.join(COMPARED)} | seeds | A - best other | A - D |"
        yield "| --- " * (len(COMPARED) + 5) + "|"
        for data in self.data_sets:
            for limit in self.results.limits:
                arms = {arm: self.outcomes(data, arm, limit) for arm in COMPARED}
                if any(each is not None for each in arms.values()):
                    yield _row(data, f"{limit:g}", *_accuracy_cells(arms))

    def front_table(self) -> Iterator[str]:
        """Hypervolume of arm A's front minus that of B's resolutions."""
        limits = self.results.limits
        yield "\n| data | seeds | hypervolume of A - B, points |\n| --- | --- | --- |"
        for data in self.data_sets:
            fronts = []
            for seed in self.seeds:
                both = [known(self.results.front, data, arm, seed) for arm in ("A", "B")]
                if both[0] and both[1]:
                    fronts.append([[(p.share, outcomes_of(p)) for p in points or ()] for points in both])
            if fronts:
                chance = 1 / self.results.classes(data)
                one, other = zip(*fronts, strict=True)
                difference = hypervolume_difference(one, other, (min(limits), max(limits)), chance)
                yield _row(data, str(len(fronts)), str(difference))

    def teacher_table(self) -> Iterator[str]:
        yield "\n| data | seeds | without teacher | with | difference |\n| --- | --- | --- | --- | --- |"
        limit = min(self.results.limits)
        for data in self.data_sets:
            taught, alone = (self.outcomes(data, arm, limit) or {} for arm in ("T", "N"))
            if seeds := [seed for seed in taught if seed in alone]:
                one, other = ([each[seed] for seed in seeds] for each in (taught, alone))
                yield _row(
                    data,
                    str(len(seeds)),
                    _percent(other),
                    _percent(one),
                    str(accuracy_difference(one, other)),
                )

    def minutes_table(self) -> Iterator[str]:
        """CPU minutes of each arm, mean over the seeds that are complete."""
        arms: tuple[Arm, ...] = (*COMPARED, "W")
        yield f"\n| CPU minutes | {' | '.join(arms)} |"
        yield "| --- " * (len(arms) + 1) + "|"
        for data in self.data_sets:
            spent = {arm: self._minutes(data, arm) for arm in arms}
            if any(spent.values()):
                yield _row(data, *(f"{np.mean(each):.1f}" if each else "" for each in spent.values()))
        yield "\n" + "\n".join(f"{arm}: {text}" for arm, text in ARMS.items())

    def _minutes(self, data: str, arm: Arm) -> list[float]:
        minutes = (known(self.results.cpu_minutes, data, arm, seed) for seed in self.seeds)
        return [each for each in minutes if each is not None]


def _accuracy_cells(arms: dict[Arm, dict[int, Outcomes] | None]) -> Iterator[str]:
    """Accuracies, the number of seeds that all differences have, and the differences.

    The best of the others is the one with the highest test accuracy: that favours it.
    """
    for outcomes in arms.values():
        yield "" if outcomes is None else _percent(list(outcomes.values())) if outcomes else "none"
    ours = arms["A"] or {}
    rivals = {arm: each for arm in RIVALS if (each := arms[arm])}
    seeds = [seed for seed in ours if all(seed in each for each in rivals.values())]
    yield str(len(seeds))
    if not seeds or not rivals:
        yield from ("", "")
        return

    def of(outcomes: dict[int, Outcomes]) -> list[Outcomes]:
        return [outcomes[seed] for seed in seeds]

    best = max(rivals, key=lambda arm: np.mean(of(rivals[arm])))
    yield f"{best}: {accuracy_difference(of(ours), of(rivals[best]))}"
    yield str(accuracy_difference(of(ours), of(rivals["D"]))) if "D" in rivals else ""


def _percent(outcomes: Sequence[Outcomes]) -> str:
    return f"{100 * np.mean(outcomes):.1f}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
