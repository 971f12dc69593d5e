"""Objectives and constraints of a search."""

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
"""Doubling the cost trades off against 5% of accuracy (Tan et al. 2019, arXiv 1807.11626, section 3.1)."""
_SUFFIXES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
SMALLEST_LIMIT = 1000  # a limit below has lost its suffix


@dataclass(frozen=True, slots=True)
class Constraint:
    """An upper limit.

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
        """Relative excess over the limit; at most 0 if the constraint is satisfied."""
        return value / self.limit - 1

    def measured_value(self, cost: Cost, latency: Latency | None) -> float | None:
        """The constrained value; None for a latency that was not measured."""
        if self.quantity == "latency":
            if latency is None:
                return None
            return latency.ratio if self.unit == "x" else latency.latency_ms
        return float(getattr(cost, self.quantity))

    def upper_bound(self, cost: Cost, latency: Latency | None) -> float | None:
        """The constrained value; of a latency the one-sided 95% upper confidence bound, None without one."""
        value = self.measured_value(cost, latency)
        if self.quantity != "latency" or value is None or latency is None:
            return value
        return value * latency.upper_factor

    @property
    def limit_text(self) -> str:
        """`5ms`, `0.5x`, `60M`."""
        return f"{self.limit:g}{self.unit}" if self.unit else format_count(self.limit)

    def __str__(self) -> str:
        return f"{self.quantity} <= {self.limit_text}"


@dataclass(frozen=True, slots=True)
class Objective:
    """A quantity to optimize: accuracy and reward are maximized, the others minimized.

    Reward is `accuracy * (value / target) ** -0.07`: a soft target that accurate networks may exceed.

    Attributes:
        target: latency or MACs for the reward; None for other quantities.
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
        """Whether it depends on accuracy."""
        return self.quantity in ("accuracy", "reward")

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        return "maximize" if self.depends_on_accuracy else "minimize"

    @property
    def unit(self) -> str:
        units = {"accuracy": "top-1", "latency": "ms", "macs": "MACs", "params": "parameters"}
        return units.get(self.quantity, self.quantity)

    def accuracy_factor(self, cost: Cost, latency: Latency | None) -> float | None:
        """Factor from accuracy to objective: 1, or the cost term of the reward.

        None if the latency of the target was not measured.
        """
        if self.target is None:
            return 1.0
        value = self.target.measured_value(cost, latency)
        return None if value is None else float((value / self.target.limit) ** REWARD_EXPONENT)

    def __str__(self) -> str:
        return f"{self.quantity}:{self.target.limit_text}" if self.target else self.quantity


@dataclass(frozen=True)
class Goals:
    """Objectives and constraints; constraints are checked in order, cheapest first."""

    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        if len(self.objectives) > 1 and self.reward:
            names = ", ".join(map(str, self.objectives))
            raise GoalError(
                f"{self.reward} is a scalarized objective and cannot be combined with others "
                f"(constraints are allowed); got the objectives {names}"
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
        """Objective that ranks networks: the reward if it is the objective, else accuracy."""
        return self.reward or Objective("accuracy")

    @property
    def depends_on_accuracy(self) -> bool:
        """Whether an objective depends on accuracy."""
        return any(each.depends_on_accuracy for each in self.objectives)

    @property
    def depends_on_latency(self) -> bool:
        """Whether an objective, a target or a constraint is on latency."""
        parts = [*(each.target or each for each in self.objectives), *self.constraints]
        return any(each.quantity == "latency" for each in parts)

    @property
    def latency_limit(self) -> Constraint | None:
        """The constraint on latency."""
        return next((each for each in self.constraints if each.quantity == "latency"), None)

    def violations(self, cost: Cost, latency: Latency | None = None) -> dict[str, float]:
        """Violation by quantity; latency constraints are skipped without a latency.

        A latency violates a constraint by its one-sided 95% upper confidence bound: what a search trains
        is what the verification of its front keeps.
        """
        violations: dict[str, float] = {}
        for constraint in self.constraints:
            value = constraint.upper_bound(cost, latency)
            if value is not None:
                violations[constraint.quantity] = constraint.violation(value)
        return violations


def parse_objectives(text: str) -> tuple[Objective, ...]:
    """Objectives from text such as `accuracy,latency` or `reward:0.5x`.

    Raises:
        UnknownNameError: no such quantity.
        GoalError: no objective, a repeated one, or a reward without a target.
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
    """A latency (see `parse_latency`), or MACs with the suffix K, M or G."""
    try:
        if text.endswith(tuple("KMG")):
            return Constraint("macs", parse_count(text))
        return parse_latency(text)
    except GoalError:
        expected = "a latency or MACs above 0: reward:0.5x, reward:5ms or reward:60M"
        raise GoalError(f"the objective reward needs its target, {expected}, got '{text}'") from None


def parse_count(text: str) -> float:
    """A count with the optional suffix K, M or G (10^3, 10^6, 10^9): `60M` is 60,000,000.

    Raises:
        GoalError: not a number, or not above 0.
    """
    match = re.fullmatch(r"([0-9]*\.?[0-9]+(?:[eE][0-9]+)?)([KMG]?)", text.strip())
    count = float(match[1]) * _SUFFIXES[match[2]] if match else 0.0
    if not 0 < count < math.inf:
        raise GoalError(f"a limit must be a number above 0 like 600K, 60M or 1.2G, got '{text}'")
    return count


def parse_limit(text: str) -> float:
    """A limit on multiply-adds or parameters, as `parse_count` reads it.

    Raises:
        GoalError: also a number that no network satisfies, which has lost its suffix.
    """
    count = parse_count(text)
    if count < SMALLEST_LIMIT:
        digits = re.match("[0-9.]+", text.strip())
        raise GoalError(
            f"no network has so few multiply-adds or parameters: got a limit of '{text}', "
            f"did you mean {digits[0] if digits else text}M?"
        )
    return count


def parse_latency(text: str) -> Constraint:
    """`5ms` for milliseconds on this device, `0.5x` for a multiple of the reference network.

    Raises:
        GoalError: missing or unknown unit, or not a number above 0.
    """
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*(ms|x)", text.strip())
    if not match or not 0 < float(match[1]) < math.inf:
        raise GoalError(f"a latency limit must be above 0 with its unit, like 5ms or 0.5x, got '{text}'")
    return Constraint("latency", float(match[1]), "ms" if match[2] == "ms" else "x")


def parse_goals(objectives: str, limits: Mapping[str, str | None]) -> Goals:
    """Goals from text; limits by quantity (`macs`, `params`, `latency`), None for no limit."""
    constraints: list[Constraint] = []
    counted: tuple[Literal["macs"], Literal["params"]] = ("macs", "params")
    for quantity in counted:
        if (text := limits.get(quantity)) is not None:
            constraints.append(Constraint(quantity, parse_limit(text)))
    if (text := limits.get("latency")) is not None:
        constraints.append(parse_latency(text))
    return Goals(parse_objectives(objectives), tuple(constraints))


def x_quantity(goals: Goals) -> Quantity:
    """X axis of accuracy plots: the first other objective or target, else the last constraint, else MACs."""
    axis_quantities = [each.target or each for each in goals.objectives]
    others: list[Quantity] = [each.quantity for each in axis_quantities if each.quantity != "accuracy"]
    limited: list[Quantity] = [each.quantity for each in reversed(goals.constraints)]
    return [*others, *limited, "macs"][0]


def value_of(quantity: Quantity, cost: Cost, latency: Latency | None) -> float | None:
    """Latency in ms, MACs or parameters; None for a latency that was not measured."""
    if quantity == "latency":
        return latency.latency_ms if latency else None
    return float(getattr(cost, quantity))


def limit_on(quantity: Quantity, goals: Goals, reference_ms: float) -> float | None:
    """The limit on a quantity, latency in ms; None without a limit.

    Also None for a multiple of the reference latency while that is unknown (0 ms).
    """
    for constraint in goals.constraints:
        if constraint.quantity == quantity:
            return absolute_limit(constraint, reference_ms)
    return None


def absolute_limit(constraint: Constraint, reference_ms: float) -> float | None:
    """Limit or target in MACs, parameters or ms; None while the reference latency is unknown (0 ms)."""
    return constraint.limit * (reference_ms if constraint.unit == "x" else 1) or None
