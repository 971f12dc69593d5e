"""What a network is, and which ones there are. Nothing here but `network` needs torch."""

from .architecture import Activation, Architecture, Attention, Block, Head, Stem
from .architecture_file import architecture_yaml, load_architecture
from .cost import Cost, Operator, cost, cost_by_part, operators
from .errors import (
    ArchitectureError,
    BackendError,
    BneckError,
    DataError,
    FileFormatError,
    GoalError,
    NoFeasibleNetworkError,
    RunError,
    ScorerError,
    SpaceError,
    UnknownNameError,
)
from .published import PUBLISHED_NAMES, published
from .space import Choice, Gene, Genes, SearchSpace
from .space_file import PRESETS, load_space, preset_yaml

__all__ = [
    "PRESETS",
    "PUBLISHED_NAMES",
    "Activation",
    "Architecture",
    "ArchitectureError",
    "Attention",
    "BackendError",
    "Block",
    "BneckError",
    "Choice",
    "Cost",
    "DataError",
    "FileFormatError",
    "Gene",
    "Genes",
    "GoalError",
    "Head",
    "NoFeasibleNetworkError",
    "Operator",
    "RunError",
    "ScorerError",
    "SearchSpace",
    "SpaceError",
    "Stem",
    "UnknownNameError",
    "architecture_yaml",
    "cost",
    "cost_by_part",
    "load_architecture",
    "load_space",
    "operators",
    "preset_yaml",
    "published",
]
