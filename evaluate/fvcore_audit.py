"""MACs and parameters of each operator by fvcore and torch, to verify the closed-form cost model."""

import warnings
from dataclasses import dataclass

import torch

from ..search_space import Architecture, operators
from ..search_space.network import build_network, count_parameters, example_images


@dataclass(frozen=True)
class OperatorCounts:
    macs: int
    params: int


def fvcore_counts(architecture: Architecture) -> dict[str, OperatorCounts]:
    """Convolution and linear MACs (fvcore) and parameters (torch) of each operator, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # fvcore imports what torch has deprecated
        from fvcore.nn import FlopCountAnalysis
    network = build_network(architecture).eval()
    with torch.no_grad():
        analysis = FlopCountAnalysis(network, example_images(architecture))
        # fvcore ignores None as a handle, although its comments recommend it; a handle returning 0 works.
        analysis.set_op_handle("aten::batch_norm", _zero_flops, "aten::adaptive_avg_pool2d", _zero_flops)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        by_module = analysis.by_module()
    modules = dict(network.named_modules())
    return {
        operator.name: OperatorCounts(int(by_module[operator.name]), count_parameters(modules[operator.name]))
        for operator in operators(architecture)
    }


def _zero_flops(inputs: list[object], outputs: list[object]) -> int:
    return 0
