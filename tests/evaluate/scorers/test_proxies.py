"""Zero-cost proxies against networks of a few weights, worked out by hand."""

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from bneck.evaluate.scorers import proxies
from bneck.evaluate.training.train import seeded_network

from ..example_training import SMALL

NO_LABELS = torch.zeros(0, dtype=torch.int64)
ALL = (
    proxies.naswot,
    proxies.jacob_cov,
    proxies.grad_norm,
    proxies.snip,
    proxies.synflow,
    proxies.zico,
)


def linear(*rows: Sequence[float], bias: Sequence[float] | None = None) -> nn.Linear:
    """A linear layer with these weights, a row an output."""
    layer = nn.Linear(len(rows[0]), len(rows), bias=bias is not None)
    layer.weight.data = torch.tensor(rows, dtype=torch.float32)
    if bias is not None:
        layer.bias.data = torch.tensor(bias, dtype=torch.float32)
    return layer


def pointwise(*rows: Sequence[float]) -> nn.Conv2d:
    """A 1x1 convolution with these weights."""
    layer = nn.Conv2d(len(rows[0]), len(rows), 1, bias=False)
    layer.weight.data = torch.tensor(rows, dtype=torch.float32)[:, :, None, None]
    return layer


def labels(*classes: int) -> Tensor:
    return torch.tensor(classes)


# -------------------------------------------------------------------------------------- naswot

IDENTITY = linear([1, 0, 0], [0, 1, 0], [0, 0, 1])
# codes 100, 010, 111 of three units: distances 2 (first two), 2 (first, last), 2 (second, last)
CORNERS = torch.tensor([[1.0, -1, -1], [-1, 1, -1], [1, 1, 1]])


@pytest.mark.parametrize("activation", [nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU])
def test_naswot_is_the_log_determinant_of_agreeing_units(activation: type[nn.Module]) -> None:
    # 3 units: K = [[3, 1, 1], [1, 3, 1], [1, 1, 3]], with eigenvalues 5, 2, 2.
    network = nn.Sequential(IDENTITY, activation())
    assert proxies.naswot(network, CORNERS, NO_LABELS) == pytest.approx(math.log(20))


def test_naswot_adds_the_units_of_all_activations() -> None:
    # h-swish makes 1 and -1 to 2/3 and -1/3, and keeps their signs; the second layer turns them all, so
    # its codes lie as far apart: 2 K has the eigenvalues 10, 4, 4.
    turned = linear([-1, 0, 0], [0, -1, 0], [0, 0, -1])
    network = nn.Sequential(IDENTITY, nn.Hardswish(inplace=True), turned, nn.ReLU())
    assert proxies.naswot(network, CORNERS, NO_LABELS) == pytest.approx(math.log(160))


def test_a_unit_at_zero_is_off() -> None:
    # codes 0 and 1 of one unit, and the same second unit: K = [[2, 1], [1, 2]]
    network = nn.Sequential(linear([1, 0], [0, 1]), nn.ReLU())
    images = torch.tensor([[0.0, 1], [1, 1]])
    assert proxies.naswot(network, images, NO_LABELS) == pytest.approx(math.log(3))


def test_naswot_of_images_with_one_code_is_minus_infinity() -> None:
    network = nn.Sequential(IDENTITY, nn.ReLU())
    images = torch.cat([CORNERS, 2 * CORNERS[:1]])
    assert proxies.naswot(network, images, NO_LABELS) == -math.inf


def test_naswot_of_too_few_units_for_the_images_is_minus_infinity() -> None:
    # K is the product of a 20 x 24 matrix (on, off) of rank 13 with itself; elimination rounds its zeros.
    images = torch.randn(20, 12, generator=torch.Generator().manual_seed(0))
    assert proxies.naswot(nn.ReLU(), images, NO_LABELS) == -math.inf


def test_naswot_looks_behind_the_statistics_of_the_batch() -> None:
    # All pixels are above zero, but one of two is below their mean.
    network = nn.Sequential(nn.BatchNorm2d(1), nn.ReLU())
    images = torch.tensor([5.0, 6, 6, 5]).reshape(2, 1, 1, 2)
    # codes 01 and 10: K = 2 times the identity
    assert proxies.naswot(network, images, NO_LABELS) == pytest.approx(math.log(4))


# ----------------------------------------------------------------------------------- jacob_cov


def test_jacob_cov_is_told_by_the_eigenvalues_of_the_jacobians_correlation() -> None:
    # y = sum of relu(x): the gradients are 100 and 010. Less their means, (2, -1, -1)/3 and (-1, 2, -1)/3:
    # covariance -3/9, variances 6/9, correlation -1/2; the eigenvalues of [[1, -.5], [-.5, 1]] are 1.5, .5.
    network = nn.Sequential(nn.ReLU(), linear([1, 1, 1]))
    expected = -sum(math.log(v + 1e-5) + 1 / (v + 1e-5) for v in (1.5, 0.5))
    assert proxies.jacob_cov(network, CORNERS[:2], NO_LABELS) == pytest.approx(expected)


def test_jacob_cov_takes_the_sum_of_the_outputs() -> None:
    # The outputs are x0 and x1 where positive, so their sum has the gradients 100 and 010 again.
    network = nn.Sequential(nn.ReLU(), linear([1, 0, 0], [0, 1, 1]))
    expected = -sum(math.log(v + 1e-5) + 1 / (v + 1e-5) for v in (1.5, 0.5))
    assert proxies.jacob_cov(network, CORNERS[:2], NO_LABELS) == pytest.approx(expected)


def test_images_with_one_jacobian_score_by_an_eigenvalue_of_zero() -> None:
    # A linear network: correlation 1, eigenvalues 2 and 0; the second alone is -(log 1e-5 + 1e5).
    expected = -(math.log(2 + 1e-5) + 1 / (2 + 1e-5) + math.log(1e-5) + 1e5)
    assert proxies.jacob_cov(linear([1, 2, 3]), CORNERS[:2], NO_LABELS) == pytest.approx(expected)


def test_a_gradient_without_contrast_has_no_correlation() -> None:
    images = torch.randn(32, 3, generator=torch.Generator().manual_seed(0))
    assert math.isnan(proxies.jacob_cov(linear([1, 1, 1]), images, NO_LABELS))


# --------------------------------------------------------------------------- grad_norm and snip

# Weight 1, then 2 and 1, of x = 1/2: logits (1, 1/2). With label 0 the loss's gradient by
# logit 0 is p - 1 = sigmoid(1/2) - 1 = -s, by logit 1 it is s.
TWO = nn.Sequential(linear([1]), linear([2], [1]))
HALF = torch.tensor([[0.5]])
S = 1 - 1 / (1 + math.exp(-0.5))


def test_grad_norm_adds_the_norms_of_the_layers() -> None:
    # first layer: (-s * 2 + s * 1) x = -s/2; second: (-s, s) / 2, of norm s * sqrt(2) / 2
    expected = S / 2 + S * math.sqrt(2) / 2
    assert proxies.grad_norm(TWO, HALF, labels(0)) == pytest.approx(expected)


def test_snip_adds_weights_times_gradients_without_sign() -> None:
    # first layer: |1 * -s/2|; second: |2 * -s/2| + |1 * s/2|
    assert proxies.snip(TWO, HALF, labels(0)) == pytest.approx(2 * S)


@pytest.mark.parametrize("proxy", [proxies.grad_norm, proxies.snip])
def test_the_loss_is_the_mean_of_the_images(proxy: Callable[[nn.Module, Tensor, Tensor], float]) -> None:
    twice = proxy(TWO, torch.cat([HALF, HALF]), labels(0, 0))
    assert twice == pytest.approx(proxy(TWO, HALF, labels(0)))


@pytest.mark.parametrize("proxy", [proxies.grad_norm, proxies.snip])
def test_biases_do_not_count(proxy: Callable[[nn.Module, Tensor, Tensor], float]) -> None:
    with_biases = nn.Sequential(linear([1], bias=[0.0]), linear([2], [1], bias=[0.0, 0.0]))
    assert proxy(with_biases, HALF, labels(0)) == pytest.approx(proxy(TWO, HALF, labels(0)))


# ------------------------------------------------------------------------------------- synflow


def test_synflow_of_a_relu_network_is_its_output_once_a_layer() -> None:
    # |W1| ones = (3, 7), |w2| of that = 5 * 3 + 6 * 7 = 57; each of two layers carries all of it.
    network = nn.Sequential(linear([1, -2], [-3, 4]), nn.ReLU(), linear([-5, 6]))
    for images in (torch.zeros(1, 2), torch.randn(3, 2)):
        assert proxies.synflow(network, images, NO_LABELS) == pytest.approx(math.log(2 * 57))


def test_synflow_passes_batch_normalisation_by() -> None:
    # 1x1 convolutions on 2x2 ones: outputs 4 pixels * |-3| * |2|, and two layers.
    norm = nn.BatchNorm2d(1)
    norm.weight.data.fill_(5)
    norm.running_mean = torch.tensor([7.0])
    network = nn.Sequential(pointwise([-3]), norm, nn.ReLU(inplace=True), pointwise([2]))
    assert proxies.synflow(network, torch.zeros(2, 1, 2, 2), NO_LABELS) == pytest.approx(math.log(48))


def test_biases_flow_in_synflow_but_do_not_count() -> None:
    # relu(|-1| * 1 + |-2|) = 3, times 4: the first weight carries 4 * 1, the second 3 * 4.
    network = nn.Sequential(linear([-1], bias=[-2]), nn.ReLU(), linear([4]))
    assert proxies.synflow(network, torch.zeros(1, 1), NO_LABELS) == pytest.approx(math.log(4 + 12))


def test_synflow_keeps_its_range_in_a_network_that_overflows_fp32() -> None:
    # 50 layers of 10 to the 3: 1e150 at the output, once a layer.
    network = nn.Sequential(*(linear([1000]) for _ in range(50)))
    expected = math.log(50) + 150 * math.log(10)
    assert proxies.synflow(network, torch.zeros(1, 1), NO_LABELS) == pytest.approx(expected)


def test_synflow_sees_nothing_before_a_saturated_relu6() -> None:
    # 7 is cut to 6: the first weight has no gradient, the second carries 6 * 2.
    network = nn.Sequential(linear([7]), nn.ReLU6(), linear([2]))
    assert proxies.synflow(network, torch.zeros(1, 1), NO_LABELS) == pytest.approx(math.log(12))


def test_synflow_without_any_gradient_is_minus_infinity() -> None:
    network = nn.Sequential(linear([7]), nn.ReLU6())
    assert proxies.synflow(network, torch.zeros(1, 1), NO_LABELS) == -math.inf


# ---------------------------------------------------------------------------------------- zico


def test_zico_is_the_mean_over_the_deviation_of_the_gradients_of_both_halves() -> None:
    # Logits (w x, 0) with w = 0: the gradient by w is -x/2 with label 0. Images 1 and 3 give -1/2 and -3/2:
    # mean 1, deviation 1/2, ratio 2; by the second row's weight, of the other sign, again 2: log(2 + 2).
    network = linear([0], [0])
    images = torch.tensor([[1.0], [3]])
    assert proxies.zico(network, images, labels(0, 0)) == pytest.approx(math.log(4))


def test_gradients_of_different_signs_have_a_ratio_of_one() -> None:
    # Labels 0 and 1: -1/2 and 3/2, mean of the amounts 1, deviation 1, in both rows: log(1 + 1).
    images = torch.tensor([[1.0], [3]])
    assert proxies.zico(linear([0], [0]), images, labels(0, 1)) == pytest.approx(math.log(2))


def test_zico_is_a_sum_over_the_layers() -> None:
    # First layer w0 = 1, second (1, -1): logits (x, -x), s = 1 - sigmoid(2x), gradient by the logits (-s, s).
    # first layer: -2 s x; second: -s x and s x; all have the ratio of s x between both images.
    x = (0.5, 1.0)
    s = [1 - 1 / (1 + math.exp(-2 * each)) for each in x]
    first, second = s[0] * x[0], s[1] * x[1]
    ratio = (first + second) / abs(first - second)
    network = nn.Sequential(linear([1]), linear([1], [-1]))
    found = proxies.zico(network, torch.tensor([[x[0]], [x[1]]]), labels(0, 0))
    assert found == pytest.approx(math.log(ratio) + math.log(2 * ratio), rel=1e-4)


def test_weights_whose_gradient_stays_count_for_nothing_in_zico() -> None:
    # The first pixel is the same in both halves: its two weights have deviation 0. The others: log 4.
    images = torch.tensor([[1.0, 1], [1, 3]])
    assert proxies.zico(linear([0, 0], [0, 0]), images, labels(0, 0)) == pytest.approx(math.log(4))
    assert proxies.zico(linear([0], [0]), torch.ones(2, 1), labels(0, 0)) == 0


# ------------------------------------------------------------------------------ all of them


@pytest.mark.parametrize("proxy", ALL)
def test_a_network_stays_as_it_was(proxy: Callable[[nn.Module, Tensor, Tensor], float]) -> None:
    network = seeded_network(SMALL, 0)
    network.dropout.p = 0.5
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    value = proxy(network, images, labels(0, 1, 0, 1, 0, 1))
    assert math.isfinite(value)
    assert value == proxy(network, images, labels(0, 1, 0, 1, 0, 1))  # nothing is dropped at random
    assert network.training
    assert all(value.equal(before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not images.requires_grad
