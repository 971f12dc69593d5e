"""Metrics against hand calculation and scikit-learn."""

import math
from dataclasses import replace

import pytest
import torch
from sklearn.metrics import (
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)
from torch import Tensor

from bneck.evaluate.data.dataset import load_data
from bneck.evaluate.training.metrics import Metrics, compute_metrics, predict
from bneck.search_space.network import build_network

from ...search_space.helpers import TOY

# Six images: probabilities of the classes, and the class. Predictions are a, a, b, b, a, b.
SIX = [
    ((0.70, 0.20, 0.10), "a"),
    ((0.52, 0.38, 0.10), "a"),
    ((0.20, 0.72, 0.08), "a"),
    ((0.05, 0.78, 0.17), "b"),
    ((0.50, 0.30, 0.20), "b"),
    ((0.13, 0.71, 0.16), "c"),
]
LOGITS = torch.tensor([chances for chances, _ in SIX]).log()
LABELS = torch.tensor(["abc".index(name) for _, name in SIX])


def constant_answer(yes: int, no: int) -> Metrics:
    """Metrics of a network that always answers `yes`."""
    labels = torch.tensor([0] * yes + [1] * no)
    return compute_metrics(torch.tensor([[2.0, 0.0]]).expand(yes + no, 2), labels, ["yes", "no"])


def random_answers(images: int, classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits that are often correct; the last class has no images."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes - 1, (images,), generator=generator)
    logits = torch.randn(images, classes, generator=generator)
    return logits + 2 * torch.nn.functional.one_hot(labels, classes), labels


def test_metrics_of_six_images_match_hand_calculation() -> None:
    metrics = compute_metrics(LOGITS, LABELS, "abc")
    assert metrics.images == 6
    assert metrics.top1 == pytest.approx(3 / 6)
    assert metrics.confusion == ((2, 1, 0), (1, 1, 0), (0, 1, 0))
    right = (0.70, 0.52, 0.20, 0.78, 0.30, 0.16)
    assert metrics.loss == pytest.approx(-sum(map(math.log, right)) / 6, rel=1e-5)


def test_each_class_has_its_precision_recall_and_f1() -> None:
    a, b, c = compute_metrics(LOGITS, LABELS, "abc").classes
    # a: predicted 3 times, 2 correct, of 3 images. b: predicted 3 times, 1 correct, of 2 images.
    assert (a.name, a.images) == ("a", 3)
    assert (a.precision, a.recall, a.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (b.name, b.images) == ("b", 2)
    assert (b.precision, b.recall, b.f1) == pytest.approx((1 / 3, 1 / 2, 2 / 5))
    # c is never predicted.
    assert (c.images, c.precision, c.recall, c.f1) == (1, 0, 0, 0)


def test_the_calibration_error_is_the_gap_between_confidence_and_accuracy_in_15_bins() -> None:
    # From 7/15 to 8/15: 0.52 right, 0.50 wrong; accuracy 0.5, confidence 0.51.
    # From 10/15 to 11/15: 0.70 right, 0.72 and 0.71 wrong; accuracy 1/3, confidence 0.71.
    # From 11/15 to 12/15: 0.78 right; accuracy 1.
    by_hand = 2 / 6 * (0.51 - 1 / 2) + 3 / 6 * (0.71 - 1 / 3) + 1 / 6 * (1 - 0.78)
    assert compute_metrics(LOGITS, LABELS, "abc").calibration_error == pytest.approx(by_hand, abs=1e-6)


def test_logits_between_0_and_1_are_not_taken_for_probabilities() -> None:
    metrics = compute_metrics(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([0]), "abc")
    assert metrics.calibration_error == pytest.approx(1 - math.e / (math.e + 2), abs=1e-6)


def test_confident_correct_predictions_have_no_loss_and_no_calibration_error() -> None:
    metrics = compute_metrics(torch.tensor([[1000.0, 0.0], [0.0, 1000.0]]), torch.tensor([0, 1]), "ab")
    assert (metrics.top1, metrics.loss, metrics.calibration_error) == (1, 0, 0)


def test_top5_counts_the_true_class_among_the_first_five_answers() -> None:
    # The true classes come first, fifth and sixth.
    logits = torch.arange(7.0, 0, -1).repeat(3, 1)
    metrics = compute_metrics(logits, torch.tensor([0, 4, 5]), "abcdefg")
    assert metrics.top1 == pytest.approx(1 / 3)
    assert metrics.top5 == pytest.approx(2 / 3)


@pytest.mark.parametrize(("classes", "has_top5"), [(5, False), (6, True)])
def test_top5_is_none_for_five_classes(classes: int, has_top5: bool) -> None:
    metrics = compute_metrics(*random_answers(10, classes), "abcdef"[:classes])
    assert (metrics.top5 is not None) == has_top5


@pytest.mark.parametrize(("images", "classes"), [(1, 2), (60, 2), (200, 12), (1, 1000), (300, 1000)])
def test_scikit_learn_agrees(images: int, classes: int) -> None:
    logits, labels = random_answers(images, classes)
    metrics = compute_metrics(logits, labels, [str(number) for number in range(classes)])
    every, answered = range(classes), logits.argmax(1)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, answered, labels=every, zero_division=0
    )
    assert [each.precision for each in metrics.classes] == pytest.approx(precision)
    assert [each.recall for each in metrics.classes] == pytest.approx(recall)
    assert [each.f1 for each in metrics.classes] == pytest.approx(f1)
    assert [each.images for each in metrics.classes] == list(support)
    assert metrics.confusion == tuple(map(tuple, confusion_matrix(labels, answered, labels=every)))
    assert metrics.top1 == pytest.approx((answered == labels).double().mean().item())
    assert metrics.loss == pytest.approx(log_loss(labels, logits.double().softmax(1), labels=every), rel=1e-5)
    if classes > 5:
        top5 = top_k_accuracy_score(labels, logits, k=5, labels=every)
        assert metrics.top5 == pytest.approx(top5)


def test_predictions_are_in_the_order_of_the_split_and_in_evaluation_mode() -> None:
    data = load_data("digits")
    torch.manual_seed(0)
    network = build_network(replace(TOY, image_channels=1, classes=10)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    logits, labels = predict(network, data, "validation")
    assert len(logits) > 256  # more than one batch
    assert (logits.shape, logits.dtype) == ((len(labels), 10), torch.float32)
    assert labels.equal(data.labels("validation"))
    assert all(value.equal(before[name]) for name, value in network.state_dict().items())
    first, _ = next(data.batches("validation", TOY.resolution_px, 7))
    assert logits[:7].allclose(network.eval()(first), atol=1e-5)
