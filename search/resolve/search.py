"""A search's request to values: after this nothing parses a string."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...evaluate import Goals, Recipe, parse_goals
from ...evaluate.scorers import EvaluationContext
from ...evaluate.scorers import evaluator as make_evaluator
from ...results import DataSettings
from ...search_space import SearchSpace, load_space, published_architecture
from ..samplers.registry import resolve_sampler
from .environment import torch_device
from .evaluators import resolve_evaluator
from .objects import SearchObjects
from .requests import SearchRequest

if TYPE_CHECKING:
    from ...evaluate.data.dataset import Data


@dataclass(frozen=True)
class ResolvedSearch:
    """What a search works on.

    Attributes:
        space: for the channels and classes of the data.
        images: the opened data.
        evaluator: name that worker processes resolve again, its files with absolute paths.
        device: `cpu` or `cuda`.
    """

    space: SearchSpace
    data: DataSettings
    images: "Data"
    goals: Goals
    recipe: Recipe
    evaluator: str
    device: str


def resolve_search(request: SearchRequest, objects: SearchObjects) -> ResolvedSearch:
    """Resolve every name of a request, cheap checks first.

    Raises:
        BneckError: a name is unknown, or a file is missing, damaged or does not fit.
    """
    from .datasets import normalized_for_evaluator, open_images

    evaluator = resolve_evaluator(request.evaluator)
    goals = parse_goals(request.objectives, request.limits)
    if objects.sampler is None:
        resolve_sampler(request.sampler)
    for name in request.baseline_names:
        published_architecture(name)
    space = objects.space or load_space(request.space)
    device = torch_device(request.device)
    settings, data = open_images(request, objects.data)
    recipe = Recipe(epochs=request.epochs, batch_size=request.batch_size, learning_rate=request.learning_rate)
    make_evaluator(objects.evaluator or evaluator, EvaluationContext(data, recipe, device))
    data = normalized_for_evaluator(evaluator, data)
    return ResolvedSearch(
        space=space.for_data(data.image_channels, len(data.class_names)),
        data=settings.of(data),
        images=data,
        goals=goals,
        recipe=recipe,
        evaluator=evaluator,
        device=device,
    )
