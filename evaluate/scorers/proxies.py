"""Zero-cost proxies: what a network and one batch of images tell before any training.

Each is a function of the network, the images (`n x channels x r x r`) and their labels (`n` int64),
and leaves the network as it was. Higher is better. Batch normalisation uses the statistics of the
batch, as in a first training step (`synflow` leaves it out), and nothing is dropped at random.
Weights are those of convolutions and linear layers. A network that a proxy cannot tell anything of
gets an infinity or NaN.

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
    """Log-determinant of how many units respond alike to each two images.

    A unit is an element of an activation layer's input; its code is whether it is above zero. The kernel
    holds, for two images, the number of units less the Hamming distance of their codes. Minus infinity if it
    is singular, as with two images of one code, or fewer units than images.

    Source: Mellor et al. 2021, arXiv 2006.04647, where all activations are ReLU.
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
        return -math.inf  # where elimination may round to any small number
    return float(torch.linalg.slogdet(kernel).logabsdet)


def jacob_cov(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """How little the gradients of the outputs' sum by the pixels correlate between images.

    Minus the sum of `log(v + k) + 1 / (v + k)` over the eigenvalues `v` of their correlation matrix,
    `k = 1e-5`. NaN if an image has the same gradient in every pixel.

    Source: Mellor et al., arXiv 2006.04647v1; the name is of arXiv 2101.08134.
    """
    pixels = images.detach().clone().requires_grad_()
    (jacobian,) = torch.autograd.grad(_training_mode_copy(network)(pixels).sum(), pixels)
    correlation = torch.corrcoef(jacobian.flatten(1).double())
    if not bool(correlation.isfinite().all()):
        return math.nan
    eigenvalues = torch.linalg.eigvalsh(correlation).clamp(min=0) + _JACOB_COV_OFFSET
    return -float((eigenvalues.log() + 1 / eigenvalues).sum())


def grad_norm(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Sum over the layers of the Euclidean norm of the loss's gradient by their weights.

    Source: Abdelfattah et al. 2021, arXiv 2101.08134.
    """
    pairs = _weights_and_gradients(_training_mode_copy(network), images, labels)
    return sum(float(gradient.norm()) for _, gradient in pairs)


def snip(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Sum over all weights of |weight times the loss's gradient|: what the loss would feel of their removal.

    Source: Lee et al. 2019, arXiv 1810.02340; summed over a network in arXiv 2101.08134.
    """
    pairs = _weights_and_gradients(_training_mode_copy(network), images, labels)
    return sum(float((weight * gradient).abs().sum()) for weight, gradient in pairs)


def synflow(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Logarithm of the sum over all weights of weight times the outputs' gradient, without any data.

    The image is all ones, weights and biases are their absolute values, and batch normalisation passes
    its input on, so that with ReLU the network is linear there. In fp64, for the sum grows by a factor a
    layer. Minus infinity if no weight has a gradient.

    Args:
        images: of which the shape counts alone.
    Source: Tanaka et al. 2020, arXiv 2006.05467; summed over a network in arXiv 2101.08134.
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
    """How steady the gradients are from one half of the batch to the other, as a sum over the layers.

    Of each weight, the mean |gradient| over the deviation of its gradient; of each layer, the logarithm of
    the sum of these. Weights whose gradient does not change count for nothing, as do layers without others.

    Source: Li et al. 2023, arXiv 2301.11300.
    """
    model = _training_mode_copy(network)
    halves = zip(images.chunk(2), labels.chunk(2), strict=True)
    gradients = [[each for _, each in _weights_and_gradients(model, *half)] for half in halves]
    value = 0.0
    for layer in zip(*gradients, strict=True):
        stacked = torch.stack(layer).double()
        std = stacked.std(0, correction=0)
        varying = std > 0
        total = float((stacked.abs().mean(0)[varying] / std[varying]).sum())
        value += math.log(total) if total > 0 else 0.0
    return value


def _training_mode_copy(network: nn.Module) -> nn.Module:
    """A copy that normalises by the batch and drops nothing."""
    model = deepcopy(network).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
    return model


def _weights_and_gradients(network: nn.Module, images: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Each layer's weights, with the gradient of the mean cross-entropy."""
    return _with_gradients(network, nn.functional.cross_entropy(network(images), labels))


def _with_gradients(network: nn.Module, output: Tensor) -> list[tuple[Tensor, Tensor]]:
    weights = [module.weight for module in network.modules() if isinstance(module, _WEIGHTED)]
    gradients = torch.autograd.grad(output, weights)
    return [(weight.detach(), each) for weight, each in zip(weights, gradients, strict=True)]
