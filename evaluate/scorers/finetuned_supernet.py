"""A supernet's weights, trained on for a little: between a supernet's score and a training from scratch."""

from ...search_space.network import Network
from ..data.dataset import Data
from ..training.accuracy import Accuracy
from ..training.train import train
from . import Means
from .supernet import SupernetScorer, open_all


def trained_on(network: Network, data: Data, means: Means, seed: int) -> Accuracy:
    """All weights learn by the recipe, for its epochs."""
    return train(network, data, means.recipe, seed=seed, device=means.device)


def make(name: str, means: Means) -> SupernetScorer:
    return SupernetScorer(name, means, open_all(name, means), trained_on)
