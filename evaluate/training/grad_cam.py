"""Grad-CAM heatmaps, example images and block activations of a trained network."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ...search_space.network import Bneck, Network
from ..data.dataset import Data, Split
from ..data.in_memory import normalize

MIN_HEATMAP_PX = 4
_BATCH = 256
_TOP_K = 3


@dataclass(frozen=True, eq=False)
class Example:
    """An image with the network's prediction.

    Attributes:
        position: index in the split.
        pixels: `r x r x channels` uint8, resized to the network input, before normalisation.
        label: true class.
        top_predictions: up to three `(class, probability)` pairs, most likely first.
        heatmap: Grad-CAM of the predicted class, `r x r` float32 from 0 to 1.
    """

    position: int
    pixels: NDArray[np.uint8]
    label: int
    top_predictions: tuple[tuple[int, float], ...]
    heatmap: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class BlockActivations:
    """Output of a block for one image.

    Attributes:
        name: `stem`, `block 1` and so on, as in `cost_breakdown`.
        maps: channels with the largest mean absolute value, `k x h x w` float32.
        channels: indices of these channels, `k`.
        gates: attention gate of each expanded channel, from 0 to 1; None without attention.
    """

    name: str
    maps: NDArray[np.float32]
    channels: tuple[int, ...]
    gates: NDArray[np.float32] | None


def grad_cam(network: Network, images: Tensor, classes: Tensor, min_size_px: int = MIN_HEATMAP_PX) -> Tensor:
    """Grad-CAM at the last feature maps of at least `min_size_px` pixels, in evaluation mode.

    Weights, gradients and training modes of the network are left unchanged.

    Args:
        images: `n x channels x r x r`, normalised.
        classes: `n` int64, the class to explain in each image.
        min_size_px: minimum side of the feature maps, which shrink to 1 x 1 for small images. If none is
            that large, the last ones are used.
    Returns:
        `n x r x r` from 0 to 1, each divided by its maximum; all 0 without positive evidence.
    Source: Selvaraju et al. 2017, arXiv 1610.02391, equations 1 and 2.
    """
    parts = [network.stem, *network.blocks, network.features]
    with _evaluation_mode(network), torch.inference_mode(False):
        with torch.no_grad():
            outputs = list(accumulate(parts, lambda x, part: part(x), initial=images))[1:]
        sides = [min(each.shape[2:]) for each in outputs]
        index = max((n for n, side in enumerate(sides) if side >= min_size_px), default=len(parts) - 1)
        maps = outputs[index].detach().requires_grad_()
        with torch.enable_grad():
            after = reduce(lambda x, part: part(x), parts[index + 1 :], maps)
            scores = network.forward_classifier(after).gather(1, classes[:, None])
        [gradients] = torch.autograd.grad(scores.sum(), maps)
    maps = maps.detach()
    heatmap = (gradients.mean((2, 3), keepdim=True) * maps).sum(1, keepdim=True).relu()
    heatmap = interpolate(heatmap, size=images.shape[2:], mode="bilinear").squeeze(1)
    count = heatmap.amax((1, 2), keepdim=True)
    return torch.where(count > 0, heatmap / count, heatmap)


def select_examples(
    network: Network, data: Data, split: Split, *, mistakes: int = 12, correct: int = 6
) -> tuple[Example, ...]:
    """Select the worst mistakes, then the least confident correct predictions of a split.

    Mistakes are sorted by -log p(true class), descending; correct predictions by confidence, ascending.
    One pass over the split; only the selected images stay in memory.

    Args:
        mistakes, correct: maximum number of each.
    Raises:
        DataError: an image cannot be read.
    """
    device = network.classifier.weight.device
    worst: list[_Candidate] = []
    least_confident: list[_Candidate] = []
    first_position = 0
    with _evaluation_mode(network), torch.inference_mode():
        for images, labels in data.batches(split, network.architecture.resolution_px, _BATCH):
            log_probabilities = network(images.to(device)).float().log_softmax(1).cpu()
            is_correct = log_probabilities.argmax(1) == labels
            batch = (first_position, images, labels, log_probabilities)
            worst = _highest_nll([*worst, *_candidates(*batch, ~is_correct, mistakes)], mistakes)
            least_confident = _highest_nll(
                [*least_confident, *_candidates(*batch, is_correct, correct)], correct
            )
            first_position += len(labels)
    return _with_heatmaps(network, data, [*worst, *least_confident])


@dataclass(frozen=True, eq=False)
class _Candidate:
    nll: float  # -log p(true class)
    position: int
    image: Tensor
    label: int
    top_predictions: tuple[tuple[int, float], ...]


def _candidates(
    first_position: int, images: Tensor, labels: Tensor, log_probabilities: Tensor, mask: Tensor, count: int
) -> Iterator[_Candidate]:
    """The `count` images of `mask` with the highest -log p(true class)."""
    nll = -log_probabilities.gather(1, labels[:, None]).squeeze(1)
    indices = mask.nonzero().flatten()
    order = nll[indices].argsort(descending=True, stable=True)
    for index in indices[order[:count]].tolist():
        best = log_probabilities[index].exp().topk(min(_TOP_K, log_probabilities.shape[1]))
        yield _Candidate(
            nll=float(nll[index]),
            position=first_position + index,
            image=images[index].clone(),  # a view would hold the whole batch in memory
            label=int(labels[index]),
            top_predictions=tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True)),
        )


def _highest_nll(candidates: list[_Candidate], count: int) -> list[_Candidate]:
    return sorted(candidates, key=lambda each: -each.nll)[:count]


def _with_heatmaps(network: Network, data: Data, chosen: list[_Candidate]) -> tuple[Example, ...]:
    if not chosen:
        return ()
    images = torch.stack([each.image for each in chosen])
    first = torch.tensor([each.top_predictions[0][0] for each in chosen])
    device = network.classifier.weight.device
    heatmap = grad_cam(network, images.to(device), first.to(device)).cpu().numpy()
    bytes_ = _to_pixels(images, data)
    return tuple(
        Example(each.position, bytes_[index], each.label, each.top_predictions, heatmap[index])
        for index, each in enumerate(chosen)
    )


def first_of_each_class(
    data: Data, split: Split, resolution_px: int, *, classes: int = 20
) -> tuple[tuple[int, NDArray[np.uint8]], ...]:
    """Label and pixels of the first image of each class of a split, by label.

    Args:
        classes: maximum number; reading ends with the last of them.
    Raises:
        DataError: an image cannot be read.
    """
    wanted, found = set(range(min(classes, len(data.class_names)))), dict[int, Tensor]()
    for images, labels in data.batches(split, resolution_px, _BATCH):
        for image, label in zip(images, labels.tolist(), strict=True):
            if label in wanted and label not in found:
                found[label] = image.clone()  # a view would hold the whole batch in memory
        if wanted == found.keys():
            break
    return tuple((label, _to_pixels(found[label][None], data)[0]) for label in sorted(found))


def _to_pixels(images: Tensor, data: Data) -> NDArray[np.uint8]:
    """Invert the normalisation of `n x channels x r x r` images: `n x r x r x channels`."""
    pixels = images.permute(0, 2, 3, 1) * torch.tensor(data.pixel_std) + torch.tensor(data.pixel_mean)
    bytes_: NDArray[np.uint8] = pixels.round().clamp(0, 255).to(torch.uint8).numpy()
    return bytes_


def to_network_input(pixels: NDArray[np.uint8], data: Data) -> Tensor:
    """Normalise the pixels of an example: `1 x channels x r x r`."""
    return normalize(
        torch.from_numpy(pixels)[None], torch.tensor(data.pixel_mean), torch.tensor(data.pixel_std)
    )


def block_activations(network: Network, image: Tensor, maps: int = 6) -> tuple[BlockActivations, ...]:
    """Outputs of the stem and each block for an image, in order of execution.

    Args:
        image: `1 x channels x r x r`, normalised.
        maps: maximum number of channels per block; those with the largest mean absolute value.
    """
    parts = {"stem": network.stem, **{f"block {n}": block for n, block in enumerate(network.blocks, 1)}}
    gates = {
        name: part.attention.get_submodule("gate")
        for name, part in parts.items()
        if isinstance(part, Bneck) and part.attention is not None
    }
    with (
        _evaluation_mode(network),
        torch.inference_mode(),
        _outputs(parts) as part_outputs,
        _outputs(gates) as gate_outputs,
    ):
        network(image.to(network.classifier.weight.device))
    activations = []
    for name, output in part_outputs.items():
        strongest = np.argsort(-np.abs(output).mean((1, 2)), kind="stable")[:maps]
        gate = gate_outputs[name].ravel() if name in gate_outputs else None
        activations.append(BlockActivations(name, output[strongest], tuple(strongest.tolist()), gate))
    return tuple(activations)


@contextmanager
def _outputs(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, NDArray[np.float32]]]:
    """Collect the output of each module for the first image of a forward pass."""
    outputs: dict[str, NDArray[np.float32]] = {}

    def register(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def store_output(module: nn.Module, part_outputs: Any, out: Tensor) -> None:
            # Clone: later layers may work in place.
            outputs[name] = out[0].detach().float().cpu().clone().numpy()

        return module.register_forward_hook(store_output)

    handles = [register(name, module) for name, module in modules.items()]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _evaluation_mode(network: Network) -> Iterator[None]:
    """Evaluation mode inside; restores the mode of each module."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
