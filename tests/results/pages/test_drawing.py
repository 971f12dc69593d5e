from bneck.results.pages.drawing import Drawing

from ..example_network import NETWORK


def test_a_drawing_has_each_block_with_width_map_size_expansion_and_marks() -> None:
    rows = Drawing(NETWORK).blocks
    assert [row.share for row in rows] == [8 / 40, 1, 1, 1]
    assert [row.expansion for row in rows] == [3, 9, 1, 1]  # 24 of 8, 72 of 8, 40 of 40
    assert [row.attention for row in rows] == ["", "SE", "ECA", "ECA"]
    assert Drawing(NETWORK, widest=80).blocks[1].share == 0.5
