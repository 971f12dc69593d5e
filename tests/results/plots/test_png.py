import io
import shutil
import sys
from pathlib import Path

import plotly.graph_objects as go
import pytest
from PIL import Image

from bneck.results.plots.png import write_pngs
from bneck.search_space import RunError

FIGURES = {
    "fixed": go.Figure(layout={"width": 300, "height": 200}),
    "free": go.Figure(go.Scatter(y=[1, 2]), layout={"height": 100}),
}


def test_without_kaleido_the_error_has_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(RunError, match=r"[Cc]hrome.*needs the package kaleido.*pip install 'bneck\[png\]'"):
        write_pngs(FIGURES, tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


@pytest.mark.extra
def test_without_a_browser_the_error_has_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("kaleido", reason="the extra bneck[png] is not installed")
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "none"))
    with pytest.raises(RunError, match=r"need a browser.*chromium"):
        write_pngs(FIGURES, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.extra
def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    pytest.importorskip("kaleido", reason="the extra bneck[png] is not installed")
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"file.figures cannot be written: Not a directory"):
        write_pngs(FIGURES, tmp_path / "file" / "figures")


@pytest.mark.extra
@pytest.mark.browser
def test_each_figure_is_written_at_twice_its_size_over_an_older_one(tmp_path: Path) -> None:
    pytest.importorskip("kaleido", reason="the extra bneck[png] is not installed")
    if not any(shutil.which(name) for name in ("chromium", "google-chrome")):
        pytest.skip("no chromium to draw with")
    (tmp_path / "free.png").write_text("old", encoding="utf-8")
    paths = write_pngs(FIGURES, tmp_path)
    assert [path.name for path in paths] == ["fixed.png", "fixed.svg", "free.png", "free.svg"]
    assert sorted(tmp_path.iterdir()) == paths
    sizes = [Image.open(io.BytesIO(path.read_bytes())).size for path in paths[::2]]
    assert all(path.read_text(encoding="utf-8").startswith("<svg") for path in paths[1::2])
    assert sizes == [(600, 400), (2200, 200)]
