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
        return Path(tempfile.gettempdir()) / f"cache-{os.getuid()}"
