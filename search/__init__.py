"""Finding networks: `run_search`, and the command line `bneck`."""

from .api import run_search

__all__ = ["run_search"]
