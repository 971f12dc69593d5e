"""`bneck train` versus a plain PyTorch training loop: images per second, memory, accuracy.

    python -m tests.benchmarks.training [--seeds 3] [--json]
    python -m tests.benchmarks.training --headline
    python -m tests.benchmarks.training --precision

The plain loop is torchvision's MobileNetV3-Small, a DataLoader with Resize, ToTensor and Normalize,
batch size 32, Adam at 1e-3 and torch's default number of threads. Both train the same network on the same
images for the same number of epochs, without augmentation, alternating in separate processes; bneck uses
its recipes `small-images` in memory and `guide` on the folder. The JPEG folder is generated:
Fashion-MNIST, enlarged to 320 x 256 and 256 x 320 px, quality 90.
`--headline` trains MobileNetV3-Small on all of Fashion-MNIST; `--precision` compares bf16 with fp32.
"""

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import models, transforms
from torchvision.datasets import ImageFolder

from bneck.evaluate import Recipe, usable_cores
from bneck.evaluate.data.dataset import Data, load_data, subsample
from bneck.evaluate.data.in_memory import InMemoryData
from bneck.evaluate.training.evaluation import evaluate
from bneck.evaluate.training.recipe import load_recipe
from bneck.evaluate.training.train import seeded_network
from bneck.evaluate.training.trainer import ComputeConfig, Precision, Trainer
from bneck.search_space import published_architecture

GUIDE_BATCH, GUIDE_RATE = 32, 1e-3
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WAYS = ("plain", "plain, 2 workers", "bneck")


@dataclass(frozen=True)
class Setting:
    """A training task.

    Attributes:
        recipe: recipe of bneck.
        wanted: target for images per second relative to the plain loop.
    """

    name: str
    resolution_px: int
    train_images: int
    epochs: int
    recipe: Recipe
    wanted: float | None = None
    jpeg: bool = False


SMALL, GUIDE = replace(load_recipe("small-images"), augment="none"), load_recipe("guide")
SETTINGS = (
    Setting("32 px in memory", 32, 10_000, 4, SMALL, wanted=3.0),
    Setting("96 px in memory", 96, 4_000, 4, SMALL),
    Setting("224 px JPEG folder", 224, 1_000, 2, GUIDE, wanted=1.5, jpeg=True),
)


def data_of(setting: Setting, folder: Path) -> Data:
    if setting.jpeg:
        return load_data(f"folder:{folder}")
    return subsample(load_data("fashion-mnist"), train=setting.train_images)


def make_photographs(folder: Path, count: int) -> None:
    """Write `count` training, 200 validation and 500 test images as JPEG files, one folder per class."""
    source = subsample(load_data("fashion-mnist"), train=count, validation=200)
    assert isinstance(source, InMemoryData)
    source = source.subset("test", torch.arange(500))
    for split, images in source.splits.items():
        for place, (pixels, label) in enumerate(zip(images.pixels, images.labels.tolist(), strict=True)):
            size = (320, 256) if place % 2 else (256, 320)
            path = folder / split / f"{label}" / f"{place}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            grey = Image.fromarray(pixels[..., 0].numpy())
            grey.resize(size, Image.Resampling.BICUBIC).convert("RGB").save(path, quality=90)


class Pictures(Dataset[tuple[Any, int]]):
    """Images in memory as PIL images, as torchvision's data sets return them."""

    def __init__(self, data: Data, split: Any, transform: Any) -> None:
        assert isinstance(data, InMemoryData)
        self.images, self.transform = data.splits[split], transform

    def __len__(self) -> int:
        return len(self.images.labels)

    def __getitem__(self, place: int) -> tuple[Any, int]:
        image = Image.fromarray(self.images.pixels[place, ..., 0].numpy())
        return self.transform(image), int(self.images.labels[place])


def plain_loaders(
    setting: Setting, data: Data, folder: Path, workers: int
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    side = setting.resolution_px
    chosen: list[Any] = [transforms.Resize(side), transforms.ToTensor()]
    mean, std = (tuple(value / 255 for value in values) for values in (data.pixel_mean, data.pixel_std))
    if setting.jpeg:
        chosen = [transforms.Resize(256), transforms.CenterCrop(side), transforms.ToTensor()]
        mean, std = IMAGENET_MEAN, IMAGENET_STD
    transform = transforms.Compose([*chosen, transforms.Normalize(mean, std)])
    train: Dataset[Any]
    test: Dataset[Any]
    if setting.jpeg:
        train, test = (ImageFolder(folder / split, transform) for split in ("train", "test"))
    else:
        train, test = (Pictures(data, split, transform) for split in ("train", "test"))
    return (
        DataLoader(train, GUIDE_BATCH, shuffle=True, num_workers=workers),
        DataLoader(test, GUIDE_BATCH, num_workers=workers),
    )


def plain(setting: Setting, folder: Path, seed: int, workers: int) -> dict[str, float]:
    """Train with the plain loop."""
    torch.manual_seed(seed)
    data = data_of(setting, folder)
    loader, test_loader = plain_loaders(setting, data, folder, workers)
    network = models.mobilenet_v3_small(num_classes=len(data.class_names))
    if data.image_channels == 1:
        network.features[0][0] = nn.Conv2d(1, 16, 3, 2, 1, bias=False)
    optimizer = torch.optim.Adam(network.parameters(), lr=GUIDE_RATE)
    loss_of = nn.CrossEntropyLoss()
    start, shown = time.perf_counter(), 0
    for _ in range(setting.epochs):
        network.train()
        for images, labels in loader:
            optimizer.zero_grad()
            loss = loss_of(network(images), labels)
            loss.backward()
            optimizer.step()
            shown += len(labels)
    seconds = time.perf_counter() - start
    peak = peak_mb()
    network.eval()
    right = 0
    with torch.no_grad():
        for images, labels in test_loader:
            right += int((network(images).argmax(1) == labels).sum())
    return {"images_per_s": shown / seconds, "peak_mb": peak, "top1": right / data.count("test")}


def ours(setting: Setting, folder: Path, seed: int, compute: ComputeConfig) -> dict[str, float]:
    """Train as `bneck train` does, without validation."""
    torch.set_num_threads(usable_cores())
    data = data_of(setting, folder)
    architecture = replace(
        published_architecture("mobilenet_v3_small"),
        resolution_px=setting.resolution_px,
        image_channels=data.image_channels,
        classes=len(data.class_names),
    )
    network = seeded_network(architecture, seed)
    recipe = replace(setting.recipe, epochs=setting.epochs)
    start = time.perf_counter()
    training = Trainer(network, data, recipe, seed=seed, compute=compute)
    while not training.done:
        training.run_epoch()
    seconds = time.perf_counter() - start
    peak = peak_mb()
    training.evaluate()
    top1, _ = evaluate(training.eval_network, data, "test")
    return {"images_per_s": training.images_seen / seconds, "peak_mb": peak, "top1": top1}


def peak_mb() -> float:
    """Peak memory of this process plus that of its largest child, MB."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(resource.getrusage(kind).ru_maxrss for kind in kinds) / 1024


def one(way: str, setting: Setting, folder: Path, seed: int, compute: ComputeConfig) -> dict[str, float]:
    if way == "bneck":
        return ours(setting, folder, seed, compute)
    return plain(setting, folder, seed, workers=2 if way.endswith("workers") else 0)


def alone(way: str, number: int, folder: Path, seed: int, *more: str) -> dict[str, float]:
    """One training in a separate process."""
    words = [sys.executable, "-m", "tests.benchmarks.training", "--one", way, "--setting", str(number)]
    words += ["--folder", str(folder), "--seed", str(seed), *more]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compared(seeds: int, folder: Path, console: Console) -> Iterator[dict[str, Any]]:
    """Every setting; the methods alternate within each seed."""
    for number, setting in enumerate(SETTINGS):
        found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for seed in range(seeds):
            for way in WAYS:
                if way != "plain, 2 workers" or seed == 0:
                    found[way].append(alone(way, number, folder, seed))
                    console.print(f"{setting.name}, seed {seed}, {way}: {found[way][-1]}", highlight=False)
        yield {"setting": setting.name, "wanted": setting.wanted, **row_of(found)}


def row_of(found: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    own, guide = found["bneck"], found["plain"]
    speed = [b["images_per_s"] / p["images_per_s"] for b, p in zip(own, guide, strict=True)]
    tops = {way: [each["top1"] for each in found[way]] for way in ("plain", "bneck")}
    gaps = [b - p for b, p in zip(tops["bneck"], tops["plain"], strict=True)]
    return {
        "images_per_s": {way: statistics.median(e["images_per_s"] for e in found[way]) for way in WAYS},
        "times_plain": statistics.median(speed),
        "times_plain_range": (min(speed), max(speed)),
        "peak_mb": {way: max(each["peak_mb"] for each in found[way]) for way in WAYS},
        "top1": tops,
        "top1_gap": statistics.fmean(gaps),
        "top1_gap_margin": _margin(gaps),
    }


def _margin(gaps: Sequence[float]) -> float:
    """Half the 95% interval of the mean over seeds, by Student's t."""
    from scipy.stats import t

    if len(gaps) < 2:
        return math.nan
    return float(t.ppf(0.975, len(gaps) - 1)) * statistics.stdev(gaps) / math.sqrt(len(gaps))


def print_rows(rows: Sequence[dict[str, Any]], console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    for name in (
        "MobileNetV3-Small",
        "plain/s",
        "2 workers/s",
        "bneck/s",
        "speed-up",
        "target",
        "MB plain",
        "MB bneck",
    ):
        table.add_column(name, justify="left" if name == "MobileNetV3-Small" else "right")
    for name in ("top-1 % plain", "top-1 % bneck", "difference"):
        table.add_column(name, justify="right")
    for row in rows:
        speed, low_high = row["images_per_s"], row["times_plain_range"]
        tops = {way: 100 * statistics.fmean(values) for way, values in row["top1"].items()}
        table.add_row(
            row["setting"],
            *(f"{speed[way]:,.0f}" for way in WAYS),
            f"{row['times_plain']:.2f} ({low_high[0]:.2f} to {low_high[1]:.2f})",
            f">= {row['wanted']}" if row["wanted"] else "",
            f"{row['peak_mb']['plain']:,.0f}",
            f"{row['peak_mb']['bneck']:,.0f}",
            f"{tops['plain']:.1f}",
            f"{tops['bneck']:.1f}",
            f"{100 * row['top1_gap']:+.1f} ± {100 * row['top1_gap_margin']:.1f}",
        )
    console.print(table)


def headline(out: Path, more: Sequence[str]) -> dict[str, Any]:
    """`bneck train` on all of Fashion-MNIST; wall time with start-up and report."""
    words = [str(Path(sys.executable).with_name("bneck")), "train", "mobilenet_v3_small"]
    words += ["--data", "fashion-mnist", "--out", str(out), *more]
    start = time.perf_counter()
    subprocess.run(words, check=True, stdout=sys.stderr)
    minutes = (time.perf_counter() - start) / 60
    result = json.loads((out / "result.json").read_text(encoding="utf-8"))
    return {"minutes": minutes, "test_top1": result["test"]["top1"], "command": " ".join(words[1:])}


def precisions(folder: Path) -> dict[str, float]:
    """Images per second of bf16 relative to fp32, one epoch each."""
    found: dict[str, float] = {}
    for number, setting in enumerate(SETTINGS):
        rough, exact = (
            alone("bneck", number, folder, 0, "--epochs", "1", *more)["images_per_s"]
            for more in (("--bf16",), ())
        )
        found[setting.name] = rough / exact
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--headline", action="store_true")
    parser.add_argument("--precision", action="store_true")
    for name in ("--one", "--setting", "--folder", "--seed"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--epochs", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--bf16", action="store_true", help=argparse.SUPPRESS)
    given, more = parser.parse_known_args()
    if given.one:
        precision: Precision = "bf16" if given.bf16 else "fp32"
        compute = ComputeConfig(precision=precision)
        setting = SETTINGS[int(given.setting)]
        setting = replace(setting, epochs=given.epochs or setting.epochs)
        print(json.dumps(one(given.one, setting, Path(given.folder), int(given.seed), compute)))
        return
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "photographs"
        if given.headline:
            epochs = ["--epochs", str(given.epochs)] if given.epochs else []
            print(json.dumps(headline(Path(place) / "training", [*epochs, *more]), indent=2))
            return
        make_photographs(folder, SETTINGS[-1].train_images)
        if given.precision:
            print(json.dumps(precisions(folder), indent=2))
            return
        rows = list(compared(given.seeds, folder, console))
    if given.json:
        print(json.dumps(rows, indent=2))
    else:
        print_rows(rows, Console(width=160))


if __name__ == "__main__":
    main()
