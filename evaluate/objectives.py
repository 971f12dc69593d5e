"""What a search optimises and what must hold: objectives and limits."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from ..search_space import Cost, GoalError, UnknownNameError
from ..search_space.cost import format_count
from ..search_space.errors import FieldError
from .latency.measurement import Latency

Quantity = Literal["accuracy", "latency", "macs", "params", "reward"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
REWARD_EXPONENT = -0.07
"""Twice the target is worth 5% of the accuracy (Tan et al. 2019, arXiv 1807.11626, section 3.1)."""
_SUFFIXES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


@dataclass(frozen=True, slots=True)
class Constraint:
    """A limit that must hold.

    Attributes:
        limit: in MACs, parameters, milliseconds, or multiples of the reference's latency.
        unit: `ms` or `x` for latency, empty otherwise.
    """

    quantity: Literal["macs", "params", "latency"]
    limit: float
    unit: Literal["", "ms", "x"] = ""

    def __post_init__(self) -> None:
        if self.quantity not in ("macs", "params", "latency"):
            raise FieldError("quantity", f"must be macs, params or latency, got {self.quantity}")
        if not 0 < self.limit < math.inf:
            raise FieldError("limit", f"must be above 0, got {self.limit}")
        if self.unit not in (("ms", "x") if self.quantity == "latency" else ("",)):
            raise FieldError("unit", f"must be ms or x for latency and empty otherwise, got '{self.unit}'")

    def violation(self, value: float) -> float:
        """The excess over the limit as a share of it; at most 0 where the limit holds."""
        return value / self.limit - 1

    def measured_value(self, cost: Cost, latency: Latency | None) -> float | None:
        """What the limit looks at; None where it is not measured yet."""
        if self.quantity == "latency":
            if latency is None:
                return None
            return latency.ratio if self.unit == "x" else latency.latency_ms
        return float(getattr(cost, self.quantity))

    @property
    def limit_text(self) -> str:
        """As one would type it: `5ms`, `0.5x`, `60M`."""
        return f"{self.limit:g}{self.unit}" if self.unit else format_count(self.limit)

    def __str__(self) -> str:
        return f"{self.quantity} <= {self.limit_text}"


@dataclass(frozen=True, slots=True)
class Objective:
    """One quantity to optimise: accuracy and reward go up, the others down.

    Reward is `accuracy * (value / target) ** -0.07`, which asks for no limit: a network may miss the target
    where its accuracy is worth it.

    Attributes:
        target: of the reward, on latency or MACs; None for the others.
    Source: Tan et al. 2019, arXiv 1807.11626, equation 2 with alpha = beta.
    """

    quantity: Quantity
    target: Constraint | None = None

    def __post_init__(self) -> None:
        if self.quantity not in QUANTITIES:
            raise FieldError("quantity", f"must be one of {', '.join(QUANTITIES)}, got {self.quantity}")
        target_quantity = self.target.quantity if self.target else None
        if target_quantity not in (("latency", "macs") if self.quantity == "reward" else (None,)):
            expected = "on latency or MACs for reward and none otherwise"
            raise FieldError(
                "target", f"must be {expected}, got {target_quantity or 'none'} for {self.quantity}"
            )

    @property
    def depends_on_accuracy(self) -> bool:
        """Whether accuracy decides it."""
        return self.quantity in ("accuracy", "reward")

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        return "maximize" if self.depends_on_accuracy else "minimize"

    @property
    def unit(self) -> str:
        units = {"accuracy": "top-1", "latency": "ms", "macs": "MACs", "params": "parameters"}
        return units.get(self.quantity, self.quantity)

    def accuracy_factor(self, cost: Cost, latency: Latency | None) -> float | None:
        """What an accuracy is multiplied by: 1, or for the reward what the distance to its target is worth.

        None where the latency that it takes is not measured yet.
        """
        if self.target is None:
            return 1.0
        value = self.target.measured_value(cost, latency)
        return None if value is None else float((value / self.target.limit) ** REWARD_EXPONENT)

    def __str__(self) -> str:
        return f"{self.quantity}:{self.target.limit_text}" if self.target else self.quantity


@dataclass(frozen=True)
class Goals:
    """The objectives, and the limits in the order they are checked: cheapest first."""

    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        if len(self.objectives) > 1 and self.reward:
            names = ", ".join(map(str, self.objectives))
            raise GoalError(
                f"{self.reward} stands alone, for it joins accuracy and cost already; limits may go with it; "
                f"got the objectives {names}"
            )
        order = ("params", "macs", "latency")
        limited_quantities = [constraint.quantity for constraint in self.constraints]
        if len(set(limited_quantities)) < len(limited_quantities):
            raise GoalError(f"each quantity takes one limit, got {', '.join(map(str, self.constraints))}")
        ordered = sorted(self.constraints, key=lambda constraint: order.index(constraint.quantity))
        object.__setattr__(self, "constraints", tuple(ordered))

    @property
    def reward(self) -> Objective | None:
        """The reward, if it is the objective."""
        return next((each for each in self.objectives if each.quantity == "reward"), None)

    @property
    def ranking_objective(self) -> Objective:
        """What the best network has most of: the reward if it is the objective, else accuracy."""
        return self.reward or Objective("accuracy")

    @property
    def depends_on_accuracy(self) -> bool:
        """Whether accuracy decides an objective."""
        return any(each.depends_on_accuracy for each in self.objectives)

    @property
    def depends_on_latency(self) -> bool:
        """Whether an objective, its target or a limit is on latency."""
        parts = [*(each.target or each for each in self.objectives), *self.constraints]
        return any(each.quantity == "latency" for each in parts)

    def violations(self, cost: Cost, latency: Latency | None = None) -> dict[str, float]:
        """By quantity, for the limits that what is known lets one check."""
        parsed: dict[str, float] = {}
        for constraint in self.constraints:
            value = constraint.measured_value(cost, latency)
            if value is not None:
                parsed[constraint.quantity] = constraint.violation(value)
        return parsed


def parse_objectives(text: str) -> tuple[Objective, ...]:
    """`accuracy,latency` and the like, or `reward:0.5x`.

    Raises:
        UnknownNameError: no such quantity.
        GoalError: one stands there twice, or none; a reward without its target.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    parsed = [_parse_objective(name) for name in names]
    quantities = [each.quantity for each in parsed]
    if not parsed or len(set(quantities)) < len(parsed):
        raise GoalError(f"objectives must be different ones of {', '.join(QUANTITIES)}, got '{text}'")
    return tuple(sorted(parsed, key=lambda each: QUANTITIES.index(each.quantity)))


def _parse_objective(text: str) -> Objective:
    name, _, target = (part.strip() for part in text.partition(":"))
    if name == "reward":
        return Objective("reward", _parse_target(target))
    for quantity in QUANTITIES:
        if text == quantity:
            return Objective(quantity)
    raise UnknownNameError("objective", text, QUANTITIES)


def _parse_target(text: str) -> Constraint:
    """A latency as `parse_latency` takes it, or MACs; these with K, M or G, so that no unit is forgotten."""
    try:
        if text.endswith(tuple("KMG")):
            return Constraint("macs", parse_count(text))
        return parse_latency(text)
    except GoalError:
        expected = "a latency or MACs above 0: reward:0.5x, reward:5ms or reward:60M"
        raise GoalError(f"the objective reward needs its target, {expected}, got '{text}'") from None


def parse_count(text: str) -> float:
    """A number with K, M or G for thousands, millions, thousand millions: `60M` is 60,000,000.

    Raises:
        GoalError: no such number, or none above 0.
    """
    match = re.fullmatch(r"([0-9]*\.?[0-9]+(?:[eE][0-9]+)?)([KMG]?)", text.strip())
    count = float(match[1]) * _SUFFIXES[match[2]] if match else 0.0
    if not 0 < count < math.inf:
        raise GoalError(f"a limit must be a number above 0 like 600K, 60M or 1.2G, got '{text}'")
    return count


def parse_latency(text: str) -> Constraint:
    """`5ms` for milliseconds on this device, `0.5x` for a multiple of the reference network.

    Raises:
        GoalError: no unit, another unit, or no number above 0.
    """
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*(ms|x)", text.strip())
    if not match or not 0 < float(match[1]) < math.inf:
        raise GoalError(f"a latency limit must be above 0 with its unit, like 5ms or 0.5x, got '{text}'")
    return Constraint("latency", float(match[1]), "ms" if match[2] == "ms" else "x")


def parse_goals(objectives: str, limits: Mapping[str, str | None]) -> Goals:
    """Goals from words: limits by quantity (`macs`, `params`, `latency`), None for no limit."""
    constraints: list[Constraint] = []
    counted: tuple[Literal["macs"], Literal["params"]] = ("macs", "params")
    for quantity in counted:
        if (text := limits.get(quantity)) is not None:
            constraints.append(Constraint(quantity, parse_count(text)))
    if (text := limits.get("latency")) is not None:
        constraints.append(parse_latency(text))
    return Goals(parse_objectives(objectives), tuple(constraints))


def x_quantity(goals: Goals) -> Quantity:
    """What accuracy is drawn against: the first other objective or target, else the last limit, else MACs."""
    axis_quantities = [each.target or each for each in goals.objectives]
    others: list[Quantity] = [each.quantity for each in axis_quantities if each.quantity != "accuracy"]
    limited: list[Quantity] = [each.quantity for each in reversed(goals.constraints)]
    return [*others, *limited, "macs"][0]


def value_of(quantity: Quantity, cost: Cost, latency: Latency | None) -> float | None:
    """Milliseconds, MACs or parameters of a network; None where the latency was not measured."""
    if quantity == "latency":
        return latency.latency_ms if latency else None
    return float(getattr(cost, quantity))


def limit_on(quantity: Quantity, goals: Goals, reference_ms: float) -> float | None:
    """The limit on a quantity, a latency in milliseconds; None where there is none.

    A multiple of the reference is no limit yet while the reference is not measured (0 ms).
    """
    for constraint in goals.constraints:
        if constraint.quantity == quantity:
            return absolute_limit(constraint, reference_ms)
    return None


def absolute_limit(constraint: Constraint, reference_ms: float) -> float | None:
    """A limit or target in MACs, parameters or milliseconds; None while the reference is not measured."""
    return constraint.limit * (reference_ms if constraint.unit == "x" else 1) or None
