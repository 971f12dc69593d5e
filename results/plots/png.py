"""Figures as PNG files, drawn by kaleido in a headless browser."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import plotly.graph_objects as go

from ...evaluate.optional_dependencies import optional_import
from ...search_space import RunError
from ...search_space.errors import first_line

_WIDTH_PX, _HEIGHT_PX, _SCALE = 1100, 500, 2
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
    """Write `NAME.png` for each figure, replacing older files atomically.

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
                    "path": Path(temporary_folder) / f"{name}.png",
                    "opts": {
                        "format": "png",
                        "width": figure.layout.width or _WIDTH_PX,
                        "height": figure.layout.height or _HEIGHT_PX,
                        "scale": _SCALE,
                    },
                }
                for name, figure in figures.items()
            ]
            # Kaleido itself, since plotly's write_images starts a download of MathJax and hides failures.
            kaleido_module.write_fig_from_object_sync(wanted, cancel_on_error=True, kopts={"mathjax": False})
            return [each["path"].replace(folder / each["path"].name) for each in wanted]
    except ChromeNotFoundError:
        raise RunError(f"PNG files need a browser, and none was found; get one: {_REMEDY}") from None
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {error.strerror}") from None
    except Exception as error:
        raise RunError(f"the PNG files cannot be drawn ({first_line(error)}); needed: {_REMEDY}") from None
