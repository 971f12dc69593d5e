"""Speed of the closed-form cost relative to tracing the network with fvcore.

    python tests/benchmarks/cost_vs_fvcore.py

Both count the MACs of the published networks. The network that fvcore traces is built beforehand; caches of
the closed form are cleared between runs. Times are CPU times of one thread.
"""

import logging
import statistics
import time
from collections.abc import Callable

import torch
from fvcore.nn import FlopCountAnalysis

from bneck.search_space import PUBLISHED_NAMES, Architecture, cost, published_architecture
from bneck.search_space.cost import block_cost, head_cost, stem_cost
from bneck.search_space.network import build_network, example_images

TARGET = 1000


def median_ms(work: Callable[[], object], times: int) -> float:
    work()
    seconds: list[float] = []
    for _ in range(times):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return 1000 * statistics.median(seconds)


def uncached_cost(architecture: Architecture) -> None:
    for part in (stem_cost, block_cost, head_cost):
        part.cache_clear()
    cost(architecture)


def compare(name: str) -> float:
    architecture = published_architecture(name)
    network, images = build_network(architecture).eval(), example_images(architecture)
    closed_form = median_ms(lambda: uncached_cost(architecture), 200)
    traced = median_ms(lambda: FlopCountAnalysis(network, images).total(), 7)
    print(f"{name:<26}{closed_form:>12.4f}{traced:>12.1f}{traced / closed_form:>9,.0f}x")
    return traced / closed_form


def main() -> None:
    torch.set_num_threads(1)
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    print(f"{'network':<26}{'cost() ms':>12}{'fvcore ms':>12}{'ratio':>10}")
    # at width 1 the networks of the paper equal torchvision's
    ratios = [compare(name) for name in PUBLISHED_NAMES if not name.endswith("_paper")]
    print(f"median ratio {statistics.median(ratios):,.0f}x, smallest {min(ratios):,.0f}x, target {TARGET:,}x")


if __name__ == "__main__":
    main()
