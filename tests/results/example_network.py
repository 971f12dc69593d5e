"""A small network with every kind of attention."""

from bneck.search_space import Architecture, Block, Head, Stem

NETWORK = Architecture(
    resolution_px=24,
    stem=Stem(8),
    blocks=(
        Block(3, 24, 8, "none", "relu", 1),
        Block(5, 72, 40, "se", "hardswish", 2, squeeze=24),
        Block(7, 40, 40, "eca", "relu6", 1),
        Block(7, 40, 40, "eca", "relu6", 1),
    ),
    head=Head(64, 128),
    classes=10,
)
