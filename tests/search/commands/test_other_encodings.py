"""Names in Latin-1 are refused before any work, or written in full."""

import os
from pathlib import Path

import pytest
import torch

from bneck.evaluate.training.safetensors_io import read_tensors, write_tensors
from bneck.results import Run
from bneck.results.store.new_folder import NumberedFolder
from bneck.search import run_search
from bneck.search_space import RunError
from bneck.search_space.serialization.atomic_write import write_atomic

from ...evaluate.data.test_image_folder import paint_classes
from ..example_trainings import run

LATIN = os.fsdecode("caf\u00e9".encode("latin-1"))


@pytest.mark.parametrize(
    "words",
    [
        ("search", "tiny", "--out", LATIN),
        ("train", "mobilenet_v2", "--data", f"folder:{LATIN}"),
        ("front", LATIN),
        ("export", "run", "--out", LATIN),
        ("supernet", "tiny", "--file", f"{LATIN}.safetensors"),
        ("describe", "space", f"{LATIN}.yaml"),
    ],
)
def test_arguments_in_other_encodings_are_refused_in_one_line(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(*words)
    assert ran.code == 2
    assert "UTF-8" in ran.complaint
    assert "rename" in ran.complaint
    assert ran.complaint.isprintable()
    assert list(tmp_path.iterdir()) == []


def test_class_folders_in_other_encodings_are_refused_before_training(tmp_path: Path) -> None:
    paint_classes(tmp_path / "photos", cat=4, **{LATIN: 4})
    ran = run("train", "mobilenet_v2", "--data", f"folder:{tmp_path}/photos", "--out", tmp_path / "t")
    assert (ran.code, (tmp_path / "t").exists()) == (2, False)
    assert "UTF-8" in ran.complaint


def test_the_api_refuses_folders_in_other_encodings_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="UTF-8"):
        run_search("tiny", data="digits", n_trials=1, out=tmp_path / LATIN, progress=False)
    with pytest.raises(RunError, match="UTF-8"):
        Run.require_absent(NumberedFolder(tmp_path / LATIN))
    assert list(tmp_path.iterdir()) == []


def test_a_model_file_in_another_encoding_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / f"{LATIN}.safetensors"
    write_tensors(path, {"w": torch.ones(1)}, {}, {"bneck": "x/1"})
    with pytest.raises(RunError, match="UTF-8"):
        read_tensors(path, "x/1", "checkpoint")


def test_text_that_is_not_utf8_is_written_escaped(tmp_path: Path) -> None:
    write_atomic(tmp_path / "page.html", f"file {LATIN}.png")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == "file caf\\udce9.png"
