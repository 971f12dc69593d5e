"""Mean gates of squeeze-and-excitation and ECA, which replace the attention of a block by constants."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch
from numpy.polynomial.hermite_e import hermegauss
from torch import Tensor, nn

from ...search_space.network import Network

_QUADRATURE_POINTS = 64


def measured_gates(network: Network, indices: Collection[int], images: Tensor) -> dict[int, Tensor]:
    """Mean gate of each channel over normalised images, by index of the block."""
    was_training = network.training
    network.eval()
    with _record_gates(network, indices) as gates:
        network(images)
    network.train(was_training)
    return gates


def expected_gates(network: Network, indices: Collection[int]) -> dict[int, Tensor]:
    """Gate of each channel for its expected mean, from the weights of batch norm; by index of the block.

    Before its activation, a channel is taken as normal, with batch norm's bias as mean and its weight as
    standard deviation.
    """
    with _record_gates(network, indices) as gates:
        for index in indices:
            depthwise = network.blocks[index].get_submodule("depthwise")
            means = _expected_activation(
                depthwise.get_submodule("norm"), depthwise.get_submodule("activation")
            )
            network.blocks[index].get_submodule("attention")(means[None, :, None, None])
    return gates


@contextmanager
def _record_gates(network: Network, indices: Collection[int]) -> Iterator[dict[int, Tensor]]:
    """Gates of the next forward pass, without gradients, averaged over the images."""
    gates: dict[int, Tensor] = {}
    handles = []
    for index in indices:

        def record(_: nn.Module, __: object, gate: Tensor, index: int = index) -> None:
            gates[index] = gate.flatten(1).mean(0)

        gate = network.blocks[index].get_submodule("attention.gate")
        handles.append(gate.register_forward_hook(record))
    try:
        with torch.no_grad():
            yield gates
    finally:
        for handle in handles:
            handle.remove()


def _expected_activation(norm: nn.Module, activation: nn.Module) -> Tensor:
    """Mean of each channel after the activation, by Gauss-Hermite quadrature."""
    mean, std = norm.get_parameter("bias"), norm.get_parameter("weight").abs()
    points, weights = (torch.as_tensor(each).to(mean) for each in hermegauss(_QUADRATURE_POINTS))
    values: Tensor = activation(mean[:, None] + std[:, None] * points)
    return values @ (weights / weights.sum())
