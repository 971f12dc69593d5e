"""Evaluation after fine-tuning the weights of a supernet."""

from ...search_space.network import Network
from ..data.dataset import Data
from ..training.accuracy import Accuracy
from ..training.train import train
from . import EvaluationContext
from .supernet import SupernetScorer, load_supernets


def finetune(network: Network, data: Data, context: EvaluationContext, seed: int) -> Accuracy:
    """Train all weights with the recipe and return the validation accuracy."""
    return train(network, data, context.recipe, seed=seed, device=context.device)


def make(name: str, context: EvaluationContext) -> SupernetScorer:
    return SupernetScorer(name, context, load_supernets(name, context), finetune)
