"""Settings for all tests."""

import os
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch
import typer.main
from hypothesis import settings
from sqlalchemy import event
from sqlalchemy.engine import Engine

pytest.register_assert_rewrite("bneck.testing")
torch.set_num_threads(1)
settings.register_profile("bneck", deadline=None, derandomize=True)
settings.load_profile("bneck")
typer.main.get_command = cache(typer.main.get_command)


@event.listens_for(Engine, "connect")
def no_sync(connection: Any, _: object) -> None:
    """A study need not survive a power failure during the tests."""
    if type(connection).__module__ == "sqlite3":
        connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture(scope="session", autouse=True)
def no_fsync() -> Iterator[None]:
    """Files need not survive a power failure either."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Latencies are kept in a folder of this session; commands that a test starts inherit it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BNECK_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
