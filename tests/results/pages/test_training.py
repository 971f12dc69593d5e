import json
import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from bneck.evaluate import Epoch, format_count
from bneck.evaluate.training.grad_cam import BlockActivations
from bneck.results.pages.training import figures, training_html
from bneck.search_space import cost

from ..example_network import NETWORK
from ..example_story import CONFUSION, CURVE, NAMES, VIEWS, report

EVIL = "</script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def html() -> str:
    return training_html(report())


def body(html: str) -> str:
    return html.split("<body>")[1]


def words(html: str) -> str:
    """What a reader sees outside the figures."""
    silent = re.sub(r"<script.*?</script>", "", body(html), flags=re.DOTALL)
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", silent)))


def test_the_page_opens_with_the_test_accuracy_and_warnings(html: str) -> None:
    # 181 of 200 are right; 1.96 / 1.0192 * sqrt(0.905 * 0.095 / 200 + 3.84 / 160,000) = 4.1 points
    start = words(html).partition("Classes")[0]
    total = cost(NETWORK)
    assert f"MACs {format_count(total.macs)}" in start and "SE h-swish" in start
    assert start.strip().startswith("small on clothes")
    for value in ("90.5% (85.6 to 93.8)", "200 test images", "0.250", "3.1%", "2 images could not be read."):
        assert value in start
    assert "top-5" not in start


def test_with_many_classes_there_is_a_top5_accuracy() -> None:
    names = tuple("abcdef")
    text = words(training_html(report(names, (10 * np.eye(6, dtype=int)).tolist(), examples=(), views=())))
    assert "60 test images; top-5 accuracy 98.0%" in text
    assert "Most frequent errors" not in text


def test_the_most_frequent_errors_come_first(html: str) -> None:
    text = words(html)
    first, second, third = (
        "shirt predicted as bag: 12% of 100",
        "shirt predicted as shoe: 4.0% of 100",
        "bag predicted as shirt: 6.0% of 50",  # three images, after four
    )
    assert text.index(first) < text.index(second) < text.index(third)


def test_classes_are_sorted_by_f1_the_lowest_first(html: str) -> None:
    # shirt 84 / 87 and 84 / 100; bag 47 / 59 and 47 / 50; shoe 50 / 54 and 50 / 50
    text = words(html)
    rows = ["bag 79.7% 94.0% 86.2% 50", "shirt 96.6% 84.0% 89.8% 100", "shoe 92.6% 100.0% 96.2% 50"]
    places = [text.index(row) for row in rows]
    assert places == sorted(places)


@pytest.mark.parametrize(("classes", "collapsed"), [(20, False), (21, True)])
def test_a_long_table_of_classes_is_collapsed(classes: int, collapsed: bool) -> None:
    names = tuple(f"c{number}" for number in range(classes))
    html = training_html(report(names, np.eye(classes, dtype=int).tolist(), examples=(), views=()))
    assert ("<details>" in body(html)) is collapsed


def test_each_figure_is_drawn_once_under_its_file_name(html: str) -> None:
    names = ["samples", "curves", "confusion", "gallery", "feature-maps", "gates"]
    assert list(figures(report())) == names
    assert re.findall(r'<div id="([\w-]*)" class="plot"', html) == names
    gates = re.search(r'id="gates-figure">(.*?)</script>', html)
    assert gates
    assert json.loads(gates[1])["data"] == json.loads(figures(report())["gates"].to_json())["data"]


def test_sections_without_data_are_left_out() -> None:
    bare = report(curve=(), examples=(), views=(), notes=())
    assert list(figures(bare)) == ["confusion"]
    text = words(training_html(bare))
    assert "Provenance" in text
    assert not any(title in text for title in ("Learning curves", "Examples", "Feature maps"))
    assert list(figures(report(views=VIEWS[:1]))) == [
        "samples",
        "curves",
        "confusion",
        "gallery",
        "feature-maps",
    ]
    assert "Attention" not in words(training_html(report(views=VIEWS[:1])))


def test_the_split_is_named() -> None:
    text = words(training_html(replace(report(curve=(Epoch(1.0),)), metrics_split="validation")))
    assert "200 validation images" in text
    assert "Validation images" in text


def test_the_resolution_of_the_heat_maps_is_given(html: str) -> None:
    assert "4 × 4 positions" in words(html)  # the stem


def test_the_same_story_gives_the_same_bytes(html: str) -> None:
    assert training_html(report()) == html


def test_the_page_loads_nothing_and_forbids_it(html: str) -> None:
    assert not re.search(r"<[^>]*\s(src|href|srcset|poster|action|background)=", body(html))
    assert "default-src 'none'" in html
    assert html.count("* plotly.js v") == 1


def test_what_the_user_named_is_escaped() -> None:
    names = (EVIL, *NAMES[1:])
    html = training_html(
        report(names, title=EVIL, facts=((EVIL, EVIL),), notes=(EVIL,), confusion=CONFUSION, curve=CURVE)
    )
    assert "<script>alert" not in html
    assert "alert(1)</script>" not in html
    # Title, note, both cells of the fact, three errors and the row of the table.
    assert words(html).count(EVIL) == 8


def test_feature_maps_of_one_position_are_left_out() -> None:
    last = BlockActivations("block 2", np.ones((2, 1, 1), np.float32), (0, 1), None)
    without, extended = (figures(replace(report(), views=views)) for views in (VIEWS, (*VIEWS, last)))
    assert len(extended["feature-maps"].data) == len(without["feature-maps"].data)
    assert "feature-maps" not in figures(replace(report(), views=(last,)))
