"""Whether limits can be met, and networks that meet them, before anything is trained."""

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..evaluate import Constraint, Goals, Latency
from ..search_space import Architecture, Cost, Genes, NoFeasibleNetworkError, SearchSpace, cost

STARTS = 8
STEPS_FROM_SEEN = 30


@dataclass(frozen=True)
class Found:
    """A network, and by how much it breaks the limits in sum (0 where it breaks none)."""

    genes: Genes
    architecture: Architecture
    cost: Cost
    excess: float


def descend(space: SearchSpace, start: Genes, score: Callable[[Cost], float], rng: random.Random) -> Found:
    """Lower a score of the cost, gene by gene, until it is 0 or no single gene lowers it further."""

    def look(genes: Genes) -> Found:
        architecture = space.decode(genes)
        found = cost(architecture)
        return Found(genes, architecture, found, score(found))

    best = look(start)
    improved = True
    while improved and best.excess > 0:
        improved = False
        genes = list(space.genes)
        rng.shuffle(genes)
        for gene in genes:
            others = (look({**best.genes, gene.name: choice}) for choice in gene.choices)
            better = min(others, key=lambda found: found.excess)
            if better.excess < best.excess:
                best, improved = better, True
            if best.excess <= 0:
                break
    return best


def excess_over(goals: Goals) -> Callable[[Cost], float]:
    """The sum of the violations that the cost alone tells."""
    return lambda found: sum(max(0.0, violation) for violation in goals.violations(found).values())


def unseen_within_limits(
    space: SearchSpace, goals: Goals, seen: Iterable[str], rng: random.Random
) -> Genes | None:
    """Genes of a random network that keeps the limits and whose key is not among those seen.

    None where none turned up in a bounded search.
    """
    known = set(seen)
    excess = excess_over(goals)
    for _ in range(STARTS):
        found = descend(space, space.sample(rng), excess, rng)
        genes = found.genes
        for _ in range(STEPS_FROM_SEEN):
            architecture = space.decode(genes)
            if architecture.key not in known and excess(cost(architecture)) == 0:
                return genes
            genes = next(space.neighbours(genes, rng), genes)
    return None


def require_feasible(space: SearchSpace, goals: Goals, rng: random.Random) -> None:
    """Make sure that the limits on MACs and parameters can be met.

    Raises:
        NoFeasibleNetworkError: no network was found within them; names the nearest and what to relax.
    """
    excess = excess_over(goals)
    nearest: dict[str, Found] = {}
    for _ in range(STARTS):
        found = descend(space, space.sample(rng), excess, rng)
        if found.excess == 0:
            return
        nearest[found.architecture.key] = found
    ranked = sorted(nearest.values(), key=lambda found: found.excess)[:3]
    limits = [constraint for constraint in goals.constraints if constraint.quantity != "latency"]
    raise NoFeasibleNetworkError(
        f"no network of space {space.name} stays under {' and '.join(str(limit) for limit in limits)}; "
        f"nearest: {'; '.join(_described(found, limits) for found in ranked)}; "
        f"relax {' and '.join(_relaxed(ranked[0].cost, limits))}"
    )


def cheapest(space: SearchSpace, rng: random.Random) -> list[Architecture]:
    """The least networks of a space by MACs, by depth and by activation bytes: likely the fastest."""
    scores: list[Callable[[Cost], float]] = [
        lambda found: found.macs,
        lambda found: found.depth,
        lambda found: found.activation_bytes,
    ]
    found = [descend(space, space.sample(rng), score, rng).architecture for score in scores]
    return list(dict.fromkeys(found))


def require_fast_enough(
    space: SearchSpace, goals: Goals, measured: list[tuple[Architecture, Latency]]
) -> None:
    """Make sure that a limit on latency can be met, by the least networks of the space.

    Raises:
        NoFeasibleNetworkError: all of them are surely slower; names them and what to relax.
    """
    for limit in goals.constraints:
        if limit.quantity != "latency" or not measured:
            continue
        fastest = min(measured, key=lambda pair: pair[1].ratio)[1]
        lowest = (
            fastest.ratio_low if limit.unit == "x" else fastest.latency_ms * fastest.ratio_low / fastest.ratio
        )
        if limit.violation(lowest) > 0:
            nearest = "; ".join(
                f"{architecture.key} ({latency.latency_ms:.3g}ms, {latency.ratio:.3g}x)"
                for architecture, latency in sorted(measured, key=lambda pair: pair[1].ratio)
            )
            enough = fastest.ratio_high if limit.unit == "x" else fastest.latency_ms
            step = 10 ** (math.floor(math.log10(enough)) - 2)
            raise NoFeasibleNetworkError(
                f"no network of space {space.name} keeps {limit}; the least ones measured: {nearest}; "
                f"relax --max-latency to at least {math.ceil(enough / step) * step:.3g}{limit.unit}"
            )


def _described(found: Found, limits: list[Constraint]) -> str:
    values = ", ".join(f"{limit.quantity} {getattr(found.cost, limit.quantity):,}" for limit in limits)
    return f"{found.architecture.key} ({values})"


def _relaxed(found: Cost, limits: list[Constraint]) -> list[str]:
    """The options that would let the nearest network in."""
    return [
        f"--max-{limit.quantity} to {getattr(found, limit.quantity)}"
        for limit in limits
        if limit.violation(getattr(found, limit.quantity)) > 0
    ]
