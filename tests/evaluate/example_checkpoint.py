"""Checkpoints of untrained networks, as if trained on the digits."""

from pathlib import Path

from bneck.evaluate import Recipe
from bneck.evaluate.data.dataset import load_data
from bneck.evaluate.training.checkpoint import make_checkpoint, save_checkpoint
from bneck.search_space.network import Network


def keep(network: Network, path: Path) -> None:
    save_checkpoint(make_checkpoint(network, load_data("digits"), Recipe(), 0, ()), path)
