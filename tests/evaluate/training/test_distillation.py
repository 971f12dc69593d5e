"""Soft labels of a teacher in the loss."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bneck.evaluate.data.in_memory import InMemoryData
from bneck.evaluate.training.distillation import Distillation
from bneck.evaluate.training.train import train
from bneck.search_space.network import Network

from ..example_training import PLAIN, SMALL, noise_data, toy


def weights(network: Network) -> torch.Tensor:
    return torch.cat([value.flatten() for value in network.parameters()])


def trained(data: InMemoryData, distillation: Distillation | None) -> torch.Tensor:
    network = toy()
    train(network, data, replace(PLAIN, epochs=1), seed=1, distillation=distillation)
    return weights(network)


def test_the_loss_is_a_weighted_mean_of_two_cross_entropies() -> None:
    teacher = toy(seed=5).eval()
    images, logits = torch.randn(3, 3, 8, 8), torch.randn(3, 2)
    loss = Distillation(teacher, 0.7).loss(torch.tensor(2.0), logits, images)
    with torch.inference_mode():
        given = np.exp(teacher(images).double().numpy())
    learned = np.exp(logits.double().numpy())
    p, q = (each / each.sum(1, keepdims=True) for each in (given, learned))
    assert float(loss) == pytest.approx(0.3 * 2.0 - 0.7 * (p * np.log(q)).sum(1).mean(), rel=1e-5)


def test_the_teacher_sees_images_at_its_own_resolution() -> None:
    teacher = toy(replace(SMALL, resolution_px=16)).eval()
    flat = torch.randn(3, 3, 1, 1)  # a constant image is the same at all sizes
    small, large = (Distillation(teacher).soft_labels(flat.expand(-1, -1, side, side)) for side in (8, 16))
    torch.testing.assert_close(small, large)


def test_without_weight_nothing_changes_and_with_all_of_it_the_labels_do_not_matter() -> None:
    teacher, data = toy(seed=5), noise_data()
    renamed = noise_data()
    renamed.splits["train"].labels.fill_(1)
    assert trained(data, Distillation(teacher, 0)).equal(trained(data, None))
    assert trained(data, Distillation(teacher, 1)).equal(trained(renamed, Distillation(teacher, 1)))
    assert not trained(data, Distillation(teacher, 1)).equal(trained(data, None))


def test_the_teacher_does_not_change() -> None:
    teacher = toy(seed=5)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    trained(noise_data(), Distillation(teacher))
    assert all(value.equal(before[name]) for name, value in teacher.state_dict().items())
