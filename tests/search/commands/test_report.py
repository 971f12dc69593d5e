"""`bneck report`: the page of a search or of a training, written anew."""

from collections.abc import Mapping
from pathlib import Path

import onnxruntime
import plotly.graph_objects as go
import pytest
import torch

from bneck.evaluate.data.dataset import load_data
from bneck.evaluate.training.checkpoint import load_trained_network
from bneck.results import Run
from bneck.search.commands.report import write_page
from bneck.search_space import RunError, load_architecture

from ...results.example_run import example_run
from ..example_trainings import asks_for_something, contents, files, run, train

TRAINING_FIGURES = ["samples", "curves", "confusion", "gallery", "feature-maps", "gates"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training to read only."""
    folder = tmp_path_factory.mktemp("trainings") / "t"
    train(folder)
    return folder


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return example_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[Path, list[str]]:
    """The names of the figures that would be drawn, by folder; no browser is started."""
    found: dict[Path, list[str]] = {}

    def write_pngs(figures: Mapping[str, go.Figure], folder: Path) -> list[Path]:
        assert all(isinstance(figure, go.Figure) for figure in figures.values())
        found[folder] = list(figures)
        return [folder / f"{name}.png" for name in figures]

    monkeypatch.setattr("bneck.results.outputs.write_pngs", write_pngs)
    return found


def test_the_page_of_a_training_is_the_one_it_left(trained: Path, tmp_path: Path) -> None:
    before = contents(trained)
    ran = run("report", trained, "-o", tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert str(tmp_path / "report.html") in ran.out.split()
    assert (tmp_path / "report.html").read_bytes() == before["report.html"]
    assert contents(trained) == before


def test_without_a_place_the_page_is_in_the_folder(tmp_path: Path) -> None:
    train(tmp_path / "t", "--epochs", 1)
    before = contents(tmp_path / "t")
    (tmp_path / "t" / "report.html").write_text("old", encoding="utf-8")
    assert run("report", tmp_path / "t").out.split() == ["report:", str(tmp_path / "t" / "report.html")]
    assert contents(tmp_path / "t") == before


@pytest.mark.slow
def test_a_search_and_a_training_have_pages_and_pictures_of_their_own(
    trained: Path, searched: Run, tmp_path: Path, drawn: dict[Path, list[str]]
) -> None:
    write_page([searched.folder], tmp_path / "s.html")
    assert drawn == {}
    html = (tmp_path / "s.html").read_text(encoding="utf-8")
    assert searched.record("best").key in html
    assert not asks_for_something(html)
    for folder, name in ((trained, "t"), (searched.folder, "s")):
        (tmp_path / name).mkdir()
        ran = run("report", folder, "-o", tmp_path / name, "--png")
        assert ran.code == 0
        assert str(tmp_path / name / "pictures") in ran.out
    figures = {"t": TRAINING_FIGURES, "s": ["pareto", "pareto-macs", "pareto-params"]}
    assert drawn == {tmp_path / name / "pictures": names for name, names in figures.items()}


@pytest.mark.slow
def test_pictures_are_files(searched: Run, tmp_path: Path) -> None:
    pytest.importorskip("kaleido", reason="the extra bneck[png] is not installed")
    ran = run("report", searched.folder, "-o", tmp_path, "--png")
    assert ran.code == 0
    names = ["pareto", "pareto-macs", "pareto-params"]
    assert files(tmp_path / "pictures") == sorted(
        f"{name}.{kind}" for name in names for kind in ("png", "svg")
    )
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (tmp_path / "pictures").glob("*.png"))


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_folder_that_is_neither_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=f"{name} is no folder of bneck"):
        write_page([tmp_path / name], tmp_path / "page.html")
    assert files(tmp_path) == ["empty"]


def test_a_page_that_cannot_be_written_is_named_and_the_old_one_stays(trained: Path, tmp_path: Path) -> None:
    before = contents(trained)
    file = tmp_path / "file"
    file.touch()
    assert f"{file / 'report.html'} cannot be written" in run("report", trained, "-o", file).complaint
    assert contents(trained) == before
    assert files(tmp_path) == ["file"]


def test_a_missing_output_folder_is_created(trained: Path, tmp_path: Path) -> None:
    assert run("report", trained, "-o", tmp_path / "new" / "folder").code == 0
    assert (tmp_path / "new" / "folder" / "report.html").is_file()


def test_a_training_is_exported_without_a_trial(trained: Path, tmp_path: Path) -> None:
    ran = run("export", trained, "--format", "config,onnx,weights", "-o", tmp_path / "out")
    assert ran.code == 0
    config, onnx, weights = (Path(line) for line in ran.out.splitlines())
    architecture = load_architecture(config)
    assert config.name == f"t-{architecture.key}.yaml"
    assert weights.read_bytes() == (trained / "model.safetensors").read_bytes()
    images, _ = next(load_data("digits").batches("test", 8, 64))
    session = onnxruntime.InferenceSession(onnx)
    [logits] = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    with torch.inference_mode():
        expected = load_trained_network(architecture, weights)(images)
    assert logits == pytest.approx(expected.numpy(), abs=1e-4)


def test_a_training_has_no_trials(trained: Path, tmp_path: Path) -> None:
    ran = run("export", trained, "--trial", "best", "-o", tmp_path / "out")
    assert ran.complaint == f"{trained} is a training, which has one network; leave out --trial"
    assert not (tmp_path / "out").exists()


def test_a_search_needs_a_trial(searched: Run, tmp_path: Path) -> None:
    ran = run("export", searched.folder, "-o", tmp_path / "out")
    assert ran.complaint == f"{searched.folder} is a search; choose a network of it: --trial best"
