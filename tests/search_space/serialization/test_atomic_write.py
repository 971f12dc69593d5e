"""Files that are there whole, or as they were."""

import os
from pathlib import Path

import pytest

from bneck.search_space import RunError
from bneck.search_space.serialization.atomic_write import write_atomic

from ...injected_faults import each_fault


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_text_is_written_as_utf8_and_bytes_as_they_are(tmp_path: Path) -> None:
    write_atomic(tmp_path / "text", "größer\r\n")
    write_atomic(tmp_path / "bytes", b"\x00\xff\n")
    assert (tmp_path / "text").read_bytes() == "größer\r\n".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\x00\xff\n"


def test_the_old_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    for content in ("a longer one", "new"):
        write_atomic(tmp_path / "file", content)
    assert (tmp_path / "file").read_text() == "new"
    assert names(tmp_path) == ["file"]


def test_a_reader_of_the_old_file_keeps_it(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", "old")
    with (tmp_path / "file").open() as reader:
        write_atomic(tmp_path / "file", "new")
        assert reader.read() == "old"


def test_a_full_disk_leaves_the_old_file_and_no_debris(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomic(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError) as caught:
        write_atomic(path, "new")
    assert str(caught.value) == f"{path} cannot be written: No space left on device"
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("replace", [True, False])
def test_a_kill_at_any_step_leaves_the_old_content_or_the_new(tmp_path: Path, replace: bool) -> None:
    def write(root: Path) -> None:
        write_atomic(root / "file", "new", replace=replace)

    def prepared(root: Path) -> None:
        if replace:
            (root / "file").write_text("old")

    for root, _ in each_fault(tmp_path, write, least=1, prepare=prepared):
        content = (root / "file").read_text() if (root / "file").exists() else None
        assert content in (("old", "new") if replace else (None, "new"))


def test_a_file_that_must_be_new_does_not_replace_one_that_appears_in_the_last_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    monkeypatch.setattr(os, "fsync", lambda _: path.write_text("of another process"))
    with pytest.raises(RunError, match="file exists"):
        write_atomic(path, "new", replace=False)
    assert path.read_text() == "of another process"
    assert names(tmp_path) == ["file"]


def test_without_hard_links_a_new_file_is_written_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    write_atomic(tmp_path / "file", "new", replace=False)
    assert (tmp_path / "file").read_text() == "new"
    with pytest.raises(RunError, match="file exists"):
        write_atomic(tmp_path / "file", "newer", replace=False)
    assert names(tmp_path) == ["file"]


def test_the_content_is_on_disk_before_the_old_file_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomic(path, "old")
    real, seen = os.fsync, []

    def look(number: int) -> None:
        (unfinished,) = (each for each in tmp_path.iterdir() if each != path)
        seen.append((path.read_text(), unfinished.read_text()))
        real(number)

    monkeypatch.setattr(os, "fsync", look)
    write_atomic(path, "new")
    assert seen == [("old", "new")]


def test_a_swap_that_fails_leaves_no_debris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(RunError, match=r"/file cannot be written: Permission denied$"):
        write_atomic(tmp_path / "file", "new")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("folder", "Is a directory"),
        ("file/below", "Not a directory"),
        ("nowhere/file", "No such file or directory"),
        ("n" * 300, "File name too long"),
    ],
)
def test_a_path_that_takes_no_file_is_named(place: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    with pytest.raises(RunError) as caught:
        write_atomic(tmp_path / place, "new")
    assert str(caught.value) == f"{tmp_path / place} cannot be written: {reason}"
    assert names(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "old"
