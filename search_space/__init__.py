"""Architectures, their cost, and search spaces. Only `network` and `onnx_graph` need torch."""

from .architecture import Activation, Architecture, Attention, Block, Head, Stem
from .candidate_space import CandidateSpace
from .choices import Choice, Gene, Genes
from .cost import Cost, Operator, cost, cost_breakdown, operators, training_macs
from .errors import (
    ArchitectureError,
    BackendError,
    BneckError,
    DataError,
    FileFormatError,
    GoalError,
    NoFeasibleNetworkError,
    NonFiniteLossError,
    PluginError,
    RunError,
    ScorerError,
    SpaceError,
    TrustError,
    UnknownNameError,
)
from .pretrained_space import Parent, PretrainedSpace
from .pretrained_weights import PRETRAINED, PretrainedWeights
from .reference_networks import PUBLISHED_NAMES, published_architecture
from .serialization.architecture import architecture_yaml, load_architecture
from .serialization.space import PRESETS, load_space, preset_yaml
from .space import SearchSpace

__all__ = [
    "PRESETS",
    "PRETRAINED",
    "PUBLISHED_NAMES",
    "Activation",
    "Architecture",
    "ArchitectureError",
    "Attention",
    "BackendError",
    "Block",
    "BneckError",
    "CandidateSpace",
    "Choice",
    "Cost",
    "DataError",
    "FileFormatError",
    "Gene",
    "Genes",
    "GoalError",
    "Head",
    "NoFeasibleNetworkError",
    "NonFiniteLossError",
    "Operator",
    "Parent",
    "PluginError",
    "PretrainedSpace",
    "PretrainedWeights",
    "RunError",
    "ScorerError",
    "SearchSpace",
    "SpaceError",
    "Stem",
    "TrustError",
    "UnknownNameError",
    "architecture_yaml",
    "cost",
    "cost_breakdown",
    "load_architecture",
    "load_space",
    "operators",
    "preset_yaml",
    "published_architecture",
    "training_macs",
]
