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


def test_numbers_have_a_column_for_each_choice_from_which_it_is_1_and_words_are_one_hot() -> None:
    # the first choices of genes that are always active have none
    assert GeneFeatures(SPACE).names == (
        "gene:resolution_px>=32",
        "gene:stage1.depth>=1",
        "gene:stage1.depth>=2",
        "gene:stage1.block1.kernel>=3",
        "gene:stage1.block1.kernel>=5",
        "gene:stage1.block1.kernel>=7",
        "gene:stage1.block1.attention=none",
        "gene:stage1.block1.attention=se",
        "gene:stage1.block1.attention=eca",
        "gene:stage1.block2.kernel>=3",
        "gene:stage1.block2.kernel>=5",
        "gene:stage1.block2.kernel>=7",
        "gene:stage1.block2.attention=none",
        "gene:stage1.block2.attention=se",
        "gene:stage1.block2.attention=eca",
    )


BLOCK1, BLOCK2 = [1, 1, 0, 0, 0, 1], [1, 1, 1, 1, 0, 0]  # kernel 5 and ECA, kernel 7 without attention


@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        (2, [0, 1, 1, *BLOCK1, *BLOCK2]),
        (1, [0, 1, 0, *BLOCK1, *[0] * 6]),
        (0, [0, 0, 0, *[0] * 12]),
    ],
)
def test_the_columns_of_a_network_by_hand(depth: int, expected: list[float]) -> None:
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
        ("gene:resolution_px>=32", "resolution_px"),
        ("gene:stem.out>=16", "stem"),
        ("log_macs", None),
        ("kernel", None),
    ],
)
def test_a_column_of_a_gene_tells_of_a_part_of_the_network(name: str, part: str | None) -> None:
    assert gene_part(name) == part
