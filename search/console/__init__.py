"""What a terminal shows: progress, tables, exit codes."""
