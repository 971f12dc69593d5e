"""Exit codes of the command line."""

INTERRUPTED = 130  # what a shell tells of Ctrl-C
