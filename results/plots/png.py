"""Figures as PNG and SVG files, drawn by kaleido in a headless browser."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import plotly.graph_objects as go

from ...evaluate.optional_dependencies import optional_import
from ...search_space import RunError
from ...search_space.errors import first_line

_WIDTH_PX, _HEIGHT_PX = 1100, 500
_SCALES = {"png": 2, "svg": 1}
_REMEDY = "pip install 'bneck[png]', and Chrome or chromium on the PATH"


def kaleido() -> ModuleType:
    """The module kaleido.

    Raises:
        RunError: it is not installed.
    """
    with optional_import("--png (drawn by kaleido and Chrome or chromium)", extra="png", error=RunError):
        import kaleido

    module: ModuleType = kaleido
    return module


def write_pngs(figures: Mapping[str, go.Figure], folder: Path) -> list[Path]:
    """Write `NAME.png` and `NAME.svg` for each figure, replacing older files atomically.

    Raises:
        RunError: kaleido or a browser is missing, a figure cannot be drawn, or the folder cannot be written.
    """
    kaleido_module = kaleido()
    from kaleido.errors import ChromeNotFoundError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".png-", dir=folder) as temporary_folder:
            wanted = [
                {
                    "fig": figure,
                    "path": Path(temporary_folder) / f"{name}.{file_format}",
                    "opts": {
                        "format": file_format,
                        "width": figure.layout.width or _WIDTH_PX,
                        "height": figure.layout.height or _HEIGHT_PX,
                        "scale": scale,
                    },
                }
                for name, figure in figures.items()
                for file_format, scale in _SCALES.items()
            ]
            # Kaleido itself, since plotly's write_images starts a download of MathJax and hides failures.
            kaleido_module.write_fig_from_object_sync(wanted, cancel_on_error=True, kopts={"mathjax": False})
            return [each["path"].replace(folder / each["path"].name) for each in wanted]
    except ChromeNotFoundError:
        raise RunError(f"PNG and SVG files need a browser, and none was found; get one: {_REMEDY}") from None
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {error.strerror}") from None
    except Exception as error:
        raise RunError(
            f"the PNG and SVG files cannot be drawn ({first_line(error)}); needed: {_REMEDY}"
        ) from None
