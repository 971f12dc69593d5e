"""Soft labels of a teacher in the loss."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from bneck.evaluate.data.in_memory import InMemoryData
from bneck.evaluate.training.distillation import Distillation, Teacher, load_teacher
from bneck.evaluate.training.train import train
from bneck.search_space import RunError
from bneck.search_space.network import Network
from bneck.search_space.onnx_graph import build_onnx_model

from ..example_training import PLAIN, SMALL, noise_data, toy


def weights(network: Network) -> torch.Tensor:
    return torch.cat([value.flatten() for value in network.parameters()])


def teacher_of(network: Network, data: InMemoryData | None = None) -> Teacher:
    return Teacher.of(network, data or noise_data())


def trained(data: InMemoryData, distillation: Distillation | None, augment: str = "none") -> torch.Tensor:
    network = toy()
    recipe = replace(PLAIN, epochs=2, augment=augment)
    train(network, data, recipe, seed=1, distillation=distillation)
    return weights(network)


def test_the_loss_is_a_weighted_mean_of_two_cross_entropies() -> None:
    network, data = toy(seed=5).eval(), noise_data()
    images, logits = torch.randn(3, 3, 8, 8), torch.randn(3, 2)
    teacher = teacher_of(network)
    loss = Distillation(teacher, 0.7).loss(torch.tensor(2.0), logits, teacher.soft_labels(images, data))
    with torch.inference_mode():
        given = np.exp(network(images).double().numpy())
    learned = np.exp(logits.double().numpy())
    p, q = (each / each.sum(1, keepdims=True) for each in (given, learned))
    assert float(loss) == pytest.approx(0.3 * 2.0 - 0.7 * (p * np.log(q)).sum(1).mean(), rel=1e-5)


def test_the_teacher_sees_images_at_its_own_resolution() -> None:
    teacher = teacher_of(toy(replace(SMALL, resolution_px=16)))
    flat = torch.randn(3, 3, 1, 1)  # a constant image is the same at all sizes
    small, large = (teacher.soft_labels(flat.expand(-1, -1, side, side), noise_data()) for side in (8, 16))
    torch.testing.assert_close(small, large)


def test_the_teacher_sees_pixels_with_its_own_normalisation() -> None:
    data = noise_data()
    others = data.with_normalization((10.0, 20.0, 30.0), (40.0, 50.0, 60.0))
    teacher = teacher_of(toy(seed=5), data)
    (images, _), (as_others, _) = (next(each.batches("train", 8, 20)) for each in (data, others))
    assert not images.allclose(as_others)
    expected = teacher.soft_labels(images, data)
    torch.testing.assert_close(teacher.soft_labels(as_others, others), expected)
    torch.testing.assert_close(teacher.soft_labels(as_others, others, keep=True), expected)


def test_without_weight_nothing_changes_and_with_all_of_it_the_labels_do_not_matter() -> None:
    teacher, data = teacher_of(toy(seed=5)), noise_data()
    renamed = noise_data()
    renamed.splits["train"].labels.fill_(1)
    assert trained(data, Distillation(teacher, 0)).equal(trained(data, None))
    assert trained(data, Distillation(teacher, 1)).equal(trained(renamed, Distillation(teacher, 1)))
    assert not trained(data, Distillation(teacher, 1)).equal(trained(data, None))


class Counting(torch.nn.Module):
    """Counts the images that a network sees."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network, self.images = network, 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.images += len(images)
        logits: torch.Tensor = self.network(images)
        return logits


def test_images_that_are_not_augmented_are_seen_once_whatever_the_training() -> None:
    counting, data = Counting(toy(seed=5).eval()), noise_data()
    shared = replace(teacher_of(toy(seed=5)), model=counting)
    first = trained(data, Distillation(shared))
    assert counting.images == data.count("train") == 20
    assert first.equal(trained(data, Distillation(shared)))  # all of them kept
    assert first.equal(trained(data, Distillation(teacher_of(toy(seed=5)))))  # none of them yet
    assert counting.images == 20
    trained(data, Distillation(shared), augment="flip-crop")
    assert counting.images == 20 + 2 * 20


def test_the_teacher_does_not_change() -> None:
    teacher = toy(seed=5)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    trained(noise_data(), Distillation(teacher_of(teacher)))
    assert all(value.equal(before[name]) for name, value in teacher.state_dict().items())


def onnx_file(path: Path, network: Network, batch_size: int | None, **properties: object) -> Path:
    model = build_onnx_model(network.eval())
    onnx.helper.set_model_props(model, {name: json.dumps(each) for name, each in properties.items()})
    if batch_size:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch_size
    path.write_bytes(model.SerializeToString())
    return path


PROPERTIES = {"class_names": ["a", "b"], "pixel_mean": [1.0, 2.0, 3.0], "pixel_std": [4.0, 5.0, 6.0]}


@pytest.mark.parametrize("batch_size", [None, 1, 3])
def test_an_onnx_model_is_the_same_teacher(tmp_path: Path, batch_size: int | None) -> None:
    network, images = toy(seed=5), torch.randn(4, 3, 8, 8)
    teacher = load_teacher(onnx_file(tmp_path / "teacher.onnx", network, batch_size, **PROPERTIES))
    assert (teacher.class_names, teacher.pixel_mean, teacher.resolution_px) == (
        ("a", "b"),
        (1.0, 2.0, 3.0),
        8,
    )
    data = noise_data().with_normalization((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    with torch.inference_mode():
        expected = network(images).softmax(1)
    torch.testing.assert_close(teacher.soft_labels(images, data), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("changes", [{"class_names": None}, {"class_names": ["a"]}, {"pixel_mean": [1.0]}])
def test_an_onnx_model_without_classes_or_normalisation_is_no_teacher(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    properties = {name: each for name, each in (PROPERTIES | changes).items() if each}
    file = onnx_file(tmp_path / "teacher.onnx", toy(), None, **properties)
    with pytest.raises(RunError, match=r"teacher\.onnx: a teacher needs .* class_names"):
        load_teacher(file)
    file.write_bytes(b"no model")
    with pytest.raises(RunError, match="cannot load the model"):
        load_teacher(file)
