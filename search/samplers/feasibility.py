"""Whether limits can be met, and networks that meet them, before anything is trained."""

import math
import random
from collections.abc import Callable, Iterable

from ...evaluate import Constraint, Goals, Latency
from ...search_space import Architecture, Cost, Genes, NoFeasibleNetworkError, SearchSpace, cost
from ...search_space.counting.uniform_sampling import UniformDraws, least, nearest


def excess_over(goals: Goals) -> Callable[[Cost], float]:
    """The sum of the violations that the cost alone tells."""
    return lambda found: sum(max(0.0, violation) for violation in goals.violations(found).values())


def draws_within(space: SearchSpace, goals: Goals) -> UniformDraws:
    """The networks that keep the limits on MACs and parameters, made once for each space and limits.

    Raises:
        NoFeasibleNetworkError: there is none.
    """
    limits = {limit.quantity: limit.limit for limit in _counted(goals)}
    return UniformDraws.of(space, limits.get("macs"), limits.get("params"))


def unseen_within_limits(
    space: SearchSpace, goals: Goals, seen: Iterable[str], rng: random.Random
) -> Genes | None:
    """Genes of a network that keeps the limits and whose key is not among those seen, each as likely.

    None where none turned up in a bounded search. Where one is left beside `n` seen ones, that happens
    with a chance of (1 - 1 / (n + 1)) ** (10 n + 100), at most 1 in 20,000.
    """
    known = set(seen)
    try:
        draws = draws_within(space, goals)
        for _ in range(10 * len(known) + 100):
            network = draws.draw_network(rng)
            if network.key not in known:
                return space.encode(network)
    except NoFeasibleNetworkError:
        pass
    return None


def require_feasible(space: SearchSpace, goals: Goals, rng: random.Random) -> None:
    """Make sure that the limits on MACs and parameters can be met.

    One limit is decided exactly; of two together a network may be missed that hardly any other is like.

    Raises:
        NoFeasibleNetworkError: no network was found within them; names the nearest and what to relax.
    """
    limits = _counted(goals)
    if not limits:
        return
    excess = excess_over(goals)
    found = nearest(space, {limit.quantity: limit.limit for limit in limits})
    ranked = sorted(found, key=lambda network: excess(cost(network)))[:3]
    if excess(cost(ranked[0])) == 0:
        return
    try:
        draws_within(space, goals).draw_network(rng)
    except NoFeasibleNetworkError:
        raise NoFeasibleNetworkError(
            f"no network of space {space.name} stays under {' and '.join(str(limit) for limit in limits)}; "
            f"nearest: {'; '.join(_described(network, limits) for network in ranked)}; "
            f"relax {' and '.join(_relaxed(cost(ranked[0]), limits))}"
        ) from None


def cheapest(space: SearchSpace, rng: random.Random) -> list[Architecture]:
    """The least networks of a space by MACs, by depth and by activation bytes: likely the fastest."""
    return list(
        dict.fromkeys([least(space, "macs"), least(space, "depth"), least(space, "activation_bytes")])
    )


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


def _counted(goals: Goals) -> list[Constraint]:
    """The limits on what the cost tells."""
    return [limit for limit in goals.constraints if limit.quantity != "latency"]


def _described(network: Architecture, limits: list[Constraint]) -> str:
    found = cost(network)
    values = ", ".join(f"{limit.quantity} {getattr(found, limit.quantity):,}" for limit in limits)
    return f"{network.key} ({values})"


def _relaxed(found: Cost, limits: list[Constraint]) -> list[str]:
    """The options that would let the nearest network in."""
    return [
        f"--max-{limit.quantity} to {getattr(found, limit.quantity)}"
        for limit in limits
        if limit.violation(getattr(found, limit.quantity)) > 0
    ]
