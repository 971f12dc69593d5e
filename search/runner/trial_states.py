"""The path of one trial: its states, the transitions between them, and what decides each.

proposed ── duplicate of another network ──────────────────────────> duplicate
   │ ────── over a limit on cost, or predicted over the latency limit ─> infeasible
   │
   ├─ latency not predicted, or too near the limit ─> measuring ───> infeasible, failed
   │                                                     │
   └─ latency predicted within the limit ─> training <───┘ ────────> failed
                                               │
              would enter the front ───────────┼─> remeasuring ────> infeasible, failed
              by a predicted latency           │        │
                                               └────────┴──────────> complete, or stopped at the
                                                                     first rung
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from ...evaluate import Accuracy, Goals, Latency
from ...results import Record
from ...search_space import Architecture, cost
from .latency_policy import LatencyStrategy

if TYPE_CHECKING:
    from optuna import Trial


class State(StrEnum):
    """Where a trial is; the final ones have the names that the study stores."""

    PROPOSED = "proposed"
    MEASURING = "measuring"
    TRAINING = "training"
    REMEASURING = "remeasuring"
    COMPLETE = "complete"
    STOPPED = "stopped"
    INFEASIBLE = "infeasible"
    DUPLICATE = "duplicate"
    FAILED = "failed"


FINAL = frozenset({State.COMPLETE, State.STOPPED, State.INFEASIBLE, State.DUPLICATE, State.FAILED})
EVALUATED = frozenset({State.COMPLETE, State.STOPPED})
TRANSITIONS = {
    State.PROPOSED: {State.MEASURING, State.TRAINING, State.INFEASIBLE, State.DUPLICATE},
    State.MEASURING: {State.TRAINING, State.INFEASIBLE, State.FAILED},
    State.TRAINING: {State.REMEASURING, State.COMPLETE, State.STOPPED, State.FAILED},
    State.REMEASURING: {State.COMPLETE, State.INFEASIBLE, State.FAILED},
    **dict.fromkeys(FINAL, frozenset[State]()),
}


@dataclass
class ActiveTrial:
    """A trial of this session with what is known of its network.

    Attributes:
        remedy: what to change if many training runs fail with such an error.
    """

    trial: "Trial"
    architecture: Architecture
    latency: Latency | None = None
    accuracy: Accuracy | None = None
    error: str = ""
    remedy: str = "start a new run with a lower --learning-rate"
    state: State = field(default=State.PROPOSED, init=False)

    @property
    def name(self) -> str:
        return f"trial {self.architecture.key}"

    def __str__(self) -> str:
        verb = "trains" if self.state is State.TRAINING else "measures"
        return f"{verb} trial {self.trial.number}"

    def advance(self, state: State) -> None:
        """Change the state.

        Raises:
            ValueError: there is no such transition.
        """
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"trial {self.trial.number} cannot go from {self.state} to {state}")
        self.state = state

    @property
    def record(self) -> Record:
        """The trial as a record, in its state or, while it is active, as if it were complete."""
        return Record(
            trial=self.trial.number,
            source=self.trial.user_attrs.get("source", "sampler"),
            state=self.state.value if self.state in FINAL else "complete",  # type: ignore[arg-type]
            architecture=self.architecture,
            cost=cost(self.architecture),
            latency=self.latency,
            accuracy=self.accuracy,
            error=self.error,
        )


def next_state(
    active: ActiveTrial,
    goals: Goals,
    latency_strategy: LatencyStrategy,
    completed: Sequence[Record],
    *,
    has_rungs: bool,
) -> State:
    """The state that follows from the results so far.

    Args:
        completed: of the search, which decide the front.
        has_rungs: training ends at the first rung.
    """
    if active.error:
        return State.FAILED
    if active.state is State.TRAINING:
        if latency_strategy.needs_measurement(active.record, completed):
            return State.REMEASURING
        return State.STOPPED if has_rungs else State.COMPLETE
    if active.latency is None:
        return State.MEASURING
    if not satisfies_latency_limit(goals, active):
        return State.INFEASIBLE
    if active.state is State.REMEASURING:
        return State.COMPLETE
    if active.state is State.PROPOSED and has_rungs and latency_strategy.latency_policy == "both":
        # A finished trial takes no latency any more, and any network may enter the front by a promotion.
        return State.MEASURING
    return State.TRAINING


def satisfies_latency_limit(goals: Goals, active: ActiveTrial) -> bool:
    return goals.violations(cost(active.architecture), active.latency).get("latency", 0.0) <= 0
