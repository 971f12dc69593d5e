"""The cache folder of users with and without a home."""

import os
import tempfile
from pathlib import Path

import pytest
import torch

from bneck.evaluate.data.dataset import load_data
from bneck.evaluate.latency.cache import cache_directory
from bneck.evaluate.training import pretrained
from bneck.evaluate.user_cache import user_cache_folder
from bneck.search_space import DataError, RunError


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """As in `docker run -u 12345`: neither HOME nor an entry in /etc/passwd; the place of its caches."""
    for name in ("HOME", "XDG_CACHE_HOME", "BNECK_CACHE", "TORCH_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what it does for an unknown user
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path / f"cache-{os.getuid()}"


def test_without_a_home_caches_are_temporary(homeless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert user_cache_folder() == homeless
    assert cache_directory() == homeless / "bneck"
    with pytest.raises(DataError, match=str(homeless)):
        load_data("cifar10")

    def offline(url: str, path: str, hash_prefix: str) -> None:
        raise OSError(path)

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(RunError, match=str(homeless)):
        pretrained.pretrained_network("mobilenet_v3_small")
    assert not (homeless.parent / "~").exists()


def test_a_home_has_the_cache_unless_a_variable_names_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert user_cache_folder() == tmp_path / ".cache"
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert user_cache_folder() == Path("/elsewhere")


def test_a_temporary_cache_that_somebody_else_made_is_not_used(homeless: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    homeless.symlink_to(theirs)
    assert user_cache_folder() != homeless
    assert list(theirs.iterdir()) == []
