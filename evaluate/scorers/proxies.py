"""Zero-cost proxies: scores of an untrained network from one batch of images.

Each is a function of the network, the images (`n x channels x r x r`) and their labels (`n` int64).
The network is not modified. Higher is better. Batch normalisation uses batch statistics, as in the first
training step (`synflow` bypasses it); dropout and stochastic depth are off. Weights are those of
convolutions and linear layers. The score is infinite or NaN if the proxy is undefined for a network.

Source of the family: Abdelfattah et al. 2021, arXiv 2101.08134.
"""

import math
from copy import deepcopy

import torch
from torch import Tensor, nn

_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU)
_WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Linear)
_JACOB_COV_OFFSET = 1e-5


def naswot(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Log-determinant of the kernel of binary activation codes.

    A unit is an element of an activation layer's input; its code is 1 if it is positive. The kernel entry
    of two images is the number of units minus the Hamming distance of their codes. Minus infinity if the
    kernel is singular: two images with equal codes, or fewer units than images.

    Source: Mellor et al. 2021, arXiv 2006.04647, for networks with ReLU only.
    """
    model = _training_mode_copy(network)
    units = 0
    jointly_active = torch.zeros(len(images), len(images), dtype=torch.float64, device=images.device)

    def count_active(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal units
        active = (inputs[0] > 0).flatten(1).float()
        units += active.shape[1]
        jointly_active.add_(active @ active.T)

    for module in model.modules():
        if isinstance(module, _ACTIVATIONS):
            module.register_forward_pre_hook(count_active)
    with torch.no_grad():
        model(images)
    active_counts = jointly_active.diagonal()
    kernel = units - (active_counts[:, None] + active_counts[None, :] - 2 * jointly_active)
    if int(torch.linalg.matrix_rank(kernel, hermitian=True)) < len(images):
        return -math.inf  # slogdet of a singular matrix is rounding noise
    return float(torch.linalg.slogdet(kernel).logabsdet)


def jacob_cov(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Decorrelation between images of the gradients of the summed outputs with respect to the pixels.

    Minus the sum of `log(v + k) + 1 / (v + k)` over the eigenvalues `v` of the correlation matrix of these
    gradients, `k = 1e-5`. NaN if the gradient of an image is constant over its pixels.

    Source: Mellor et al., arXiv 2006.04647v1; named in arXiv 2101.08134.
    """
    pixels = images.detach().clone().requires_grad_()
    (jacobian,) = torch.autograd.grad(_training_mode_copy(network)(pixels).sum(), pixels)
    correlation = torch.corrcoef(jacobian.flatten(1).double())
    if not bool(correlation.isfinite().all()):
        return math.nan
    eigenvalues = torch.linalg.eigvalsh(correlation).clamp(min=0) + _JACOB_COV_OFFSET
    return -float((eigenvalues.log() + 1 / eigenvalues).sum())


def grad_norm(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Sum over the layers of the Euclidean norm of the loss gradient with respect to the weights.

    Source: Abdelfattah et al. 2021, arXiv 2101.08134.
    """
    pairs = _weights_and_gradients(_training_mode_copy(network), images, labels)
    return sum(float(gradient.norm()) for _, gradient in pairs)


def snip(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Sum of |weight * loss gradient| over all weights: first-order effect of their removal on the loss.

    Source: Lee et al. 2019, arXiv 1810.02340; summed over the network in arXiv 2101.08134.
    """
    pairs = _weights_and_gradients(_training_mode_copy(network), images, labels)
    return sum(float((weight * gradient).abs().sum()) for weight, gradient in pairs)


def synflow(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Logarithm of the sum of weight * gradient of the summed outputs over all weights; data-free.

    The input is all ones, weights and biases are replaced by their absolute values, and batch normalisation
    is bypassed, so a network with ReLU is linear at this input. Computed in fp64 because the sum grows
    exponentially with depth. Minus infinity if no weight has a gradient.

    Args:
        images: only their shape is used.
    Source: Tanaka et al. 2020, arXiv 2006.05467; summed over the network in arXiv 2101.08134.
    """
    model = deepcopy(network).double().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda _, inputs, output: inputs[0])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    outputs = model(torch.ones_like(images[:1], dtype=torch.float64))
    pairs = _with_gradients(model, outputs.sum())
    total = sum(float((weight * gradient).sum()) for weight, gradient in pairs)
    return math.log(total) if total > 0 else -math.inf


def zico(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Inverse coefficient of variation of the gradients over two half batches, summed over the layers.

    Per weight: mean |gradient| divided by the standard deviation of the gradient. Per layer: the logarithm
    of the sum over its weights. Weights with a constant gradient are left out; a layer that has only such
    weights contributes 0.

    Source: Li et al. 2023, arXiv 2301.11300.
    """
    model = _training_mode_copy(network)
    halves = zip(images.chunk(2), labels.chunk(2), strict=True)
    gradients = [[gradient for _, gradient in _weights_and_gradients(model, *half)] for half in halves]
    value = 0.0
    for layer in zip(*gradients, strict=True):
        stacked = torch.stack(layer).double()
        std = stacked.std(0, correction=0)
        varying = std > 0
        total = float((stacked.abs().mean(0)[varying] / std[varying]).sum())
        value += math.log(total) if total > 0 else 0.0
    return value


def _training_mode_copy(network: nn.Module) -> nn.Module:
    """A copy with batch statistics in batch normalisation, and without dropout or stochastic depth."""
    model = deepcopy(network).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
    return model


def _weights_and_gradients(network: nn.Module, images: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Weights of each layer with the gradient of the mean cross-entropy."""
    return _with_gradients(network, nn.functional.cross_entropy(network(images), labels))


def _with_gradients(network: nn.Module, output: Tensor) -> list[tuple[Tensor, Tensor]]:
    weights = [module.weight for module in network.modules() if isinstance(module, _WEIGHTED)]
    gradients = torch.autograd.grad(output, weights)
    return [(weight.detach(), gradient) for weight, gradient in zip(weights, gradients, strict=True)]
