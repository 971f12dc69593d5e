"""Small images in a figure, placed by pixel on one pair of axes."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from PIL import Image
from plotly.colors import hex_to_rgb, sequential

from ..text.formatting import truncate
from .style import INK, TEMPLATE

Bytes = NDArray[np.uint8]
_INFERNO = np.array([hex_to_rgb(color) for color in sequential.Inferno], dtype=np.float64)
_VIRIDIS = np.array([hex_to_rgb(color) for color in sequential.Viridis], dtype=np.float64)
_OPACITY = 0.65


@dataclass(frozen=True, eq=False)
class PlacedImage:
    """An image and its position, in pixels of the page from the upper left.

    Attributes:
        pixels: `h x w`, `h x w x 1` or `h x w x 3`; drawn without smoothing.
        hover: markup.
    """

    pixels: Bytes
    left: float
    top: float
    width_px: float
    hover: str


@dataclass(frozen=True)
class Caption:
    """Markup whose upper left corner is at a position in pixels."""

    text: str
    left: float
    top: float
    color: str = INK
    size: int = 12


def image_grid(
    images: Sequence[PlacedImage], captions: Sequence[Caption], width_px: int, height_px: int
) -> go.Figure:
    """A figure of fixed size without zooming, so that dragging scrolls the page."""
    axis = {"visible": False, "fixedrange": True, "automargin": False}
    figure = go.Figure(
        [_trace(image) for image in images],
        layout={
            "template": TEMPLATE,
            "width": width_px,
            "height": height_px,
            "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
            "dragmode": False,
            "xaxis": axis | {"range": [0, width_px], "constrain": "domain"},
            "yaxis": axis | {"range": [height_px, 0], "constrain": "domain"},
        },
    )
    figure.layout.annotations = [_annotation(caption) for caption in captions]
    return figure


def _trace(image: PlacedImage) -> go.Image:
    step = image.width_px / image.pixels.shape[1]
    return go.Image(
        source=png_uri(image.pixels),
        x0=image.left + step / 2,  # the center of the first pixel
        y0=image.top + step / 2,
        dx=step,
        dy=step,
        zsmooth=False,
        hovertemplate=f"{image.hover}<extra></extra>",
    )


def _annotation(caption: Caption) -> dict[str, Any]:
    return {
        "text": caption.text,
        "x": caption.left,
        "y": caption.top,
        "xanchor": "left",
        "yanchor": "top",
        "align": "left",
        "showarrow": False,
        "borderpad": 0,
        "font": {"color": caption.color, "size": caption.size},
    }


def png_uri(pixels: Bytes) -> str:
    """A PNG data URI."""
    flat = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    stream = io.BytesIO()
    Image.fromarray(flat).save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def overlay_heatmap(pixels: Bytes, heatmap: NDArray[np.float32]) -> Bytes:
    """The image in grey under a heat map in inferno colors.

    Args:
        pixels: `h x w x channels`.
        heatmap: `h x w` from 0 to 1.
    """
    grey = pixels.mean(2, keepdims=True)
    cover = _OPACITY * heatmap[..., None]
    return _bytes((1 - cover) * grey + cover * _colorize(heatmap, _INFERNO))


def viridis(values: NDArray[np.float32]) -> Bytes:
    """Viridis colors, scaled from the minimum (dark blue) to the maximum (yellow)."""
    least, most = values.min(), values.max()
    shares = (values - least) / (most - least) if most > least else np.zeros_like(values)
    return _bytes(_colorize(shares, _VIRIDIS))


def _bytes(colors: NDArray[np.float64]) -> Bytes:
    return np.rint(colors).astype(np.uint8)


def _colorize(shares: NDArray[np.float32], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    places = np.linspace(0, 1, len(scale))
    return np.stack([np.interp(shares, places, channel) for channel in scale.T], axis=-1)


def truncated_label(name: str, longest: int) -> str:
    """A truncated name that plotly reads neither as markup nor as a template field."""
    return escape(truncate(name, longest), quote=False).replace("%{", "%&#123;")
