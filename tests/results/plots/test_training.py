import base64
import io
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from numpy.typing import NDArray
from PIL import Image

from bneck.evaluate import Epoch
from bneck.evaluate.training.grad_cam import BlockActivations
from bneck.results.plots.images import overlay_heatmap, truncated_label, viridis
from bneck.results.plots.training import (
    MAX_CLASSES,
    confusion_figure,
    curves_figure,
    gallery_figure,
    gates_figure,
    maps_figure,
)

from ..example_story import CURVE, EXAMPLES, NAMES, VIEWS, example, metrics

# The page is at most 75rem wide, with 1rem at either side.
PAGE_PX = 75 * 16 - 2 * 16


def drawn(figure: go.Figure) -> dict[tuple[str, str], list[float | None]]:
    """The lines by axis and name."""
    return {(trace.yaxis, trace.name): list(trace.y) for trace in figure.data}


def pixels_of(trace: Any) -> NDArray[np.uint8]:
    start, _, data = trace.source.partition(",")
    assert start == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def captions(figure: go.Figure) -> list[str]:
    return [each.text for each in figure.layout.annotations]


def test_the_curves_are_loss_and_percent_by_epoch() -> None:
    figure = curves_figure(CURVE, 2)
    assert drawn(figure) == {
        ("y", "training"): [1.5, 1.0, 0.5],
        ("y", "validation"): [1.25, 0.75, 1.0],
        ("y2", "training"): [37.5, 62.5, 87.5],
        ("y2", "validation"): [50, 75, 62.5],
    }
    assert all(list(trace.x) == [1, 2, 3] for trace in figure.data)
    low, high = figure.layout.yaxis2.domain, figure.layout.yaxis.domain
    assert low[1] < high[0]
    assert "augmented" in figure.layout.xaxis.title.text


def test_the_selected_epoch_is_marked() -> None:
    [mark] = curves_figure(CURVE, 2).layout.shapes
    assert (mark.x0, mark.x1) == (2, 2) and "epoch 2" in mark.label.text
    assert not curves_figure(CURVE, None).layout.shapes


def test_a_metric_without_values_has_no_line_and_no_panel() -> None:
    assert drawn(curves_figure([Epoch(1.5)], None)) == {("y", "training"): [1.5]}
    sparse = [Epoch(2.0), Epoch(1.5, 1.25, 0.5), Epoch(1.0), Epoch(0.75, 1.0, 0.75)]
    figure = curves_figure(sparse, 4)
    assert drawn(figure) == {
        ("y", "training"): [2.0, 1.5, 1.0, 0.75],
        ("y", "validation"): [None, 1.25, None, 1.0],
        ("y2", "validation"): [None, 50, None, 75],
    }
    assert all(trace.connectgaps for trace in figure.data)


def test_hundreds_of_epochs_are_lines_without_dots() -> None:
    assert {trace.mode for trace in curves_figure(CURVE, 2).data} == {"lines+markers"}
    assert {trace.mode for trace in curves_figure(CURVE * 100, 2).data} == {"lines"}


def test_a_confusion_cell_is_a_fraction_of_its_row() -> None:
    right, wrong = confusion_figure(metrics()).data
    # 84 + 4 + 12 = 100 shirts, 50 shoes, 3 + 47 = 50 bags
    assert np.diag(right.z) == pytest.approx([0.84, 1, 0.94])
    assert np.isnan(right.z[0, 2])
    assert np.square(wrong.z[0, 1:]) == pytest.approx([0.04, 0.12])
    assert wrong.z[2, 0] ** 2 == pytest.approx(0.06)
    assert np.isnan(np.diag(wrong.z)).all()
    assert wrong.text[0][2] == "12"
    assert wrong.text[1][0] == ""
    assert wrong.customdata[0][2] == "true: shirt<br>predicted: bag<br>12 of 100 images (12.0%)"


def test_rare_errors_are_pale_and_a_fraction_below_one_percent_is_not_zero() -> None:
    _, wrong = confusion_figure(metrics([[998, 2], [0, 1000]], ("cat", "dog"))).data
    assert wrong.z[0, 1] / wrong.zmax < 0.2
    assert wrong.text[0][1] == "<1"


def test_a_class_without_images_has_an_empty_row() -> None:
    right, wrong = confusion_figure(metrics([[0, 0], [1, 3]], ("cat", "dog"))).data
    assert (right.z[0, 0], wrong.z[0, 1], right.z[1, 1]) == (0, 0, 0.75)
    assert wrong.customdata[0][1] == "true: cat<br>predicted: dog<br>0 of 0 images"


@pytest.mark.parametrize(("classes", "numbered"), [(2, True), (15, True), (16, False), (100, False)])
def test_a_small_confusion_matrix_has_numbers_and_a_large_one_a_color_scale(
    classes: int, numbered: bool
) -> None:
    names = [f"{number} of the classes with long names" for number in range(classes)]
    figure = confusion_figure(metrics(np.eye(classes, dtype=int).tolist(), names))
    _, wrong = figure.data
    assert (wrong.text is not None) is numbered
    assert wrong.showscale is not numbered
    assert list(figure.layout.xaxis.ticktext) == list(figure.layout.yaxis.ticktext)
    assert figure.layout.xaxis.ticktext[1] == "1 of the classes …"
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]
    assert figure.layout.width <= PAGE_PX


def test_of_a_thousand_classes_the_most_confused_are_shown_with_the_images_of_all() -> None:
    counts = np.diag(np.full(1000, 8))
    counts[7, 990] = 2  # one class mistaken for another: 2 of 10 images
    names = [f"class {number}" for number in range(1000)]
    figure = confusion_figure(metrics(counts.tolist(), names))
    _, wrong = figure.data
    shown = list(figure.layout.xaxis.ticktext)
    assert (len(shown), shown[7], shown[-1]) == (MAX_CLASSES, "class 7", "class 990")
    assert wrong.customdata[7][-1].endswith("2 of 10 images (20.0%)")
    assert "of 1,000 classes" in figure.layout.xaxis.title.text
    assert len(figure.to_json()) < 3_000_000


def test_names_cannot_be_markup_or_fields_of_a_template() -> None:
    assert truncated_label("a <b> & c", 20) == "a &lt;b&gt; &amp; c"
    assert truncated_label("%{x}", 20) == "%&#123;x}"
    assert truncated_label("abcdef", 5) == "abcd…"
    assert truncated_label("abcde", 5) == "abcde"


@pytest.mark.parametrize("channels", [1, 3])
def test_the_gallery_shows_each_image_beside_its_overlay(channels: int) -> None:
    shown = [example(5, 0, (2, 0.87), channels=channels), example(9, 1, (1, 0.5), channels=channels)]
    figure = gallery_figure(shown, NAMES)
    assert len(figure.data) == 4
    for place, each in enumerate(shown):
        plain, hot = figure.data[2 * place : 2 * place + 2]
        assert np.array_equal(pixels_of(plain), each.pixels.squeeze())
        assert np.array_equal(pixels_of(hot), overlay_heatmap(each.pixels, each.heatmap))
        assert (plain.y0, plain.dx) == (hot.y0, hot.dx)
        assert hot.x0 >= plain.x0 + 4 * plain.dx  # four pixels wide
        assert plain.zsmooth is False


def test_captions_have_prediction_confidence_and_class_and_errors_come_first() -> None:
    figure = gallery_figure((EXAMPLES[2], *EXAMPLES[:2]), NAMES)
    assert [each for each in captions(figure) if "%" in each] == [
        "<b>bag 87%</b><br>(true: shirt)",
        "<b>shirt 60%</b><br>(true: bag)",
        "<b>shoe 41%</b><br>correct",
    ]
    assert "image 5, true: shirt<br>bag 87%<br>shirt 10%<br>shoe 3%" in figure.data[0].hovertemplate


def test_eighteen_examples_lie_apart_and_inside_the_page() -> None:
    shown = [example(n, 0, (n < 12, 0.5)) for n in range(18)]
    figure = gallery_figure(shown, NAMES)
    boxes = [(each.x0 - each.dx / 2, each.y0 - each.dy / 2, 4 * each.dx) for each in figure.data]
    assert len(boxes) == 36
    assert figure.layout.width <= PAGE_PX
    assert all(x >= 0 and x + side <= figure.layout.width for x, _, side in boxes)
    assert all(y >= 0 and y + side <= figure.layout.height for _, y, side in boxes)
    assert not any(overlap(one, other) for n, one in enumerate(boxes) for other in boxes[:n])
    # A caption's two lines take some 30 px.
    texts = [(each.x, each.y, 30) for each in figure.layout.annotations]
    assert not any(overlap(text, box) for text in texts for box in boxes)


def overlap(one: tuple[float, float, float], other: tuple[float, float, float]) -> bool:
    return all(one[axis] < other[axis] + other[2] and other[axis] < one[axis] + one[2] for axis in (0, 1))


def test_an_overlay_is_grey_at_0_and_bright_at_1() -> None:
    pixels = np.full((1, 2, 3), (30, 60, 90), np.uint8)
    cold, hot = overlay_heatmap(pixels, np.array([[0, 1]], np.float32))[0]
    assert cold.tolist() == [60, 60, 60]
    # 0.35 of the grey 60 and 0.65 of inferno's last color, #fcffa4 = (252, 255, 164).
    assert hot.tolist() == [185, 187, 128]


def test_a_feature_map_is_scaled_over_viridis_and_a_constant_one_is_dark() -> None:
    # van der Walt and Smith's #440154 and #fde725.
    assert viridis(np.array([[-3, 5]], np.float32)).tolist() == [[[68, 1, 84], [253, 231, 37]]]
    assert viridis(np.full((1, 1), 7, np.float32)).tolist() == [[[68, 1, 84]]]


def test_the_feature_maps_of_a_block_are_in_one_row() -> None:
    figure = maps_figure(EXAMPLES[0].pixels, VIEWS)
    image, *maps = figure.data
    assert np.array_equal(pixels_of(image), EXAMPLES[0].pixels[..., 0])
    shown = [values for view in VIEWS for values in view.maps]
    assert all(np.array_equal(pixels_of(each), viridis(v)) for each, v in zip(maps, shown, strict=True))
    assert captions(figure)[1:] == ["<b>stem</b><br>4 × 4", "<b>block 1</b><br>2 × 2"]
    assert maps[0].hovertemplate.startswith("stem, channel 3<br>from 0 to 15<")
    tops = [each.y0 - each.dy / 2 for each in maps]
    assert tops[0] == tops[1]


@pytest.mark.parametrize("maps", [1, 6, 24])
def test_a_deep_networks_maps_lie_apart_and_inside_the_page(maps: int) -> None:
    shown = [
        BlockActivations(f"block {n}", np.zeros((maps, 7, 7), np.float32), tuple(range(maps)), None)
        for n in range(17)
    ]
    figure = maps_figure(EXAMPLES[0].pixels, shown)
    boxes = [(each.x0 - each.dx / 2, each.y0 - each.dy / 2, 7 * each.dx) for each in figure.data[1:]]
    assert len(boxes) == 17 * maps
    assert figure.layout.width <= PAGE_PX
    assert all(x + side <= figure.layout.width and y + side <= figure.layout.height for x, y, side in boxes)
    assert not any(overlap(one, other) for n, one in enumerate(boxes) for other in boxes[:n])


def test_the_gates_are_in_order_and_counted() -> None:
    figure = gates_figure(VIEWS)
    assert figure is not None
    [strip] = figure.data
    assert np.array(strip.z).shape == (1, 101)
    assert list(strip.z[0]) == sorted(strip.z[0])
    assert (strip.z[0][0], strip.z[0][-1]) == (0, 1)
    # 0.5 + 0 + 1 + 0.04 + 0.25 + 0.75 + 0.95 + 0.05 = 3.54 over 8; 0 and 0.04 are closed, 1 is open
    assert captions(figure) == ["<b>block 1</b>: mean 0.44, 25% closed, 12% open (8)"]


def test_without_attention_there_is_no_figure_of_gates() -> None:
    assert gates_figure(VIEWS[:1]) is None
