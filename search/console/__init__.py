"""Terminal output: progress, tables, exit codes."""
