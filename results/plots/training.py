"""Figures of a training run: learning curves, confusion matrix, Grad-CAM, feature maps, gates."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ...evaluate import Epoch
from ...evaluate.training.grad_cam import BlockActivations, Example
from ...evaluate.training.metrics import Metrics
from .images import Bytes, Caption, PlacedImage, image_grid, overlay_heatmap, truncated_label, viridis
from .style import BLUE, HOVER, INK, ORANGE, TEMPLATE

_BLUES = [[0, "#FFFFFF"], [1, "#86B6DA"]]
_ERRORS = [[0, "#FFFFFF"], [0.25, "#FDD9B5"], [0.6, "#F28E3C"], [1, "#A33B00"]]
_MIN_SCALE_FRACTION = 0.1
_MAX_NUMBERED_CLASSES, _LONGEST_LABEL = 15, 18
MAX_CLASSES = 100  # of the confusion matrix, which has a hover text for every cell
_MAX_MARKED_EPOCHS = 30
_CURVE_NAMES, _CURVE_COLORS = ("training", "validation"), (BLUE, ORANGE)
_EPOCHS = "epoch<br><sub>training: on augmented images, while the weights change</sub>"
_COLUMNS, _SIDE_PX, _GAP_PX = 4, 128, 34
_HALF_PX, _NAME_PX = 504, 66
_CLOSED, _OPEN = 0.05, 0.95


def curves_figure(curve: Sequence[Epoch], best_epoch: int | None) -> go.Figure:
    """Loss and accuracy by epoch, one above the other; metrics without values are left out.

    Args:
        best_epoch: the epoch whose weights were selected, counted from 1.
    """
    losses = [each.train_loss for each in curve], [each.validation_loss for each in curve]
    top1s = [_percent(each.train_top1) for each in curve], [_percent(each.validation_top1) for each in curve]
    figure = go.Figure(layout={"template": TEMPLATE, "hovermode": "x unified", "showlegend": True})
    both = _lines(figure, "y2", top1s, ".1f")
    _lines(figure, "y", losses, ".3f")
    figure.update_layout(yaxis={"title": "loss", "domain": [0.54, 1] if both else [0, 1]})
    if both:
        figure.update_layout(yaxis2={"title": "accuracy, %", "domain": [0, 0.46], "anchor": "x"})
    whole = {"tickformat": "d"} | ({"dtick": 1} if len(curve) <= 10 else {})
    figure.update_xaxes(title=_EPOCHS, anchor="y2" if both else "y", range=[0.5, len(curve) + 0.5], **whole)
    if best_epoch is not None:
        label = {"text": f"selected: epoch {best_epoch}", "textangle": 0, "textposition": "start"}
        label |= {"xanchor": "right" if best_epoch > len(curve) / 2 else "left", "yanchor": "bottom"}
        line = {"dash": "dash", "color": INK, "width": 1.5}
        ends = {"x0": best_epoch, "x1": best_epoch, "y0": 0, "y1": 1, "yref": "paper"}
        figure.add_shape(type="line", **ends, line=line, label=label)
    return figure.update_layout(height=460 if both else 280)


def _lines(
    figure: go.Figure, axis: str, values: tuple[Sequence[float | None], Sequence[float | None]], form: str
) -> bool:
    """Add the training and validation curves that have values; returns whether there are any."""
    known = [any(value is not None for value in each) for each in values]
    for name, color, each, draw in zip(_CURVE_NAMES, _CURVE_COLORS, values, known, strict=True):
        if draw:
            figure.add_scatter(
                x=list(range(1, len(each) + 1)),
                y=list(each),
                yaxis=axis,
                name=name,
                legendgroup=name,
                showlegend=axis == "y",
                mode="lines+markers" if len(each) <= _MAX_MARKED_EPOCHS else "lines",
                connectgaps=True,
                line={"color": color, "width": 2},
                marker={"size": 6},
                hovertemplate=f"%{{y:{form}}}",
            )
    return any(known)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def confusion_figure(metrics: Metrics) -> go.Figure:
    """Fractions of each true class (rows) by predicted class (columns).

    Of more than `MAX_CLASSES` classes those with most errors. Correct predictions are blue; errors are
    orange on a square-root scale, so that 1% is visible.
    """
    all_counts = np.array(metrics.confusion, dtype=np.int64)
    places = _most_errors(all_counts, MAX_CLASSES)
    names = [metrics.classes[place].name for place in places]
    counts = all_counts[np.ix_(places, places)]
    images = all_counts.sum(1)[places]
    shares = counts / np.maximum(images, 1)[:, None]
    size = len(names)
    subset = (
        f" (of {len(all_counts):,} classes the {size} with most errors)" if size < len(all_counts) else ""
    )
    diagonal = np.eye(size, dtype=bool)
    hover = [
        [_cell_hover(names, counts, images, row, column) for column in range(size)] for row in range(size)
    ]
    most = float(shares[~diagonal].max(initial=_MIN_SCALE_FRACTION))
    cell = int(np.clip(480 / size, 9, 48))
    gap = 1 if size <= 40 else 0
    cells = {"customdata": hover, "hovertemplate": HOVER, "hoverongaps": False, "xgap": gap, "ygap": gap}
    numbered = size <= _MAX_NUMBERED_CLASSES
    if numbered:
        cells |= {
            "text": _numbers(shares),
            "texttemplate": "%{text}",
            "textfont": {"size": min(12, cell // 3)},
        }
    ticks = [share for share in (0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0) if share <= most]
    bar = {"title": {"text": "errors", "side": "top"}, "thickness": 12, "len": 0.6, "y": 1, "yanchor": "top"}
    bar |= {
        "tickvals": [share**0.5 for share in ticks],
        "ticktext": [f"{100 * share:.0f}%" for share in ticks],
    }
    right = np.where(diagonal, shares, np.nan)
    wrong = np.where(diagonal, np.nan, np.sqrt(shares))
    figure = go.Figure(layout={"template": TEMPLATE, "dragmode": False})
    figure.add_heatmap(z=right, zmin=0, zmax=1, colorscale=_BLUES, showscale=False, name="correct", **cells)
    figure.add_heatmap(z=wrong, zmin=0, zmax=most**0.5, colorscale=_ERRORS, name="error", **cells)
    figure.data[1].update(colorbar=bar, showscale=not numbered)
    letter = int(np.clip(cell - 2, 9, 12))
    labels = [truncated_label(name, _LONGEST_LABEL) for name in names]
    room = int(0.6 * letter * min(_LONGEST_LABEL, max(map(len, names)))) + 40
    axis = {"tickvals": list(range(size)), "ticktext": labels, "tickfont": {"size": letter}, "ticks": ""}
    axis |= {"showgrid": False, "fixedrange": True}
    figure.update_xaxes(
        title={"text": f"predicted class{subset}", "standoff": 12},
        range=[-0.5, size - 0.5],
        tickangle=-90,
        **axis,
    )
    figure.update_yaxes(title={"text": "true class", "standoff": 12}, range=[size - 0.5, -0.5], **axis)
    return figure.update_layout(
        width=room + cell * size + (10 if numbered else 100),
        height=room + cell * size + 20,
        margin={"l": 5, "b": 5, "t": 10, "r": 5},
    )


def _most_errors(counts: NDArray[np.int64], most: int) -> list[int]:
    """Indices of the classes in order; of more than `most` those with most errors in row and column."""
    if len(counts) <= most:
        return list(range(len(counts)))
    errors = counts.sum(0) + counts.sum(1) - 2 * np.diag(counts)
    return sorted(np.argsort(-errors, kind="stable")[:most].tolist())


def _cell_hover(
    names: Sequence[str], counts: NDArray[np.int64], row_images: NDArray[np.int64], row: int, column: int
) -> str:
    images = int(row_images[row])
    true, predicted = truncated_label(names[row], 60), truncated_label(names[column], 60)
    share = f" ({100 * counts[row, column] / images:.1f}%)" if images else ""
    return f"true: {true}<br>predicted: {predicted}<br>{counts[row, column]:,} of {images:,} images{share}"


def _numbers(shares: NDArray[np.float64]) -> list[list[str]]:
    """Percentages without decimals; empty for 0."""
    return [
        ["" if s == 0 else "<1" if s < 0.01 else f"{100 * s:.0f}" for s in row] for row in shares.tolist()
    ]


def gallery_figure(examples: Sequence[Example], class_names: Sequence[str]) -> go.Figure:
    """Images next to their Grad-CAM heat maps: errors first, then correct predictions, four per row."""
    pictures: list[PlacedImage] = []
    captions: list[Caption] = []
    top = 0
    groups = {
        "Errors with the highest confidence": [
            each for each in examples if each.top_predictions[0][0] != each.label
        ],
        "Correct predictions with the lowest confidence": [
            each for each in examples if each.top_predictions[0][0] == each.label
        ],
    }
    for title, members in groups.items():
        if not members:
            continue
        captions.append(Caption(f"<b>{title}</b>", 0, top + 4, size=13))
        top += 30
        for place, example in enumerate(members):
            row, column = divmod(place, _COLUMNS)
            left = column * (2 * _SIDE_PX + _GAP_PX)
            above = top + row * (_SIDE_PX + 54)
            captions.append(_answer_caption(example, class_names, left, above))
            hover = _example_hover(example, class_names)
            for shift, pixels in (
                (0, example.pixels),
                (_SIDE_PX + 4, overlay_heatmap(example.pixels, example.heatmap)),
            ):
                pictures.append(PlacedImage(pixels, left + shift, above + 36, _SIDE_PX, hover))
        top += -(-len(members) // _COLUMNS) * (_SIDE_PX + 54) + 6
    return image_grid(pictures, captions, _COLUMNS * (2 * _SIDE_PX + _GAP_PX), top or 1)


def samples_figure(samples: Sequence[tuple[int, NDArray[np.uint8]]], class_names: Sequence[str]) -> go.Figure:
    """An image of each class under its name."""
    columns, side, gap, above = 10, 72, 18, 22
    pictures, captions = [], []
    for place, (label, pixels) in enumerate(samples):
        row, column = divmod(place, columns)
        left, top = column * (side + gap), row * (side + gap + above)
        name = class_names[label]
        captions.append(Caption(truncated_label(name, 11), left, top))
        hover = truncated_label(name, 60)
        pictures.append(PlacedImage(pixels, left, top + above, side, hover))
    rows = -(-len(samples) // columns)
    return image_grid(
        pictures, captions, min(columns, len(samples)) * (side + gap), rows * (side + gap + above)
    )


def _answer_caption(example: Example, class_names: Sequence[str], left: int, top: int) -> Caption:
    answer, chance = example.top_predictions[0]
    wrong = answer != example.label
    below = f"(true: {truncated_label(class_names[example.label], 30)})" if wrong else "correct"
    text = f"<b>{truncated_label(class_names[answer], 28)} {_chance(chance)}</b><br>{below}"
    return Caption(text, left, top, ORANGE if wrong else BLUE)


def _example_hover(example: Example, class_names: Sequence[str]) -> str:
    lines = [
        f"{truncated_label(class_names[answer], 60)} {_chance(chance)}"
        for answer, chance in example.top_predictions
    ]
    true = truncated_label(class_names[example.label], 60)
    return "<br>".join([f"image {example.position:,}, true: {true}", *lines])


def _chance(chance: float) -> str:
    return f"{100 * chance:.0f}%" if chance >= 0.01 else "<1%"


def maps_figure(pixels: Bytes, views: Sequence[BlockActivations]) -> go.Figure:
    """An image and the strongest channels of the stem and of each block, each on its own scale."""
    most = max(len(view.channels) for view in views)
    side = min(70, (_HALF_PX - _NAME_PX) // most - 3)
    pitch = max(side, 30) + 8
    rows = -(-len(views) // 2)
    pictures = [PlacedImage(pixels, 0, 20, 120, "input image")]
    captions = [Caption("<b>input image</b>", 0, 0)]
    for number, view in enumerate(views):
        column, row = divmod(number, rows)
        left, top = 140 + column * (_HALF_PX + 10), 20 + row * pitch
        height, width = view.maps.shape[1:]
        captions.append(Caption(f"<b>{view.name}</b><br>{height} × {width}", left, top + 2, size=11))
        for place, (channel, values) in enumerate(zip(view.channels, view.maps, strict=True)):
            hover = f"{view.name}, channel {channel}<br>from {values.min():.3g} to {values.max():.3g}"
            pictures.append(
                PlacedImage(viridis(values), left + _NAME_PX + place * (side + 3), top, side, hover)
            )
    return image_grid(pictures, captions, 140 + 2 * (_HALF_PX + 10), max(20 + rows * pitch, 145))


def gates_figure(views: Sequence[BlockActivations]) -> go.Figure | None:
    """Sorted attention gates for one image, one strip per block; None if no block has attention."""
    gated = [(view.name, view.gates) for view in views if view.gates is not None]
    if not gated:
        return None
    shares = np.linspace(0, 1, 101)
    strips = [np.quantile(gates, shares, method="nearest") for _, gates in gated]
    rows = list(range(len(gated)))
    strip = go.Heatmap(
        x=100 * shares,
        y=rows,
        z=strips,
        zmin=0,
        zmax=1,
        colorscale="Viridis",
        ygap=22,
        showscale=False,
        hovertemplate="%{x:.0f}% of the gates are at most %{z:.2f}<extra></extra>",
    )
    figure = go.Figure(strip, layout={"template": TEMPLATE, "dragmode": False})
    figure.layout.annotations = [
        {"text": _gates_text(name, gates), "x": 0, "y": row - 0.5, "showarrow": False}
        | {"xanchor": "left", "yanchor": "middle", "font": {"size": 12}, "borderpad": 0}
        for row, (name, gates) in enumerate(gated)
    ]
    title = "gates sorted by value, %"
    figure.update_xaxes(title=title, range=[0, 100], fixedrange=True, showgrid=False)
    figure.update_yaxes(range=[len(gated) - 0.5, -0.75], visible=False, fixedrange=True)
    return figure.update_layout(height=46 * len(gated) + 85, margin={"t": 20, "l": 5, "r": 15, "b": 50})


def _gates_text(name: str, gates: NDArray[np.float32]) -> str:
    closed, opened = 100 * (gates < _CLOSED).mean(), 100 * (gates > _OPEN).mean()
    fractions = f"{closed:.0f}% closed, {opened:.0f}% open"
    return f"<b>{name}</b>: mean {gates.mean():.2f}, {fractions} ({gates.size:,})"
