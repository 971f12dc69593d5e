"""The user's cache folder, also for users without a home folder."""

import os
import tempfile
from pathlib import Path


def user_cache_folder() -> Path:
    """`$XDG_CACHE_HOME`, `~/.cache`, or a temporary folder for a user without a home, as in a container."""
    if override := os.environ.get("XDG_CACHE_HOME"):
        return Path(override)
    try:
        return Path.home() / ".cache"
    except RuntimeError:
        return _temporary_folder()


def _temporary_folder() -> Path:
    """A folder in the temporary folder that belongs to this user alone."""
    folder = Path(tempfile.gettempdir()) / f"cache-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    # anybody may have made it: files of somebody else are not used
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        return Path(tempfile.mkdtemp(prefix="cache-"))
    return folder
