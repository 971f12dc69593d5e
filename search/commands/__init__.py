"""The commands of the command line: words to values, nothing else."""
