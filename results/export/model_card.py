"""A model card: data, metrics with intervals, cost, preprocessing, limits, and how to load the network."""

from dataclasses import asdict
from pathlib import Path

from ...search_space.pretrained_space import candidate_text
from .exportable import Exportable
from .python_file import render

_RECIPE = (
    "epochs",
    "batch_size",
    "optimizer",
    "learning_rate",
    "schedule",
    "augment",
    "label_smoothing",
    "ema",
)


def model_card(network: Exportable) -> bytes:
    """Markdown with the metadata block of the Hugging Face hub."""
    trained = network.trained
    kind, _, place = network.data.name.partition(":")
    recipe = asdict(trained.recipe)
    pretrained = candidate_text(network.architecture)
    return render(
        "card.md",
        network,
        results=network.results(),
        size_bytes=sum(value.nbytes for value in trained.weights.values()),
        data_name=Path(place).name if kind == "folder" else network.data.name,
        origin=pretrained or network.metadata.get("network") or "found by an architecture search",
        recipe={name: recipe[name] for name in _RECIPE} | {"seed": trained.seed},
        preprocessing=network.preprocessing.metadata(),
        selected="trial" in network.metadata,
        pretrained=bool(pretrained),
    )
