"""Values that a caller in Python hands in where the command line takes a name."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from ...evaluate.plugins import is_object_label, object_label
from ...results import RunSettings
from ...search_space import GoalError, SearchSpace

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage

    from ...evaluate.data.dataset import Data
    from ...evaluate.scorers import Scorer
    from ...evaluate.scorers.function import Evaluate


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchObjects:
    """Objects in place of names. `run.yaml` records a label only, so resuming needs them again.

    Attributes:
        space: is recorded in full, so it is not needed again.
        data: implements `Data`.
        evaluator: function of architecture and seed that returns top-1 (0 to 1) or an `Accuracy`, or a
            `Scorer`.
        sampler: of Optuna, or a function that makes one of a `SamplerContext`.
    """

    space: SearchSpace | None = None
    data: "Data | None" = None
    evaluator: "Evaluate | Scorer | None" = None
    sampler: "BaseSampler | Callable[[Any], BaseSampler] | None" = None
    storage: "BaseStorage | None" = None

    @property
    def given(self) -> dict[str, Any]:
        """The objects without a name, by parameter."""
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "space"}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def labels(self) -> dict[str, str]:
        """What a request and `run.yaml` hold in their place."""
        return {name: object_label(value) for name, value in self.given.items()}

    def require_one_worker(self, workers: int) -> None:
        """Refuse objects that worker processes would need.

        Raises:
            GoalError: several workers, and data or evaluator is an object.
        """
        for name in ("data", "evaluator"):
            if workers > 1 and name in self.given:
                raise GoalError(
                    f"{name} {self.labels[name]} exists in this process only, got workers={workers}; use "
                    "workers=1, or a name that worker processes can import: 'module:attribute'"
                )

    def require_same(self, settings: RunSettings) -> None:
        """Check the objects of a resumed run against those that it was started with.

        Raises:
            GoalError: one is missing, or stands where the run has a name.
        """
        recorded = {
            "data": settings.data.name,
            "evaluator": settings.evaluator,
            "sampler": settings.sampler,
            "storage": settings.storage,
        }
        for name, value in recorded.items():
            if is_object_label(value) and name not in self.given:
                raise GoalError(
                    f"the run was started with {name}={value}; pass that object again: {name}=..."
                )
            if name in self.given and not is_object_label(value):
                raise GoalError(
                    f"{name} cannot change when a run is resumed; it is '{value}', leave {name} out"
                )


NO_OBJECTS = SearchObjects()
