"""Whether limits can be met, and networks that meet them, before anything is trained."""

import math
import random
from collections.abc import Callable, Iterable

from ...evaluate import Constraint, Goals, Latency
from ...search_space import Architecture, Cost, Genes, NoFeasibleNetworkError, SearchSpace, cost
from ...search_space.counting.uniform_sampling import (
    UniformArchitectureSampler,
    smallest_architecture,
    smallest_architectures,
)


def constraint_violation(goals: Goals) -> Callable[[Cost], float]:
    """The sum of the violations that the cost alone tells."""
    return lambda network_cost: sum(
        max(0.0, violation) for violation in goals.violations(network_cost).values()
    )


def sampler_within(space: SearchSpace, goals: Goals) -> UniformArchitectureSampler:
    """The networks that keep the limits on MACs and parameters, made once for each space and limits.

    Raises:
        NoFeasibleNetworkError: there is none.
    """
    limits = {limit.quantity: limit.limit for limit in _cost_constraints(goals)}
    return UniformArchitectureSampler.of(space, limits.get("macs"), limits.get("params"))


def sample_unseen_feasible(
    space: SearchSpace, goals: Goals, seen: Iterable[str], rng: random.Random
) -> Genes | None:
    """Genes of a network that keeps the limits and whose key is not among those seen, each as likely.

    None where none turned up in a bounded search. Where one is left beside `n` seen ones, that happens
    with a chance of (1 - 1 / (n + 1)) ** (10 n + 100), at most 1 in 20,000.
    """
    known = set(seen)
    try:
        network_sampler = sampler_within(space, goals)
        for _ in range(10 * len(known) + 100):
            network = network_sampler.sample_architecture(rng)
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
    limits = _cost_constraints(goals)
    if not limits:
        return
    violation_of = constraint_violation(goals)
    nearest_networks = smallest_architectures(space, {limit.quantity: limit.limit for limit in limits})
    ranked = sorted(nearest_networks, key=lambda network: violation_of(cost(network)))[:3]
    if violation_of(cost(ranked[0])) == 0:
        return
    try:
        sampler_within(space, goals).sample_architecture(rng)
    except NoFeasibleNetworkError:
        raise NoFeasibleNetworkError(
            f"no network of space {space.name} stays under {' and '.join(str(limit) for limit in limits)}; "
            f"nearest: {'; '.join(_cost_text(network, limits) for network in ranked)}; "
            f"relax {' and '.join(_relaxed_options(cost(ranked[0]), limits))}"
        ) from None


def smallest_networks(space: SearchSpace, rng: random.Random) -> list[Architecture]:
    """The least networks of a space by MACs, by depth and by activation bytes: likely the fastest."""
    return list(
        dict.fromkeys(
            [
                smallest_architecture(space, "macs"),
                smallest_architecture(space, "depth"),
                smallest_architecture(space, "activation_bytes"),
            ]
        )
    )


def require_feasible_latency(
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
            smallest_architectures = "; ".join(
                f"{architecture.key} ({latency.latency_ms:.3g}ms, {latency.ratio:.3g}x)"
                for architecture, latency in sorted(measured, key=lambda pair: pair[1].ratio)
            )
            relaxed_limit = fastest.ratio_high if limit.unit == "x" else fastest.latency_ms
            step = 10 ** (math.floor(math.log10(relaxed_limit)) - 2)
            raise NoFeasibleNetworkError(
                f"no network of space {space.name} keeps {limit}; the least ones measured: "
                f"{smallest_architectures}; "
                f"relax --max-latency to at least {math.ceil(relaxed_limit / step) * step:.3g}{limit.unit}"
            )


def _cost_constraints(goals: Goals) -> list[Constraint]:
    """The limits on what the cost tells."""
    return [limit for limit in goals.constraints if limit.quantity != "latency"]


def _cost_text(network: Architecture, limits: list[Constraint]) -> str:
    network_cost = cost(network)
    values = ", ".join(f"{limit.quantity} {getattr(network_cost, limit.quantity):,}" for limit in limits)
    return f"{network.key} ({values})"


def _relaxed_options(network_cost: Cost, limits: list[Constraint]) -> list[str]:
    """The options that would let the nearest network in."""
    return [
        f"--max-{limit.quantity} to {getattr(network_cost, limit.quantity)}"
        for limit in limits
        if limit.violation(getattr(network_cost, limit.quantity)) > 0
    ]
