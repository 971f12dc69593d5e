import json
import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from bneck.evaluate import Epoch
from bneck.evaluate.training.grad_cam import BlockActivations
from bneck.results.pages.training import figures, training_html

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


def test_the_page_says_first_how_well_the_network_does(html: str) -> None:
    # 181 of 200 are right; 1.96 / 1.0192 * sqrt(0.905 * 0.095 / 200 + 3.84 / 160,000) = 4.1 points
    assert (
        words(html)
        .strip()
        .startswith(
            "small on clothes 90.5 ± 4.1% of 200 test images get the right answer. Cross-entropy 0.250; "
            "the confidence is off by 3.1 points on average"
        )
    )
    assert "2 images could not be read." in words(html)


def test_with_many_classes_the_first_five_answers_count_too() -> None:
    names = tuple("abcdef")
    told = words(training_html(report(names, (10 * np.eye(6, dtype=int)).tolist(), examples=(), views=())))
    assert "60 test images get the right answer, 98.0% have it among the first five." in told
    assert "No image is mistaken." in told


def test_the_most_confused_pairs_are_told_in_words(html: str) -> None:
    told = words(html)
    first, second, third = (
        "shirt taken for bag: 12% of 100",
        "shirt taken for shoe: 4.0% of 100",
        "bag taken for shirt: 6.0% of 50",  # three images, after four
    )
    assert told.index(first) < told.index(second) < told.index(third)


def test_the_classes_stand_in_order_of_f1_the_lowest_first(html: str) -> None:
    # shirt 84 / 87 and 84 / 100; bag 47 / 59 and 47 / 50; shoe 50 / 54 and 50 / 50
    told = words(html)
    rows = ["bag 79.7% 94.0% 86.2% 50", "shirt 96.6% 84.0% 89.8% 100", "shoe 92.6% 100.0% 96.2% 50"]
    places = [told.index(row) for row in rows]
    assert places == sorted(places)


@pytest.mark.parametrize(("classes", "hidden"), [(20, False), (21, True)])
def test_a_long_table_of_classes_waits_to_be_opened(classes: int, hidden: bool) -> None:
    names = tuple(f"c{number}" for number in range(classes))
    html = training_html(report(names, np.eye(classes, dtype=int).tolist(), examples=(), views=()))
    assert ("<details>" in body(html)) is hidden


def test_each_figure_is_drawn_once_under_its_file_name(html: str) -> None:
    names = ["curves", "confusion", "gallery", "feature-maps", "gates"]
    assert list(figures(report())) == names
    assert re.findall(r'<div id="([\w-]*)" class="plot"', html) == names
    found = re.search(r'id="gates-figure">(.*?)</script>', html)
    assert found
    assert json.loads(found[1])["data"] == json.loads(figures(report())["gates"].to_json())["data"]


def test_what_is_not_there_is_left_out() -> None:
    bare = report(curve=(), examples=(), views=(), notes=())
    assert list(figures(bare)) == ["confusion"]
    told = words(training_html(bare))
    assert "Provenance" in told
    assert not any(title in told for title in ("Curves", "Gallery", "Inside the network"))
    assert list(figures(report(views=VIEWS[:1]))) == ["curves", "confusion", "gallery", "feature-maps"]
    assert "Attention" not in words(training_html(report(views=VIEWS[:1])))


def test_a_single_epoch_and_a_validation_split_are_told_as_such() -> None:
    told = words(training_html(replace(report(curve=(Epoch(1.0),)), metrics_split="validation")))
    assert "200 validation images" in told
    assert "Validation images as the network takes them" in told


def test_how_coarse_the_heat_is_is_said(html: str) -> None:
    assert "They are those of the last maps with 4 × 4 places, and no finer." in words(html)  # the stem


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
    # Title, note, both cells of the fact, three confused pairs and the row of the table.
    assert words(html).count(EVIL) == 8


def test_maps_of_a_single_place_are_no_picture() -> None:
    last = BlockActivations("block 2", np.ones((2, 1, 1), np.float32), (0, 1), None)
    drawn, more = (figures(replace(report(), views=views)) for views in (VIEWS, (*VIEWS, last)))
    assert len(more["feature-maps"].data) == len(drawn["feature-maps"].data)
    assert "feature-maps" not in figures(replace(report(), views=(last,)))
