"""How much faster the closed form is than tracing the network and counting with fvcore.

    python tests/benchmarks/cost_vs_fvcore.py

Both count the MACs of the published networks. The network that fvcore traces is built beforehand.
Times are CPU times of one thread, so that other work on the machine makes little difference.
"""

import logging
import statistics
import time
import warnings
from collections.abc import Callable

# fvcore rests on torch.jit, which is deprecated
warnings.filterwarnings("ignore")
logging.getLogger("fvcore").setLevel(logging.ERROR)

import torch  # noqa: E402
from fvcore.nn import FlopCountAnalysis  # noqa: E402

from bneck.search_space import PUBLISHED_NAMES, cost, published  # noqa: E402
from bneck.search_space.network import build_network, example_images  # noqa: E402

TARGET = 1000


def median_ms(work: Callable[[], object], times: int) -> float:
    work()
    seconds: list[float] = []
    for _ in range(times):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return 1000 * statistics.median(seconds)


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'network':<26}{'cost() ms':>12}{'fvcore ms':>12}{'ratio':>10}")
    ratios: list[float] = []
    for name in PUBLISHED_NAMES:
        if name.endswith("_paper"):
            # the same network at width 1
            continue
        architecture = published(name)
        network, images = build_network(architecture).eval(), example_images(architecture)
        closed_form = median_ms(lambda a=architecture: cost(a), 200)  # type: ignore[misc]
        traced = median_ms(lambda n=network, i=images: FlopCountAnalysis(n, i).total(), 7)  # type: ignore[misc]
        ratios.append(traced / closed_form)
        print(f"{name:<26}{closed_form:>12.4f}{traced:>12.1f}{ratios[-1]:>9,.0f}x")
    print(f"median ratio {statistics.median(ratios):,.0f}x, smallest {min(ratios):,.0f}x, target {TARGET:,}x")


if __name__ == "__main__":
    main()
