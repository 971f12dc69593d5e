"""Statistics over the trials of a run."""
