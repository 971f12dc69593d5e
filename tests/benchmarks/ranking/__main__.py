"""Held against trainings: `python -m tests.benchmarks.ranking`."""

import argparse
from pathlib import Path

from rich.console import Console

from .truth import LONG, SHORT, few, truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kept", type=Path, default=Path("runs/benchmarks/ranking.jsonl"))
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    console = Console()
    truth(LONG, few(), arguments.kept, arguments.workers, console)
    truth(SHORT, few(), arguments.kept, arguments.workers, console)


if __name__ == "__main__":
    main()
