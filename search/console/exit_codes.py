"""Exit codes of the command line."""

INTERRUPTED = 130  # 128 + SIGINT, as a shell reports Ctrl-C
