"""Which short training tells networks apart best: reliability of each protocol for its CPU-seconds.

    python -m tests.benchmarks.protocols [--workers 2] [--only NAME,NAME] [--json]

24 networks of space tiny, spread by the logarithm of MACs, three trainings each on Fashion-MNIST; results
are kept in `--kept FILE`, so a stopped run goes on.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from bneck.evaluate import Recipe

from .kept import Job, run_all
from .setting import Protocol, networks, trained

NETWORKS, REPLICATES, SEED = 24, 3, 1
CALM = Recipe(epochs=2, augment="none")
BASE = Protocol("base", 10_000, CALM)
PROTOCOLS = (
    BASE,
    replace(BASE, name="rate 0.02", recipe=replace(CALM, learning_rate=0.02)),
    replace(BASE, name="rate 0.2", recipe=replace(CALM, learning_rate=0.2)),
    Protocol("20,000 x 1", 20_000, replace(CALM, epochs=1)),
    replace(BASE, name="batch 32, rate 0.06", recipe=replace(CALM, batch_size=32, learning_rate=0.06)),
    replace(BASE, name="batch 128, rate 0.12", recipe=replace(CALM, batch_size=128, learning_rate=0.12)),
    replace(BASE, name="own seeds", same_seed=False),
    replace(BASE, name="average 0.98", recipe=replace(CALM, ema=0.98)),
    replace(BASE, name="flip-crop", recipe=replace(CALM, augment="flip-crop")),
    replace(BASE, name="adamw 0.003", recipe=replace(CALM, optimizer="adamw", learning_rate=0.003)),
    Protocol("5,000 x 4", 5_000, replace(CALM, epochs=4)),
    replace(BASE, name="no clipping, no warm-up", recipe=replace(CALM, clip=0.0, warmup=0.0)),
    replace(BASE, name="16 px for all", resolution_px=16),
)


def key_of(protocol: Protocol, architecture_key: str, replicate: int) -> str:
    return f"{protocol.name}/{architecture_key}/{replicate}"


def jobs(protocols: tuple[Protocol, ...]) -> list[Job]:
    """Protocol after protocol, so that a table of the first ones is there early."""
    chosen = networks(NETWORKS, SEED)
    return [
        Job(key_of(protocol, each.key, replicate), trained, (each, protocol, replicate))
        for protocol in protocols
        for replicate in range(REPLICATES)
        for each in chosen
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kept", type=Path, default=Path("runs/benchmarks/protocols.jsonl"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    only = arguments.only.split(",") if arguments.only else [each.name for each in PROTOCOLS]
    chosen = tuple(each for each in PROTOCOLS if each.name in only)
    run_all(jobs(chosen), arguments.kept, arguments.workers, Console())


if __name__ == "__main__":
    main()
