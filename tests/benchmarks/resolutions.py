"""Accuracy of trained networks at resolutions above that of their training (Touvron et al. 2019).

    python -m tests.benchmarks.resolutions --data DIR CHECKPOINT...

CHECKPOINT is the file of weights of `bneck train` or of a trial. Prints accuracy on the validation and on the
test images, in percent.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from bneck.evaluate.data.dataset import Data, load_data
from bneck.evaluate.inheritance.inherit import inherit
from bneck.evaluate.training.checkpoint import load_checkpoint
from bneck.evaluate.training.evaluation import evaluate
from bneck.search_space.network import Network

FACTORS = (1, 1.15, 1.2, 1.4)
STEP_PX = 8


def accuracies(network: Network, data: Data) -> dict[int, tuple[float, float]]:
    """Validation and test accuracy by resolution in pixels."""
    trained_px = network.architecture.resolution_px
    found = {}
    for px in sorted({round(trained_px * factor / STEP_PX) * STEP_PX for factor in FACTORS}):
        same = inherit(network, replace(network.architecture, resolution_px=px))
        found[px] = evaluate(same, data, "validation")[0], evaluate(same, data, "test")[0]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("checkpoints", type=Path, nargs="+", metavar="CHECKPOINT")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = load_data(options.data)
    for path in options.checkpoints:
        checkpoint = load_checkpoint(path)
        network = checkpoint.network()
        found = accuracies(network, checkpoint.normalize_data(data))
        cells = (f"{px} px {100 * seen:.1f} / {100 * test:.1f}" for px, (seen, test) in found.items())
        print(f"{path.name}, trained at {network.architecture.resolution_px} px: {'; '.join(cells)}")


if __name__ == "__main__":
    main()
