"""The public face of a search run."""

from .store.search_run import SearchRun


class Run(SearchRun):
    """A search run, opened from its folder."""
