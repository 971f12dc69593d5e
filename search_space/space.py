"""A search space: a table of choices; genes select one network of it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from math import prod
from typing import Any

from .architecture import (
    MAX_BLOCKS,
    MAX_CHANNELS,
    MAX_CLASSES,
    MAX_IMAGE_CHANNELS,
    MAX_RESOLUTION_PX,
    Architecture,
    Block,
    Head,
    Stem,
    require_between,
)
from .automaton import count_block_sequences, find_stage_choices
from .candidate_space import CandidateSpace
from .choices import (
    BLOCK_GENES,
    Choice,
    Genes,
    HeadChoices,
    StageChoices,
    StemChoices,
    make_block,
    require_unique,
)
from .errors import ArchitectureError, SpaceError

MAX_VARIANTS = 500_000  # space mobile has 97,000; counting takes seconds beyond


@dataclass(frozen=True)
class SearchSpace(CandidateSpace):
    """All networks that the choices allow.

    A gene is a choice with more than one value. Genes of blocks that a stage's depth leaves out are
    inactive, so different genes may give the same network: compare `Architecture`s, not genes.
    """

    name: str
    resolution_px: tuple[int, ...]
    stem: StemChoices
    stages: tuple[StageChoices, ...]
    head: HeadChoices
    image_channels: int = 3
    classes: int = 1000

    def __post_init__(self) -> None:
        require_unique("resolution_px", self.resolution_px)
        for side in self.resolution_px:
            require_between("resolution_px", side, 8, MAX_RESOLUTION_PX)
        require_between("image_channels", self.image_channels, 1, MAX_IMAGE_CHANNELS)
        require_between("classes", self.classes, 2, MAX_CLASSES)
        if all(0 in stage.depth for stage in self.stages):
            raise ArchitectureError("stages", "must hold one stage without depth 0, or no block may be left")
        if (blocks := sum(max(stage.depth) for stage in self.stages)) > MAX_BLOCKS:
            raise ArchitectureError("stages", f"must have at most {MAX_BLOCKS} blocks together, got {blocks}")
        self._require_bounded_stages()

    def _require_bounded_stages(self) -> None:
        """Refuse stages with blocks that are too wide, or too many to be counted."""
        inputs, variants = self.stem.out, 0
        for number, stage in enumerate(self.stages, start=1):
            widths = {*inputs, *stage.out}
            if (widest := max(widths) * max(stage.expansion)) > MAX_CHANNELS:
                raise ArchitectureError(
                    "stages",
                    f"must expand to at most {MAX_CHANNELS} channels, got {widest:g} in stage {number}",
                )
            choices = prod(len(stage.choices(name)) for name in ("out", *BLOCK_GENES, "stride"))
            variants += len(widths) * choices * max(stage.depth)
            if variants > MAX_VARIANTS:
                raise ArchitectureError(
                    "stages",
                    f"have over {MAX_VARIANTS:,} different blocks up to stage {number}; give fewer choices",
                )
            inputs = tuple({*stage.out, *(inputs if 0 in stage.depth else ())})

    def for_data(self, image_channels: int, classes: int) -> "SearchSpace":
        """The same space for data with other channels and classes."""
        return replace(self, image_channels=image_channels, classes=classes)

    @cached_property
    def all_choices(self) -> dict[str, tuple[Choice, ...]]:
        """All choices by name, including those with a single value."""
        table: dict[str, tuple[Choice, ...]] = {"resolution_px": self.resolution_px}
        table |= {f"stem.{field.name}": getattr(self.stem, field.name) for field in fields(self.stem)}
        for number, stage in enumerate(self.stages, start=1):
            prefix = f"stage{number}"
            table |= {f"{prefix}.{name}": stage.choices(name) for name in ("out", "depth", "stride")}
            table |= {f"{prefix}.{name}": stage.choices(name) for name in BLOCK_GENES if name in stage.shared}
            for block in range(1, max(stage.depth) + 1):
                table |= {
                    f"{prefix}.block{block}.{name}": stage.choices(name)
                    for name in BLOCK_GENES
                    if name not in stage.shared
                }
        table |= {f"head.{field.name}": getattr(self.head, field.name) for field in fields(self.head)}
        return table

    def decode(self, genes: Mapping[str, Choice]) -> Architecture:
        """The network that these genes select.

        Raises:
            SpaceError: a gene is missing, unknown or has a value outside its choices.
        """
        value: dict[str, Any] = self.with_fixed_choices(genes)
        stem = Stem(*(value[f"stem.{field.name}"] for field in fields(Stem)))
        blocks: list[Block] = []
        for number in range(1, len(self.stages) + 1):
            blocks += self.stage_blocks(number, blocks[-1].out if blocks else stem.out, value)
        return Architecture(
            resolution_px=value["resolution_px"],
            stem=stem,
            blocks=tuple(blocks),
            head=Head(**{field.name: value[f"head.{field.name}"] for field in fields(self.head)}),
            image_channels=self.image_channels,
            classes=self.classes,
        )

    def stage_blocks(self, number: int, channels: int, choices: Mapping[str, Any]) -> list[Block]:
        """The blocks of a stage.

        Args:
            number: index of the stage, from 1.
            channels: input channels of the stage.
            choices: choices by full name; must include all choices of the stage.
        """
        stage, prefix = self.stages[number - 1], f"stage{number}"
        blocks: list[Block] = []
        for block in range(1, choices[f"{prefix}.depth"] + 1):
            chosen = [
                choices[f"{prefix}.{name}" if name in stage.shared else f"{prefix}.block{block}.{name}"]
                for name in BLOCK_GENES
            ]
            stride = choices[f"{prefix}.stride"] if block == 1 else 1
            blocks.append(make_block(channels, choices[f"{prefix}.out"], stride, *chosen))
            channels = blocks[-1].out
        return blocks

    def is_active(self, gene: str, genes: Mapping[str, Choice]) -> bool:
        """Whether the block or stage of a gene exists; inactive genes do not change the network."""
        return gene not in self.inactive_genes(genes)

    def inactive_genes(self, genes: Mapping[str, Choice]) -> frozenset[str]:
        """Genes of blocks and stages that a depth leaves out."""
        depths = self._inactive_by_depth
        inactive_sets = (names[int(genes.get(prefix, depth))] for prefix, (depth, names) in depths.items())
        return frozenset().union(*inactive_sets)

    @cached_property
    def _inactive_by_depth(self) -> dict[str, tuple[int, dict[int, frozenset[str]]]]:
        """By name of a depth gene: its first choice, and the inactive genes of every choice."""
        inactive_by_depth = {}
        for number, stage in enumerate(self.stages, start=1):
            prefix = f"stage{number}"
            own = [gene.name for gene in self.genes if gene.name.startswith(f"{prefix}.")]
            min_depths = {name: _min_depth(name) for name in own if name != f"{prefix}.depth"}
            inactive = {
                depth: frozenset(name for name, min_depth in min_depths.items() if min_depth > depth)
                for depth in stage.depth
            }
            inactive_by_depth[f"{prefix}.depth"] = stage.depth[0], inactive
        return inactive_by_depth

    def encode(self, architecture: Architecture) -> Genes:
        """Genes that decode to this network; inactive genes have their first choice.

        Raises:
            SpaceError: the network is not in the space.
        """
        genes = self._find_genes(architecture)
        if genes is None:
            raise SpaceError(f"space {self.name} does not contain network {architecture.key}")
        return genes

    def contains(self, architecture: Architecture) -> bool:
        """Whether the network is a point of the space."""
        return self._find_genes(architecture) is not None

    @cached_property
    def size(self) -> int:
        """Exact number of different networks."""
        stem, head = self.stem, self.head
        stems = len(stem.activation) * len(stem.kernel) * len(stem.stride)
        heads = len(head.features) * len(head.hidden) * len(head.activation)
        return len(self.resolution_px) * stems * heads * count_block_sequences(self.stages, stem.out)

    def _find_genes(self, architecture: Architecture) -> Genes | None:
        """Genes that decode to the architecture; None where it is not in the space."""
        own = (self.image_channels, self.classes, "symmetric")
        if (architecture.image_channels, architecture.classes, architecture.padding) != own:
            return None
        if architecture.fine_tuning or not architecture.head.hidden_bias:
            return None
        genes: Genes = {name: choices[0] for name, choices in self.all_choices.items()}
        genes["resolution_px"] = architecture.resolution_px
        genes |= {f"stem.{field.name}": getattr(architecture.stem, field.name) for field in fields(Stem)}
        genes |= {f"head.{field.name}": getattr(architecture.head, field.name) for field in fields(self.head)}
        if any(genes[name] not in choices for name, choices in self.all_choices.items()):
            return None
        stage_choices = find_stage_choices(self.stages, architecture.stem.out, architecture.blocks)
        if stage_choices is None:
            return None
        genes |= stage_choices
        return {gene.name: genes[gene.name] for gene in self.genes}


def _min_depth(gene: str) -> int:
    """Depth from which a gene is active: 3 for `stage2.block3.kernel`, 1 for `stage2.kernel`."""
    _, *inner, _ = gene.split(".")
    return int(inner[0].removeprefix("block")) if inner else 1
