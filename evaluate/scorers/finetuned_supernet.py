"""A supernet's weights, trained on for a little: between a supernet's score and a training from scratch."""

from ...search_space.network import Network
from ..data.dataset import Data
from ..training.accuracy import Accuracy
from ..training.train import train
from . import EvaluationContext
from .supernet import SupernetScorer, load_supernets


def finetune(network: Network, data: Data, context: EvaluationContext, seed: int) -> Accuracy:
    """All weights learn by the recipe, for its epochs."""
    return train(network, data, context.recipe, seed=seed, device=context.device)


def make(name: str, context: EvaluationContext) -> SupernetScorer:
    return SupernetScorer(name, context, load_supernets(name, context), finetune)
