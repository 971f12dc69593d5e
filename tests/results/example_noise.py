"""Studies of noise whose truth one chose."""

import numpy as np

from bneck.results.store.seed_study import SeedTraining

TRIALS = 60


def trainings(
    networks: int = 12,
    seeds: int = 3,
    *,
    rise: float = 0.05,
    beyond: float = 0.0,
    noise: float = 0.005,
    loss_noise: float | None = None,
    seed: int = 0,
) -> list[SeedTraining]:
    """From 0.1M to 2.4M MACs; accuracies from 0.8 on, losses are 2 less the accuracy.

    Args:
        rise: of the accuracy, from the smallest to the largest network.
        beyond: deviation of what networks do that MACs do not explain.
        noise: deviation of one training; `loss_noise` instead for the loss.
    """
    rng = np.random.default_rng(seed)
    macs = np.geomspace(1e5, 2.4e6, networks)
    true = 0.8 + rise * np.log(macs / 1e5) / np.log(24) + beyond * rng.standard_normal(networks)
    shared = 0.01 * rng.standard_normal(seeds)
    rows = []
    for number in range(seeds):
        for place in range(networks):
            top1 = float(true[place] + shared[number] + noise * rng.standard_normal())
            loss = 2 - top1
            if loss_noise is not None:
                loss = float(2 - true[place] - shared[number] + loss_noise * rng.standard_normal())
            rows.append(
                SeedTraining(f"net{place:02}", int(macs[place]), number, top1, top1, loss, 2.0 + number)
            )
    return rows
