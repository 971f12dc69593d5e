"""What a network sees: which pixels speak for an answer, and what its blocks pass on."""

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
from ..data.in_memory import normalised

LEAST_HEAT_PX = 4
_BATCH = 256
_ANSWERS = 3


@dataclass(frozen=True, eq=False)
class Example:
    """An image with the network's answer.

    Attributes:
        position: in the split.
        pixels: `r x r x channels` uint8, as the network takes it, before normalisation.
        label: the true class.
        answers: the likeliest classes, most likely first, with their probabilities; at most three.
        heat: Grad-CAM of the first answer, `r x r` float32 from 0 to 1.
    """

    position: int
    pixels: NDArray[np.uint8]
    label: int
    answers: tuple[tuple[int, float], ...]
    heat: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class BlockView:
    """What a block makes of one image.

    Attributes:
        name: `stem`, `block 1` and so on, as `cost_by_part` names them.
        maps: the strongest channels of its output, `k x h x w` float32.
        channels: the numbers of these channels, `k`.
        gates: the gate of each expanded channel, from 0 to 1; None without attention.
    """

    name: str
    maps: NDArray[np.float32]
    channels: tuple[int, ...]
    gates: NDArray[np.float32] | None


def grad_cam(network: Network, images: Tensor, classes: Tensor, least_px: int = LEAST_HEAT_PX) -> Tensor:
    """Which places of an image speak for a class: Grad-CAM at the last feature maps that have places.

    The network judges in evaluation mode; its weights, gradients and modes stay as they were.

    Args:
        images: `n x channels x r x r`, normalised.
        classes: `n` int64, the class asked about in each image.
        least_px: the side that maps must have; those of small images shrink to a single place.
            Where none has it, the last are taken.
    Returns:
        `n x r x r` from 0 to 1, each divided by its maximum; all 0 where nothing speaks for the class.
    Source: Selvaraju et al. 2017, arXiv 1610.02391, equations 1 and 2.
    """
    parts = [network.stem, *network.blocks, network.features]
    with _judging(network), torch.inference_mode(False):
        with torch.no_grad():
            outputs = list(accumulate(parts, lambda x, part: part(x), initial=images))[1:]
        sides = [min(each.shape[2:]) for each in outputs]
        place = max((n for n, side in enumerate(sides) if side >= least_px), default=len(parts) - 1)
        maps = outputs[place].detach().requires_grad_()
        with torch.enable_grad():
            after = reduce(lambda x, part: part(x), parts[place + 1 :], maps)
            scores = network.answer(after).gather(1, classes[:, None])
        [slopes] = torch.autograd.grad(scores.sum(), maps)
    maps = maps.detach()
    heat = (slopes.mean((2, 3), keepdim=True) * maps).sum(1, keepdim=True).relu()
    heat = interpolate(heat, size=images.shape[2:], mode="bilinear").squeeze(1)
    most = heat.amax((1, 2), keepdim=True)
    return torch.where(most > 0, heat / most, heat)


def examples(
    network: Network, data: Data, split: Split, *, mistakes: int = 12, right: int = 6
) -> tuple[Example, ...]:
    """The images of a split that tell most about a network: its worst mistakes, then its closest calls.

    Mistakes come by -log p(true class), largest first; right answers by their confidence, least
    first. The split is gone through once, and only the images chosen stay in memory.

    Args:
        mistakes, right: the most of each to choose.
    Raises:
        DataError: an image cannot be read.
    """
    device = network.classifier.weight.device
    wrong: list[_Candidate] = []
    close: list[_Candidate] = []
    seen = 0
    with _judging(network), torch.inference_mode():
        for images, labels in data.batches(split, network.architecture.resolution_px, _BATCH):
            log_chances = network(images.to(device)).float().log_softmax(1).cpu()
            is_right = log_chances.argmax(1) == labels
            batch = _Batch(seen, images, labels, log_chances)
            wrong = _most_surprising([*wrong, *batch.candidates(~is_right, mistakes)], mistakes)
            close = _most_surprising([*close, *batch.candidates(is_right, right)], right)
            seen += len(labels)
    return _with_heat(network, data, [*wrong, *close])


@dataclass(frozen=True, eq=False)
class _Candidate:
    """An image that may be shown; `surprise` is -log p(true class)."""

    surprise: float
    position: int
    image: Tensor
    label: int
    answers: tuple[tuple[int, float], ...]


@dataclass(frozen=True, eq=False)
class _Batch:
    first: int
    images: Tensor
    labels: Tensor
    log_chances: Tensor

    def candidates(self, among: Tensor, most: int) -> Iterator[_Candidate]:
        """The most surprising of the images marked."""
        surprise = -self.log_chances.gather(1, self.labels[:, None]).squeeze(1)
        places = among.nonzero().flatten()
        order = surprise[places].argsort(descending=True, stable=True)
        for place in places[order[:most]].tolist():
            best = self.log_chances[place].exp().topk(min(_ANSWERS, self.log_chances.shape[1]))
            yield _Candidate(
                surprise=float(surprise[place]),
                position=self.first + place,
                image=self.images[place].clone(),  # a view would keep its whole batch in memory
                label=int(self.labels[place]),
                answers=tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True)),
            )


def _most_surprising(candidates: list[_Candidate], most: int) -> list[_Candidate]:
    return sorted(candidates, key=lambda each: -each.surprise)[:most]


def _with_heat(network: Network, data: Data, chosen: list[_Candidate]) -> tuple[Example, ...]:
    if not chosen:
        return ()
    images = torch.stack([each.image for each in chosen])
    first = torch.tensor([each.answers[0][0] for each in chosen])
    device = network.classifier.weight.device
    heat = grad_cam(network, images.to(device), first.to(device)).cpu().numpy()
    # Undone, the normalisation gives the bytes back but for rounding.
    pixels = images.permute(0, 2, 3, 1) * torch.tensor(data.pixel_std) + torch.tensor(data.pixel_mean)
    bytes_ = pixels.round().clamp(0, 255).to(torch.uint8).numpy()
    return tuple(
        Example(each.position, bytes_[place], each.label, each.answers, heat[place])
        for place, each in enumerate(chosen)
    )


def as_input(pixels: NDArray[np.uint8], data: Data) -> Tensor:
    """An example's pixels as a network takes them, `1 x channels x r x r`, normalised."""
    return normalised(
        torch.from_numpy(pixels)[None], torch.tensor(data.pixel_mean), torch.tensor(data.pixel_std)
    )


def views(network: Network, image: Tensor, maps: int = 6) -> tuple[BlockView, ...]:
    """What the stem and each block make of an image, in the order they run.

    Args:
        image: `1 x channels x r x r`, normalised.
        maps: the most channels of a part to show; those of the largest mean absolute value.
    """
    parts = {"stem": network.stem, **{f"block {n}": block for n, block in enumerate(network.blocks, 1)}}
    gates = {
        name: part.attention.get_submodule("gate")
        for name, part in parts.items()
        if isinstance(part, Bneck) and part.attention is not None
    }
    with _judging(network), torch.inference_mode(), _outputs(parts) as given, _outputs(gates) as opened:
        network(image.to(network.classifier.weight.device))
    found = []
    for name, output in given.items():
        strongest = np.argsort(-np.abs(output).mean((1, 2)), kind="stable")[:maps]
        gate = opened[name].ravel() if name in opened else None
        found.append(BlockView(name, output[strongest], tuple(strongest.tolist()), gate))
    return tuple(found)


@contextmanager
def _outputs(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, NDArray[np.float32]]]:
    """Filled with what each module makes of the first image, while inside."""
    outputs: dict[str, NDArray[np.float32]] = {}

    def watch(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def keep(module: nn.Module, given: Any, out: Tensor) -> None:
            # A copy: later layers may work in place.
            outputs[name] = out[0].detach().float().cpu().clone().numpy()

        return module.register_forward_hook(keep)

    handles = [watch(name, module) for name, module in modules.items()]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _judging(network: Network) -> Iterator[None]:
    """Evaluation mode while inside; then each module's own mode again."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
