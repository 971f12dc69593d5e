"""Trained weights on disk."""

import os
from pathlib import Path

import torch

from ..search_space import Architecture, RunError
from ..search_space.errors import first_line
from ..search_space.network import Network, build_network


def save_weights(network: Network, path: Path) -> None:
    """Write a state dict whole or not at all."""
    unfinished = path.with_suffix(f".{os.getpid()}")
    torch.save(network.cpu().state_dict(), unfinished)
    unfinished.replace(path)


def trained_network(architecture: Architecture, path: Path) -> Network:
    """A network with weights from disk.

    Raises:
        RunError: there are none, or they are of another network.
    """
    network = build_network(architecture)
    try:
        network.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    except FileNotFoundError:
        raise RunError(f"{path}: the weights of network {architecture.key} are missing") from None
    except Exception as error:
        what = f"no weights of network {architecture.key}: the file is damaged or of another network"
        raise RunError(f"{path}: {what} ({first_line(error)})") from None
    return network
