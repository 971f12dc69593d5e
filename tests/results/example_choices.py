"""Judged networks of a made-up truth: what each choice does is known beforehand."""

import math
import random
from collections.abc import Callable
from dataclasses import replace

from bneck.evaluate import Accuracy, Latency, parse_goals
from bneck.evaluate.latency.predictor import LatencyPredictor
from bneck.results import Record
from bneck.results.analysis.gene_model import GeneModel
from bneck.search_space import Genes, cost, load_space

SPACE = load_space("tiny")
NOISE = 0.002
Truth = Callable[[Genes], float]


def made_up(
    accuracy: Truth,
    latency: Truth,
    *,
    networks: int = 60,
    limits: dict[str, str | None] | None = None,
    model: LatencyPredictor | None = None,
    seed: int = 3,
) -> GeneModel:
    """Random networks, a third of them trained twice, with `NOISE` in each training.

    Args:
        accuracy: shares of 1.
        latency: natural logarithms of milliseconds.
    """
    rng = random.Random(seed)

    def trained(genes: Genes, seed: int) -> Accuracy:
        return Accuracy(
            accuracy(genes) + rng.gauss(0, NOISE), 0.5, 10_000, 1000, seed=seed, seconds=1.0, curve=()
        )

    records, many = [], [SPACE.sample(rng) for _ in range(networks)]
    for trial, genes in enumerate(many):
        network, took = SPACE.decode(genes), math.exp(latency(genes))
        record = Record(
            trial=trial,
            source="sampler",
            state="complete",
            architecture=network,
            cost=cost(network),
            latency=Latency(took, took, took, took, "ok"),
            accuracy=trained(genes, 0),
        )
        records.append(replace(record, replicates=(trained(genes, 1),)) if trial % 3 == 0 else record)
    goals = parse_goals("accuracy,latency", limits or {})
    return GeneModel(SPACE, goals, tuple(records), tuple(many), model)


def se_in_stage2(genes: Genes) -> float:
    """Two points of accuracy, and a little for each block of stage 3."""
    return 0.8 + 0.02 * (genes["stage2.attention"] == "se") + 0.01 * float(genes["stage3.depth"])


def slow_5x5_in_stage3(genes: Genes) -> float:
    """5x5 in stage 3 takes e^0.2 = 1.221 times as long; each block there e^0.3."""
    return 0.2 * (genes["stage3.kernel"] == 5) + 0.3 * float(genes["stage3.depth"])
