"""Grad-CAM against CAM (Zhou et al. 2016) and numeric derivatives; activations against the layers."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from bneck.evaluate.data.in_memory import InMemoryData, LabelledImages, in_memory_data
from bneck.evaluate.training.grad_cam import (
    block_activations,
    first_of_each_class,
    grad_cam,
    select_examples,
    to_network_input,
)
from bneck.search_space import Architecture, Block, Head, cost_breakdown
from bneck.search_space.network import Network, build_network

from ...search_space.helpers import TOY

HIDDEN = replace(TOY, head=Head(10, 6), classes=3)
FOUR_CLASSES = replace(TOY, classes=4)
ECA = replace(TOY, blocks=(Block(3, 8, 4, "none", "relu", 1), Block(3, 16, 6, "eca", "relu", 1)))


def seen(count: int, classes: int = 4) -> InMemoryData:
    """Colour images of random bytes."""
    bytes_ = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    images = LabelledImages(torch.from_numpy(bytes_), torch.arange(count) % classes)
    names = tuple("abcd"[:classes])
    return in_memory_data(
        "seen", names, {"train": images, "validation": images, "test": images}, horizontal_flip=False
    )


def as_taken(data: InMemoryData) -> Tensor:
    """All test images, normalised."""
    pixels = data.splits["test"].pixels.numpy()
    flat = pixels.reshape(-1, 3)
    return torch.from_numpy((pixels - flat.mean(0)) / flat.std(0)).permute(0, 3, 1, 2).float()


def network_of(architecture: Architecture, seed: int = 0) -> Network:
    """A network whose batch normalisation statistics differ from their initial values."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network(architecture)
        network.train()
        network(torch.randn(32, *network.input_shape))
    return network.eval()


def noise(count: int) -> Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def last_maps(network: Network, images: Tensor) -> Tensor:
    with torch.no_grad():
        return network.features(network.blocks(network.stem(images)))  # type: ignore[no-any-return]


def enlarged(heatmap: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Bilinear upsampling with half-pixel centers and clamped edges."""
    old = len(heatmap)
    places = (np.arange(side) + 0.5) * old / side - 0.5
    rows = np.stack([np.interp(places, np.arange(old), row) for row in heatmap])
    return np.stack([np.interp(places, np.arange(old), column) for column in rows.T], axis=1)


def test_without_a_hidden_layer_grad_cam_is_the_class_activation_map() -> None:
    # Zhou et al. 2016: the maps weighted by the classifier.
    network, images = network_of(TOY), noise(4)
    maps = last_maps(network, images).numpy().astype(np.float64)
    assert maps.shape == (4, 10, 2, 2)
    weights = network.classifier.weight.detach().numpy()
    heatmap = grad_cam(network, images, torch.tensor([0, 1, 1, 0]), min_size_px=1)
    assert heatmap.shape == (4, 8, 8)
    for actual, own_maps, label in zip(heatmap, maps, (0, 1, 1, 0), strict=True):
        wanted = enlarged(np.maximum(np.tensordot(weights[label], own_maps, 1), 0), 8)
        assert wanted.max() > 0
        np.testing.assert_allclose(actual, wanted / wanted.max(), atol=1e-5)


def test_with_a_hidden_layer_the_weights_are_the_slopes_of_the_score() -> None:
    network, images = network_of(HIDDEN).double(), noise(3).double()
    classes = torch.tensor([0, 1, 2])
    maps = last_maps(network, images)
    step = 1e-6
    heatmap = grad_cam(network, images, classes, min_size_px=1)
    for place in range(3):

        def score(maps: Tensor, label: int = place) -> float:
            assert network.hidden
            return float(network.classifier(network.hidden(maps.mean((1, 2))))[label])

        slopes = []
        for channel in range(10):
            shift = torch.zeros(10, 1, 1, dtype=torch.float64)
            shift[channel] = step
            with torch.no_grad():
                slopes.append((score(maps[place] + shift) - score(maps[place] - shift)) / (2 * step))
        wanted = enlarged(np.maximum(np.tensordot(slopes, maps[place].numpy(), 1), 0), 8)
        assert wanted.max() > 0
        np.testing.assert_allclose(heatmap[place], wanted / wanted.max(), atol=1e-6)


@pytest.mark.parametrize("frozen", [False, True], ids=["trainable", "frozen"])
def test_explaining_leaves_the_network_as_it_was(frozen: bool) -> None:
    network = network_of(FOUR_CLASSES).requires_grad_(not frozen).train()
    network.blocks[0].eval()  # as when a part is frozen
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    grad_cam(network, noise(2), torch.tensor([0, 1]))
    select_examples(network, seen(3), "test")
    block_activations(network, noise(1))
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(weights[name], tensor) for name, tensor in network.state_dict().items())
    assert all(p.grad is None and p.requires_grad is not frozen for p in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())


def test_grad_cam_judges_whatever_mode_the_network_and_torch_are_in() -> None:
    network, images, classes = network_of(HIDDEN), noise(5), torch.tensor([0, 1, 2, 0, 1])
    heatmap = grad_cam(network, images, classes)
    assert not heatmap.requires_grad
    with torch.inference_mode():
        assert torch.equal(grad_cam(network.train(), images.clone(), classes), heatmap)
    # The heatmap of an image does not depend on the other images.
    alone = torch.cat([grad_cam(network, images[[n]], classes[[n]]) for n in range(5)])
    assert torch.allclose(alone, heatmap, atol=1e-5)


def test_maps_that_have_shrunk_too_far_are_passed_by() -> None:
    # 8 px: the stem and block 1 have 4 x 4 places, block 2 and the features 2 x 2
    network, images, classes = network_of(TOY), noise(2), torch.tensor([0, 1])
    with torch.no_grad():
        maps = network.blocks[0](network.stem(images))
    step = torch.zeros_like(maps, requires_grad=True)
    network.head(network.blocks[1](maps + step)).gather(1, classes[:, None]).sum().backward()  # type: ignore[no-untyped-call]
    assert step.grad is not None
    weights = step.grad.mean((2, 3)).numpy().astype(np.float64)
    heatmap = grad_cam(network, images, classes)
    for actual, own, weight in zip(heatmap, maps.numpy().astype(np.float64), weights, strict=True):
        wanted = enlarged(np.maximum(np.tensordot(weight, own, 1), 0), 8)
        np.testing.assert_allclose(actual, wanted / wanted.max(), atol=1e-4)


def test_where_no_map_is_large_enough_the_last_is_taken() -> None:
    network, images, classes = network_of(TOY), noise(2), torch.tensor([0, 1])
    assert torch.equal(grad_cam(network, images, classes, 9), grad_cam(network, images, classes, 1))


def test_where_nothing_speaks_for_a_class_the_heat_is_zero() -> None:
    network = network_of(TOY)
    with torch.no_grad():
        network.classifier.weight[1] = 0
    heatmap = grad_cam(network, noise(2), torch.tensor([1, 0]))
    assert torch.equal(heatmap[0], torch.zeros(8, 8))
    assert heatmap[1].max() == 1


def test_the_examples_are_the_worst_mistakes_and_then_the_closest_right_answers() -> None:
    network, data = network_of(FOUR_CLASSES), seen(600)  # three batches
    images, labels = as_taken(data), data.labels("test").numpy()
    with torch.no_grad():
        chances = network(images).double().softmax(1).numpy()
    of_truth = chances[np.arange(600), labels]
    is_right = chances.argmax(1) == labels
    order = np.argsort(of_truth)
    wrong, correct = order[~is_right[order]], order[is_right[order]]
    shown = select_examples(network, data, "test")
    assert [example.position for example in shown] == [*wrong[:12], *correct[:6]]
    assert {example.position // 256 for example in shown} == {0, 1, 2}
    for example in shown:
        best = np.argsort(-chances[example.position])[:3]
        assert example.label == labels[example.position]
        assert [answer for answer, _ in example.top_predictions] == best.tolist()
        assert [chance for _, chance in example.top_predictions] == pytest.approx(
            chances[example.position][best], abs=1e-5
        )
        heatmap = grad_cam(network, images[[example.position]], torch.tensor([best[0]]))
        np.testing.assert_allclose(example.heatmap, heatmap[0], atol=1e-4)
        assert np.array_equal(example.pixels, data.splits["test"].pixels[example.position])


def test_the_split_is_gone_through_once_and_as_the_network_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def batches(self: InMemoryData, *wanted: object, **others: object) -> Iterator[tuple[Tensor, Tensor]]:
        asked.append((wanted, others))
        return iter(((noise(2), torch.tensor([0, 1])),))

    monkeypatch.setattr(InMemoryData, "batches", batches)
    select_examples(network_of(FOUR_CLASSES), seen(2), "validation")
    assert asked == [(("validation", 8, 256), {})]


def test_there_may_be_fewer_examples_than_asked_for_or_none() -> None:
    network, data = network_of(FOUR_CLASSES), seen(5)
    assert sorted(example.position for example in select_examples(network, data, "test")) == [0, 1, 2, 3, 4]
    assert select_examples(network, data, "test", mistakes=0, correct=0) == ()
    with torch.no_grad():
        network.classifier.bias[0] = 1e3
    # It always predicts class 0, the class of images 0 and 4.
    assert {example.position for example in select_examples(network, data, "test", mistakes=0)} == {0, 4}
    assert [
        example.top_predictions[0][0] for example in select_examples(network, data, "test", correct=0)
    ] == [
        0,
        0,
        0,
    ]
    two = select_examples(network_of(TOY), seen(2, classes=2), "test")
    assert [len(example.top_predictions) for example in two] == [2, 2]


def test_an_examples_pixels_are_again_what_the_network_took() -> None:
    data = seen(3)
    [shown] = [
        example
        for example in select_examples(network_of(FOUR_CLASSES), data, "test")
        if example.position == 1
    ]
    assert torch.allclose(to_network_input(shown.pixels, data), as_taken(data)[[1]], atol=1e-5)


def test_a_view_shows_the_channels_of_largest_mean_absolute_value() -> None:
    network, image = network_of(TOY), noise(1)
    shown = block_activations(network, image, maps=3)
    assert [example.name for example in shown] == [name for name in cost_breakdown(TOY) if name != "head"]
    with torch.no_grad():
        outputs = [network.stem(image)]
        outputs += [network.blocks[0](outputs[0])]
        outputs += [network.blocks[1](outputs[1])]
    for view, output in zip(shown, outputs, strict=True):
        maps = output[0].numpy()
        strength = np.abs(maps).mean((1, 2))
        assert len(view.channels) == 3
        assert list(view.channels) == sorted(range(len(maps)), key=lambda channel: -strength[channel])[:3]
        np.testing.assert_array_equal(view.maps, maps[list(view.channels)])
    assert len(block_activations(network, image)[0].channels) == 4  # the stem has no more


def test_the_gates_are_those_that_squeeze_and_excitation_multiplies_by() -> None:
    network, image = network_of(TOY), noise(1)
    block: Any = network.blocks[0]
    with torch.no_grad():
        pooled = block.depthwise(block.expand(network.stem(image))).mean((2, 3)).numpy()[0]
    reduce, restore = block.attention.reduce, block.attention.restore
    squeezed = reduce.weight.detach().numpy()[:, :, 0, 0] @ pooled + reduce.bias.detach().numpy()
    raw = (
        restore.weight.detach().numpy()[:, :, 0, 0] @ np.maximum(squeezed, 0) + restore.bias.detach().numpy()
    )
    stem, first, second = block_activations(network, image)
    assert stem.gates is None
    assert second.gates is None
    assert first.gates is not None
    # Howard et al. 2019: relu6(x + 3) / 6.
    np.testing.assert_allclose(first.gates, np.clip(raw + 3, 0, 6) / 6, atol=1e-6)


def test_the_gates_of_channel_attention_are_a_sigmoid_along_the_channels() -> None:
    network, image = network_of(ECA), noise(1)
    block: Any = network.blocks[1]
    with torch.no_grad():
        pooled = block.depthwise(block.expand(network.blocks[0](network.stem(image)))).mean((2, 3)).numpy()[0]
    kernel = block.attention.conv.weight.detach().numpy().ravel()
    assert len(kernel) == 3
    raw = np.correlate(np.pad(pooled, 1), kernel)
    gates = block_activations(network, image)[2].gates
    assert gates is not None
    np.testing.assert_allclose(gates, 1 / (1 + np.exp(-raw)), atol=1e-6)


def test_the_first_image_of_each_class_has_its_own_bytes_and_classes_without_one_are_left_out() -> None:
    data = seen(6, classes=3)  # labels 0, 1, 2, 0, 1, 2
    samples = first_of_each_class(data, "test", 8)
    assert [label for label, _ in samples] == [0, 1, 2]
    pixels = data.splits["test"].pixels.numpy()
    assert all((image == pixels[label]).all() for label, image in samples)
    assert [label for label, _ in first_of_each_class(data, "test", 8, classes=2)] == [0, 1]
    assert [label for label, _ in first_of_each_class(seen(2), "test", 8)] == [0, 1]
