"""A search's request to values: after this nothing parses a string."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...evaluate import Goals, Recipe, parse_goals
from ...evaluate.plugins import is_object_label
from ...evaluate.scorers import EvaluationContext
from ...evaluate.scorers import evaluator as make_evaluator
from ...results import DataSettings
from ...search_space import CandidateSpace, GoalError, load_space, published_architecture
from ...search_space.pretrained_space import DROPPED_BLOCKS, DROPPED_STAGES, pretrained_space
from ..samplers.registry import resolve_sampler
from .environment import torch_device
from .evaluators import resolve_evaluator
from .objects import SearchObjects
from .pretrained import UNLIMITED_RESOLUTION_PX, resolve_parents
from .recipes import choose_recipe, require_two_images_per_step
from .requests import PRETRAINED_BASELINE, SearchRequest
from .teacher import ResolvedTeacher, resolve_teacher

if TYPE_CHECKING:
    from ...evaluate.data.dataset import Data


def _space(request: SearchRequest, device: str) -> CandidateSpace:
    """The space of a request.

    Pretrained networks without a limit have up to `UNLIMITED_RESOLUTION_PX` on a CPU, where higher
    resolutions take hours.

    Raises:
        BneckError: it is unknown, or a pretrained network cannot be read.
    """
    if not request.pretrained:
        return load_space(request.space)
    if request.evaluator not in ("train",) and not is_object_label(request.evaluator):
        raise GoalError(f"--pretrained needs --evaluator train, got {request.evaluator}")
    limited = any(request.limits.values()) or device != "cpu"
    max_resolution = request.max_resolution or (None if limited else UNLIMITED_RESOLUTION_PX)
    cuts = (DROPPED_BLOCKS, DROPPED_STAGES) if request.cuts == "depth" else ()
    return pretrained_space(resolve_parents(request.parents), max_resolution, *cuts)


@dataclass(frozen=True)
class ResolvedSearch:
    """What a search works on.

    Attributes:
        space: for the channels and classes of the data.
        images: the opened data.
        evaluator: name that worker processes resolve again, its files with absolute paths.
        device: `cpu` or `cuda`.
        teacher: of all trainings; None for the labels alone.
    """

    space: CandidateSpace
    data: DataSettings
    images: "Data"
    goals: Goals
    recipe: Recipe
    evaluator: str
    device: str
    teacher: ResolvedTeacher | None = None


def resolve_search(
    request: SearchRequest,
    objects: SearchObjects,
    on_note: Callable[[str], None],
    images: "Data | None" = None,
) -> ResolvedSearch:
    """Resolve every name of a request, cheap checks first.

    Args:
        on_note: called with a line on each choice that the data made.
        images: the data of the request, if it is open already.
    Raises:
        BneckError: a name is unknown, or a file is missing, damaged or does not fit.
    """
    from .datasets import normalized_for_evaluator, open_images

    evaluator = resolve_evaluator(request.evaluator)
    goals = parse_goals(request.objectives, request.limits)
    if objects.sampler is None:
        resolve_sampler(request.sampler)
    for name in request.baseline_names:
        if name != PRETRAINED_BASELINE:
            published_architecture(name)
    device = torch_device(request.device)
    space = objects.space or _space(request, device)
    settings, data = open_images(request, images or objects.data)
    chosen = choose_recipe(
        request.recipe, request.recipe_overrides, data.count("train"), trained_weights=request.pretrained
    )
    make_evaluator(objects.evaluator or evaluator, EvaluationContext(data, chosen.recipe, device))
    if evaluator == "train":
        require_two_images_per_step(chosen.recipe.batch_size, data.count("train"))
        on_note(chosen.text)
    data = normalized_for_evaluator(evaluator, data)
    return ResolvedSearch(
        space=space.for_data(data.image_channels, len(data.class_names)),
        data=settings.of(data),
        images=data,
        goals=goals,
        recipe=chosen.recipe,
        evaluator=evaluator,
        device=device,
        teacher=resolve_teacher(request.teacher, data) if request.teacher else None,
    )
