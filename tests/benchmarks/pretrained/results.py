"""What the arms of the comparison are, and what is known of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, Protocol

Arm = Literal["A", "B", "C", "D", "E", "T", "N", "W"]
ARMS: Mapping[Arm, str] = {  # in the order of computation
    "A": "search over pretrained networks, all defaults",
    "B": "EfficientNet-Lite0 at the highest resolution within the limit, fine-tuned",
    "E": "MobileNetV3-Small at 96 px from scratch, at the largest width within the limit",
    "D": "search from scratch",
    "C": "EfficientNet-Lite0 at 128 px, fine-tuned, cut by torch-pruning to the limit, tuned",
    "T": "the best network from scratch (D, E) at the smallest limit, with B's best network as teacher",
    "N": "the same without teacher",
    "W": "arm A without a time limit",
}


class OutOfTimeError(Exception):
    """A result is not cached, and no time is left to compute it."""


@dataclass(frozen=True)
class Point:
    """A trained network.

    Attributes:
        share: its cost as a share of the reference's.
        validation: accuracy that it is chosen by, a fraction.
        outcomes: which test images were classified correctly, by `pack_outcomes`.
        checkpoint: path of the weights.
        trial: in a search.
    """

    network: str
    share: float
    validation: float
    outcomes: str
    images: int
    checkpoint: str = ""
    trial: int = -1


class Results(Protocol):
    """The results of the arms; all methods raise `OutOfTimeError` where one is missing."""

    @property
    def limits(self) -> tuple[float, ...]: ...

    def classes(self, data: str) -> int:
        """Number of classes of a data set."""

    def point(self, data: str, arm: Arm, limit: float, seed: int) -> Point | None:
        """The network of an arm within a limit; None if no network of the arm is."""

    def front(self, data: str, arm: Arm, seed: int) -> list[Point]:
        """All networks of an arm."""

    def cpu_minutes(self, data: str, arm: Arm, seed: int) -> float:
        """CPU time of an arm for a seed, without the choice of its networks and their test."""


def best_within(points: Sequence[Point], limit: float) -> Point | None:
    """The point of the highest validation accuracy within a limit; None if all violate it."""
    within = [each for each in points if each.share <= limit]
    return max(within, key=lambda each: each.validation, default=None)


def selected(patterns: Sequence[str], data: str, arm: str, limit: float, seed: int) -> bool:
    """Whether a pattern `DATA/ARM/LIMIT/SEED` matches; parts at the end may be left out."""
    parts = (data, arm, f"{limit:g}", str(seed))
    return any(all(map(fnmatchcase, parts, pattern.split("/"))) for pattern in patterns)
