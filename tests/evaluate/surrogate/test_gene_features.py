import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bneck.evaluate.surrogate.gene_features import GeneFeatures, gene_part
from bneck.search_space import Genes, SearchSpace

from ...search_space.helpers import preset, space_of

SPACE = space_of(
    "{out: 8, kernel: [3, 7, 5], expansion: 2, depth: [0, 1, 2], attention: [none, se, eca]}\n"
    "{out: 8, kernel: 3, expansion: 2}",
    resolution="[8, 32]",
)
GENES_BY_HAND: Genes = {
    "resolution_px": 8,
    "stage1.depth": 2,
    "stage1.block1.kernel": 5,
    "stage1.block1.attention": "eca",
    "stage1.block2.kernel": 7,
    "stage1.block2.attention": "none",
}
TINY = preset("tiny")


def drawn(space: SearchSpace) -> st.SearchStrategy[Genes]:
    return st.fixed_dictionaries({gene.name: st.sampled_from(gene.choices) for gene in space.genes})


def row(space: SearchSpace, genes: Genes) -> list[float]:
    features = GeneFeatures(space)
    columns: list[float] = features.columns(features.indices([genes]))[0].tolist()
    return columns


def test_a_gene_of_numbers_has_a_column_and_one_of_words_a_column_for_each_but_the_first() -> None:
    assert GeneFeatures(SPACE).names == (
        "gene:resolution_px",
        "gene:stage1.depth",
        "gene:stage1.block1.kernel",
        "gene:stage1.block1.attention=se",
        "gene:stage1.block1.attention=eca",
        "gene:stage1.block2.kernel",
        "gene:stage1.block2.attention=se",
        "gene:stage1.block2.attention=eca",
    )


def test_the_values_worked_out_by_hand() -> None:
    # 8 is the first of two; 2 the last of three; of 3, 5, 7 in their order 5 is the middle, 7 the last
    assert row(SPACE, GENES_BY_HAND) == [-1, 1, 0, -1, 1, 1, -1, -1]


@pytest.mark.parametrize(
    ("depth", "expected"), [(1, [-1, 0, 0, -1, 1, 0, 0, 0]), (0, [-1, -1, 0, 0, 0, 0, 0, 0])]
)
def test_a_gene_without_its_block_is_0(depth: int, expected: list[float]) -> None:
    assert row(SPACE, {**GENES_BY_HAND, "stage1.depth": depth}) == expected


@given(drawn(TINY), drawn(TINY))
@settings(max_examples=40)
def test_a_gene_without_effect_changes_no_column(genes: Genes, others: Genes) -> None:
    inactive = {name: others[name] for name in genes if not TINY.is_active(name, genes)}
    changed = {**genes, **inactive}
    assert TINY.decode(changed) == TINY.decode(genes)
    assert row(TINY, changed) == row(TINY, genes)


@given(drawn(TINY), drawn(TINY))
@settings(max_examples=40)
def test_other_networks_have_other_columns(genes: Genes, others: Genes) -> None:
    same = TINY.decode(genes) == TINY.decode(others)
    assert (row(TINY, genes) == row(TINY, others)) == same


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("gene:stage2.block1.kernel", "stage2"),
        ("gene:stem.out", "stem"),
        ("gene:resolution_px", "resolution_px"),
        ("log_macs", None),
        ("kernel", None),
    ],
)
def test_a_column_of_a_gene_tells_of_a_part_of_the_network(name: str, part: str | None) -> None:
    assert gene_part(name) == part
