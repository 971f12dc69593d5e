"""What an earlier search of the same space found, as a start for another: other images, other limits.

Its best networks within the new limits are judged first. How it orders networks is given to the sampler's
model as a judge, which counts as far as the new trainings confirm it. All is copied into the new study.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...evaluate.surrogate.gaussian_process import fit
from ...results import Run
from ...search_space import Genes, GoalError, SearchSpace, cost
from .encoding import Sight
from .feasibility import excess_over
from .surrogate import EARLIER, MOST_FITTED, Earlier

FIRST = 6


@dataclass(frozen=True)
class Finding:
    """A network that an earlier search judged.

    Attributes:
        best: whether it was on the front there.
    """

    genes: Genes
    accuracy: float
    trainings: int
    best: bool


def findings(earlier: Run, space: SearchSpace) -> list[Finding]:
    """What an earlier run found, in the order of its trials.

    Raises:
        GoalError: it searched another space, or judged nothing.
    """
    before = earlier.settings.space
    if before.genes != space.genes:
        raise GoalError(
            f"--from {earlier.folder} searched space {before.name}, whose genes are not those of "
            f"{space.name}; search that space, or leave --from out"
        )
    trials = earlier.study.get_trials(deepcopy=False)
    front = {record.key for record in earlier.front()}
    found = [
        Finding(dict(trials[each.trial].params), each.top1, len(each.trainings), each.key in front)
        for each in earlier.kept()
    ]
    if not found:
        raise GoalError(f"--from {earlier.folder}: no network has been judged there yet")
    return found


def first_networks(found: Sequence[Finding], run: Run) -> list[Genes]:
    """Genes of networks spread evenly over the earlier front, within the run's limits on cost."""
    space, excess = run.settings.space, excess_over(run.settings.goals)
    best = [(cost(space.decode(each.genes)), each.genes) for each in found if each.best]
    left = sorted((pair for pair in best if excess(pair[0]) == 0), key=lambda pair: pair[0].macs)
    places = np.linspace(0, len(left) - 1, min(FIRST, len(left))).round().astype(int)
    return [left[place][1] for place in places]


def earlier_of(run: Run) -> Earlier | None:
    """What a run began from; None where it began from nothing."""
    rows = run.study.user_attrs.get(EARLIER)
    return learned([Finding(*row) for row in rows], run.settings.space) if rows else None


def learned(found: list[Finding], space: SearchSpace) -> Earlier:
    """A model of what was found."""
    sight = Sight(space)
    seen = {}
    for each in found[-MOST_FITTED:]:
        own = sight.see(each.genes)
        seen[own.architecture] = own, each
    networks = [own for own, _ in seen.values()]
    model = fit(
        [own.architecture.key for own in networks],
        np.array([own.features for own in networks]),
        sight.names,
        [each.accuracy for _, each in seen.values()],
        [each.trainings for _, each in seen.values()],
        None,
    )
    return Earlier(model)
