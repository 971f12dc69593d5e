"""Storages of Optuna studies: read-only where a study is only read, and without passwords in files.

A password comes from the URL that the user gave in this process, else from `BNECK_STORAGE_PASSWORD`, else
from where the database's own client looks, such as `~/.pgpass`.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from ...search_space import RunError
from ...search_space.urls import has_secrets, without_secrets

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy import URL

PASSWORD_VARIABLE = "BNECK_STORAGE_PASSWORD"
SQLITE_TIMEOUT_S = 60.0
OWNER_ONLY = 0o600

Access = Literal["read", "write", "create"]
_SQLITE_MODES = {"read": "ro", "write": "rw", "create": "rwc"}


def open_storage(url: str, access: Access = "read") -> "RDBStorage":
    """The storage of a URL; waits a minute for a locked SQLite file, and reconnects to a restarted server.

    Args:
        access: only `create` makes files or tables; `read` opens SQLite files read-only.
    Raises:
        RunError: a SQLite file is missing.
        Exception: whatever Optuna and SQLAlchemy raise; the messages may hold secrets of the URL.
    """
    from optuna.storages import RDBStorage
    from sqlalchemy import make_url

    parsed = make_url(url)
    options: dict[str, Any] = {"pool_pre_ping": True}
    if parsed.get_backend_name() == "sqlite":
        parsed, options = _sqlite_url(parsed, access), {"connect_args": {"timeout": SQLITE_TIMEOUT_S}}
    elif not parsed.password and os.environ.get(PASSWORD_VARIABLE):
        parsed = parsed.set(password=os.environ[PASSWORD_VARIABLE])
    text = parsed.render_as_string(hide_password=False)
    text = text.replace("{", "{{").replace("}", "}}")  # Optuna formats it
    return RDBStorage(text, engine_kwargs=options, skip_table_creation=access != "create")


def sqlite_url(file: Path) -> str:
    """The URL of a SQLite file."""
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(file.resolve())).render_as_string()


def resume_hint(url: str) -> str:
    """What a resumed process needs besides the stored URL; empty if nothing."""
    return f" (first export {PASSWORD_VARIABLE})" if has_secrets(url) else ""


def public_url(url: str) -> str:
    """The URL as files and messages hold it."""
    return without_secrets(url)


def _sqlite_url(url: "URL", access: Access) -> "URL":
    name = url.database or ""
    if name in ("", ":memory:") or name.startswith("file:"):
        return url
    file = Path(name).absolute()
    if access == "create" and not file.exists():
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, OWNER_ONLY))
    if not file.is_file():
        raise RunError(f"{file}: the database of the study is missing; restore it, or start a new run")
    mode = _SQLITE_MODES[access]
    if access == "read" and Path(f"{file}-journal").exists() and os.access(file, os.W_OK):
        mode = "rw"  # a killed process left a transaction that SQLite rolls back first
    address = url.set(database=f"file:{quote(os.fsencode(file))}")
    return address.update_query_dict({"mode": mode, "uri": "true"})
