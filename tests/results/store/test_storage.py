"""Storages of studies: nothing is made by reading, and no secret leaves the process."""

import traceback
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import yaml
from sqlalchemy import make_url

from bneck.results import Run
from bneck.results.store import storage
from bneck.results.store.settings import load_settings, settings_yaml
from bneck.results.store.storage import PASSWORD_VARIABLE, open_storage, sqlite_url
from bneck.search_space import RunError

from ..example_run import run_settings

SECRET_URL = "postgresql+psycopg://ada:s3cret@127.0.0.1:1/studies?connect_timeout=1&sslpassword=s3cret"


@pytest.mark.parametrize("name", ["study.db", "a b%20c?d#e{f}.db", "Füße.db"])
def test_a_database_is_made_once_and_then_only_read(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    url = sqlite_url(file)
    with pytest.raises(RunError, match="is missing"):
        open_storage(url)
    assert list(tmp_path.iterdir()) == []
    made = optuna.create_study(study_name="s", storage=open_storage(url, "create"))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert oct(file.stat().st_mode)[-3:] == "600"
    read = optuna.load_study(study_name="s", storage=open_storage(url))
    with pytest.raises(Exception, match="commit"):
        read.set_user_attr("a", 1)
    optuna.load_study(study_name="s", storage=open_storage(url, "write")).set_user_attr("a", 2)
    assert made.user_attrs == {"a": 2}


def test_a_file_without_tables_gets_none_by_reading(tmp_path: Path) -> None:
    file = tmp_path / "empty.db"
    file.touch()
    with pytest.raises(Exception, match="commit"):
        open_storage(sqlite_url(file))
    assert file.stat().st_size == 0


def test_a_password_is_in_no_file_no_message_and_no_chain(tmp_path: Path) -> None:
    settings = replace(run_settings(), storage=SECRET_URL)
    text = settings_yaml(settings)
    assert "s3cret" not in text
    assert yaml.safe_load(text)["storage"] == "postgresql+psycopg://ada@127.0.0.1:1/studies?connect_timeout=1"
    assert "s3cret" not in repr(settings)
    run = Run(tmp_path, settings)
    with pytest.raises(RunError) as raised:
        run.records()
    assert "s3cret" not in "".join(traceback.format_exception(raised.value))
    assert "ada@127.0.0.1:1/studies" in str(raised.value)
    assert f"export {PASSWORD_VARIABLE}" in run.resume_command
    assert "s3cret" not in run.resume_command
    (tmp_path / "run.yaml").write_text(text, encoding="utf-8")
    assert "s3cret" not in load_settings(tmp_path / "run.yaml").storage


def test_the_password_of_a_stored_url_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("optuna.storages.RDBStorage", lambda url, **_: opened.append(url))
    monkeypatch.setenv(PASSWORD_VARIABLE, "p@ss/{w}")
    open_storage("postgresql+psycopg://ada@db/studies")
    assert make_url(opened[0].format()).password == "p@ss/{w}"
    open_storage("postgresql+psycopg://ada:own@db/studies")
    assert make_url(opened[1]).password == "own"
    monkeypatch.delenv(PASSWORD_VARIABLE)
    open_storage("postgresql+psycopg://ada@db/studies")
    assert make_url(opened[2]).password is None
    assert storage.SQLITE_TIMEOUT_S == 60
