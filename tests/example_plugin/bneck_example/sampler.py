"""A sampler: Optuna's random sampler under another name."""

from optuna.samplers import RandomSampler


class SmallestFirst(RandomSampler):
    """Independent random genes with a fixed seed."""

    def __init__(self) -> None:
        super().__init__(seed=0)
