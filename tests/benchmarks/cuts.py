"""Cuts of a fine-tuned network against a lower resolution: accuracy per MACs saved, before and after tuning.

    python -m tests.benchmarks.cuts --images DIR --cache cuts.jsonl [--minutes 5] [--from-imagenet]

The parent is fine-tuned from ImageNet weights. Every arm cuts it by NetAdapt's rule, without tuning in
between: of all proposals of its kinds of cuts, each after recalibration of batch norm, the one with the least
loss per MACs saved. At the target the network of the arm, and the whole network at a lower resolution, are
tuned alike with the parent as teacher, and tested. Selection is on validation images.

With `--from-imagenet` as the candidates of `bneck search --pretrained`: whole networks and ones without some
of their residual blocks and last stages, fine-tuned alike from ImageNet weights. `--networks 48 64-4 64-8-2`
are the whole one at 48 px, one at 64 px without 4 blocks, and one without 2 stages and 8 blocks (or all) of
the others; `x0.5` is MobileNetV3-Small of half the width at 96 px, trained from scratch for
`--scratch-epochs`. Each network is compared with the fastest whole one of at least its latency.

Stops after `--minutes` and resumes on the next call; one process with one thread.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console

from bneck.evaluate import measure_latency
from bneck.evaluate.data.dataset import Data, load_data, subsample
from bneck.evaluate.inheritance.inherit import inherit
from bneck.evaluate.netadapt.cuts import CUT_KINDS, CutKind
from bneck.evaluate.netadapt.netadapt import (
    Proposal,
    ResourceBudget,
    generate_proposals,
    loss_per_saving,
)
from bneck.evaluate.training.checkpoint import load_checkpoint, make_checkpoint, save_checkpoint
from bneck.evaluate.training.distillation import Distillation, Teacher
from bneck.evaluate.training.evaluation import evaluate, recalibrate_batchnorm
from bneck.evaluate.training.pretrained import pretrained_network, pretrained_normalization
from bneck.evaluate.training.recipe import load_recipe
from bneck.evaluate.training.train import seeded_network, train
from bneck.search_space import Architecture, cost, published_architecture
from bneck.search_space.network import Network
from bneck.search_space.pretrained_space import drop_residual_blocks, drop_stages

from .job_cache import Job, run_all

ARMS: Mapping[str, tuple[CutKind, ...]] = {
    "depth": ("depth",),
    "all": CUT_KINDS,
    "width": ("width",),
}
STEP = 0.05  # of the MACs of the parent; larger ones cut single places to the bone
VALIDATION_IMAGES, BN_IMAGES = 400, 256
PARENT_EPOCHS, TUNE_EPOCHS = 5, 2
REFERENCE = "efficientnet_lite0@128px"
SCRATCH, SCRATCH_PX = "x", 96


@dataclass(frozen=True)
class PricedStep:
    """The selected cut of a step, its loss per MACs saved before tuning, and the number of proposals."""

    cut: Proposal
    price: float
    n_proposals: int


@cache
def images(folder: str, parent: str) -> Data:
    return load_data(folder).with_normalization(*pretrained_normalization(parent))


def fine_tuned(folder: str, parent: str, resolution_px: int, path: Path) -> Mapping[str, Any]:
    """The parent, saved as a checkpoint."""
    data, recipe = images(folder, parent), replace(load_recipe("fine-tuning"), epochs=PARENT_EPOCHS)
    source = pretrained_network(parent)
    architecture = replace(
        source.architecture, resolution_px=resolution_px, classes=len(data.class_names)
    ).without_fine_tuning
    network = inherit(source, architecture)
    start = time.process_time()
    train(network, data, recipe, seed=0)
    save_checkpoint(make_checkpoint(network, data, recipe, 0, ()), path)
    return {"test": evaluate(network, data, "test")[0], "cpu_seconds": time.process_time() - start}


def untuned(folder: str, parent: str, path: Path, architecture: Architecture) -> Mapping[str, Any]:
    """Top-1 and loss on the validation images after recalibration of batch norm alone."""
    data = subsample(images(folder, parent), validation=VALIDATION_IMAGES)
    checkpoint = load_checkpoint(path)
    network = inherit(checkpoint.network(), architecture)
    recipe = replace(checkpoint.recipe, bn_recalibration_images=BN_IMAGES)
    recalibrate_batchnorm(network, data, recipe)
    top1, loss = evaluate(network, data, "validation")
    return {"top1": top1, "loss": loss}


def tuned(folder: str, parent: str, path: Path, architecture: Architecture) -> Mapping[str, Any]:
    """Top-1 on the test images after recalibration, and after tuning with the parent as teacher."""
    data, checkpoint = images(folder, parent), load_checkpoint(path)
    recipe = replace(checkpoint.recipe, epochs=TUNE_EPOCHS)
    network = inherit(checkpoint.network(), architecture)
    recalibrate_batchnorm(network, data, recipe)
    before = evaluate(network, data, "test")[0]
    start = time.process_time()
    train(network, data, recipe, seed=0, distillation=Distillation(Teacher.of(checkpoint.network(), data)))
    seconds = time.process_time() - start
    return {"before": before, "after": evaluate(network, data, "test")[0], "cpu_seconds": seconds}


def from_imagenet(
    folder: str, parent: str, architecture: Architecture, epochs: int, seed: int
) -> Mapping[str, Any]:
    """Top-1 on the test images after fine-tuning from ImageNet weights."""
    network = inherit(pretrained_network(parent), architecture, seed=seed)
    return _tested(network, images(folder, parent), "fine-tuning", epochs, seed)


def from_scratch(folder: str, architecture: Architecture, epochs: int, seed: int) -> Mapping[str, Any]:
    """Top-1 on the test images of a network that starts from random weights."""
    return _tested(seeded_network(architecture, seed), load_data(folder), "few-images", epochs, seed)


def _tested(network: Network, data: Data, preset: str, epochs: int, seed: int) -> Mapping[str, Any]:
    recipe = replace(load_recipe(preset), epochs=epochs)
    start = time.process_time()
    train(network, data, recipe, seed=seed)
    seconds = time.process_time() - start
    return {"test": evaluate(network, data, "test")[0], "cpu_seconds": seconds}


def latencies(architectures: Sequence[Architecture]) -> Mapping[str, Any]:
    """Milliseconds of each, and its share of EfficientNet-Lite0's at 128 px, by onnxruntime."""
    measured = measure_latency(architectures, reference_model=REFERENCE, fresh=True)
    return {"ms": [each.latency_ms for each in measured], "share": [each.ratio for each in measured]}


def network_of(name: str, parent: str, classes: int) -> Architecture:
    """The network of a name of `--networks`."""
    if name.startswith(SCRATCH):
        small = published_architecture(f"mobilenet_v3_small@{name.removeprefix(SCRATCH)}")
        return replace(small, resolution_px=SCRATCH_PX, classes=classes)
    px, blocks, stages, *_ = map(int, [*name.split("-"), "0", "0"])
    whole = pretrained_network(parent).architecture
    cut = drop_residual_blocks(drop_stages(whole, stages), blocks)
    return replace(cut, resolution_px=px, classes=classes)


def rows_from_imagenet(options: argparse.Namespace, deadline: float) -> Iterator[list[str]]:
    """The table of `--from-imagenet`; accuracies are those of each seed, the difference their mean."""
    folder, parent, names, cache = options.images, options.parent, options.networks, options.cache
    classes = len(images(str(folder), parent).class_names)
    networks = [network_of(name, parent, classes) for name in names]
    key = f"{parent} latencies {' '.join(names)}"
    [times] = _results([Job(key, latencies, (networks,))], cache, deadline)

    def trained(name: str, network: Architecture, seed: int) -> Mapping[str, Any]:
        if name.startswith(SCRATCH):
            epochs = options.scratch_epochs
            key = f"{folder.name} from-scratch {network.key} {epochs} epochs seed {seed}"
            job = Job(key, from_scratch, (str(folder), network, epochs, seed))
        else:
            key = f"{folder.name} {parent} from-imagenet {network.key} {options.epochs} epochs seed {seed}"
            job = Job(key, from_imagenet, (str(folder), parent, network, options.epochs, seed))
        return _results([job], cache, deadline)[0]

    whole: float | None = None  # mean test top-1 of the fastest whole network so far
    costs = list(zip(names, networks, times["ms"], times["share"], strict=True))
    for name, network, ms, share in sorted(costs, key=lambda row: -row[2]):
        results = [trained(name, network, seed) for seed in range(options.seeds)]
        tests = [100 * each["test"] for each in results]
        if name.isdecimal():
            whole = fmean(tests)
        difference = "" if name.isdecimal() or whole is None else f"{fmean(tests) - whole:+.1f}"
        seconds = fmean(each["cpu_seconds"] for each in results)
        accuracies = " / ".join(f"{each:.1f}" for each in tests)
        yield [
            name,
            f"{macs(network) / 1e6:.1f}M",
            f"{ms:.2f}",
            f"{share:.3f}",
            accuracies,
            difference,
            f"{seconds:.0f}",
        ]


def _results(jobs: Sequence[Job], cache: Path, deadline: float) -> list[Mapping[str, Any]]:
    if time.monotonic() > deadline:
        raise TimeoutError
    results = run_all(jobs, cache, 1, Console())
    return [results[job.key] for job in jobs]


class Benchmark:
    """Jobs on one parent, with cached results."""

    def __init__(self, images: Path, parent: str, resolution_px: int, cache: Path, minutes: float) -> None:
        self.images, self.parent, self.resolution_px, self.cache = str(images), parent, resolution_px, cache
        self.checkpoint = cache.with_suffix(f".{parent}-{resolution_px}.safetensors")
        self.deadline = time.monotonic() + 60 * minutes
        arguments = (self.images, parent, resolution_px, self.checkpoint)
        [self.whole] = self.run([Job(f"{parent} {resolution_px}", fine_tuned, arguments)])
        self.architecture = load_checkpoint(self.checkpoint).architecture

    def run(self, jobs: Sequence[Job]) -> list[Mapping[str, Any]]:
        return _results(jobs, self.cache, self.deadline)

    def job(self, step: Callable[..., Mapping[str, Any]], architecture: Architecture) -> Job:
        key = f"{self.parent} {self.resolution_px} {step.__name__} {architecture.key}"
        return Job(key, step, (self.images, self.parent, self.checkpoint, architecture))

    def steps(self, kinds: tuple[CutKind, ...], target: float) -> list[PricedStep]:
        """The steps of an arm down to a target, or as far as it gets."""
        architecture, whole, steps = self.architecture, macs(self.architecture), list[PricedStep]()
        budget = ResourceBudget(macs, target * whole, STEP * whole, cut_kinds=kinds)
        while macs(architecture) > target * whole:
            proposals = generate_proposals(architecture, budget, macs(architecture))
            if not proposals:
                break
            networks = [architecture, *(each.architecture for each in proposals)]
            before, *after = self.run([self.job(untuned, each) for each in networks])
            prices = [
                loss_per_saving(result["loss"] - before["loss"], 1 - each.cost / macs(architecture))
                for each, result in zip(proposals, after, strict=True)
            ]
            best = proposals[prices.index(min(prices))]
            steps.append(PricedStep(best, min(prices), len(proposals)))
            architecture = best.architecture
        return steps

    def row(self, name: str, architecture: Architecture, steps: Sequence[PricedStep] = ()) -> list[str]:
        [result] = self.run([self.job(tuned, architecture)])
        share = macs(architecture) / macs(self.architecture)
        path = "; ".join(f"{each.cut.place} {each.cut.before} to {each.cut.after}" for each in steps)
        top1s = (f"{100 * result[when]:.1f}" for when in ("before", "after"))
        return [name, f"{share:.2f}", *top1s, f"{result['cpu_seconds']:.0f}", path]

    def rows(self, target: float) -> Iterator[list[str]]:
        """The table, with the two resolutions whose MACs are next to the target."""
        yield ["whole", "1.00", f"{100 * self.whole['test']:.1f}", "", "", ""]
        sizes = [replace(self.architecture, resolution_px=px) for px in range(self.resolution_px, 31, -8)]
        below = next(n for n, each in enumerate(sizes) if macs(each) <= target * macs(self.architecture))
        for each in sizes[below - 1 : below + 1]:
            yield self.row(f"{each.resolution_px} px", each)
        for name, kinds in ARMS.items():
            steps = self.steps(kinds, target)
            yield self.row(name, steps[-1].cut.architecture, steps)
        yield self.row("whole, tuned on", self.architecture)


def macs(architecture: Architecture) -> float:
    return float(cost(architecture).macs)


def print_from_imagenet(options: argparse.Namespace) -> None:
    deadline = time.monotonic() + 60 * options.minutes
    columns = ("px-blocks-stages", "MACs", "ms", "share", "test", "against whole", "CPU-s")
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    try:
        for row in rows_from_imagenet(options, deadline):
            print(f"| {' | '.join(row)} |")
    except TimeoutError:
        print("out of time; call again to go on")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("cuts.jsonl"))
    parser.add_argument("--parent", default="efficientnet_lite0")
    parser.add_argument("--resolution", type=int, default=96)
    parser.add_argument("--target", type=float, default=0.6, help="MACs as a share of the parent's")
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--from-imagenet", action="store_true")
    parser.add_argument("--networks", nargs="+", default=["32", "48", "64", "64-4", "80-6", "64-8-2"])
    parser.add_argument("--epochs", type=int, default=PARENT_EPOCHS, help="of fine-tuning from ImageNet")
    parser.add_argument("--scratch-epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    if options.from_imagenet:
        print_from_imagenet(options)
        return
    print("| network | MACs | before tuning | after | CPU-s | cuts |\n| --- | --- | --- | --- | --- | --- |")
    try:
        benchmark = Benchmark(
            options.images, options.parent, options.resolution, options.cache, options.minutes
        )
        for row in benchmark.rows(options.target):
            print(f"| {' | '.join(row)} |")
    except TimeoutError:
        print("out of time; call again to go on")


if __name__ == "__main__":
    main()
