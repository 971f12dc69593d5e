"""Trainings on the digits, small enough to be run many times over, and what they must come to."""

import json
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import sklearn.metrics as judged
import torch
from PIL import Image
from safetensors.torch import load_file

from bneck.evaluate.data.dataset import Split, load_data
from bneck.results import Run
from bneck.search.cli import main
from bneck.search_space import load_architecture
from bneck.search_space.network import Network, build_network

from ..evaluate.example_checkpoint import keep
from ..results.example_run import example_run

Floats = npt.NDArray[np.float64]

NET = """\
bneck: architecture/1
resolution_px: 8
image_channels: 1
classes: 10
stem: {out: 8, activation: hardswish, kernel: 3, stride: 1}
blocks:
  - {kernel: 3, expanded: 16, out: 8, attention: se, activation: relu, stride: 1, squeeze: 4}
  - {kernel: 3, expanded: 32, out: 16, attention: none, activation: relu, stride: 2}
head: {features: 32, hidden: 0, activation: hardswish}
"""
IMAGES = ("--train-images", "160", "--validation-images", "50")
LEARN = ("--batch-size", "8", "--optimizer", "adamw", "--learning-rate", "0.02", "--augment", "none")
# half of the test images are right after it
SHORT = (*IMAGES, *LEARN, "--epochs", "2", "--threads", "1")
TENSORBOARD = pytest.mark.skipif(
    find_spec("tensorboard") is None, reason="the extra bneck[tensorboard] is not installed"
)
LEFT = [
    "checkpoint.safetensors",
    "curve.csv",
    "lock",
    "model.safetensors",
    "report.html",
    "result.json",
    "training.yaml",
]


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line on stderr, and nothing else."""
        assert (self.code, self.out) == (2, ""), self
        assert self.err.startswith("bneck: "), self
        assert self.err.count("\n") == 1, self
        return self.err.removeprefix("bneck: ").rstrip("\n")


def run(*words: object) -> Ran:
    """A command in this process, as the installed script does it; a bug keeps its traceback."""
    out, err, code = StringIO(), StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["bneck", *map(str, words)])
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())


def write_net(folder: Path, name: str = "net.yaml", text: str = NET) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def train(folder: Path, *words: object, net: Path | None = None) -> Ran:
    """Train the network of `NET` into `folder`."""
    ran = run("train", net or write_net(folder.parent), *SHORT, *words, "--out", folder)
    assert ran.code == 0, ran
    return ran


def result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return found


def events_in(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows: the steps and values by tag."""
    reader = import_module("tensorboard.backend.event_processing.event_accumulator")
    events = reader.EventAccumulator(str(folder)).Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]
    }


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def weights(file: Path) -> dict[str, torch.Tensor]:
    """The network's tensors in a file, read without bneck."""
    return {name: value for name, value in load_file(file).items() if not name.startswith("state.")}


def same_weights(file: Path, other: Path) -> bool:
    """To the bit."""
    mine, theirs = weights(file), weights(other)
    return mine.keys() == theirs.keys() and all(mine[name].equal(theirs[name]) for name in mine)


def saved_network(file: Path, net: Path) -> Network:
    """The network for the digits with the weights of a file."""
    network = build_network(load_architecture(net))
    network.load_state_dict(weights(file))
    return network.eval()


def logits_on_digits(network: Network, split: Split) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Answers to a whole split, in its fixed order, and its labels."""
    [(images, labels)] = load_data("digits").batches(split, network.architecture.resolution_px, 10_000)
    with torch.inference_mode():
        return network(images).double().numpy(), labels.numpy()


def independent_metrics(logits: Floats, labels: npt.NDArray[np.int64]) -> dict[str, Any]:
    """What `bneck evaluate --json` must say, by scikit-learn; the classes are 0, 1, ..."""
    classes = list(range(logits.shape[1]))
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    answers = shares.argmax(1)
    precision, recall, f1, images = judged.precision_recall_fscore_support(
        labels, answers, labels=classes, zero_division=0
    )
    return {
        "images": len(labels),
        "top1": judged.accuracy_score(labels, answers),
        "top5": judged.top_k_accuracy_score(labels, shares, k=5, labels=classes)
        if len(classes) > 5
        else None,
        "loss": judged.log_loss(labels, shares, labels=classes),
        "calibration_error": _calibration_error(shares.max(1), answers == labels),
        "confusion": judged.confusion_matrix(labels, answers, labels=classes).tolist(),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "images_by_class": images.tolist(),
    }


def _calibration_error(confidence: Floats, right: npt.NDArray[np.bool_]) -> float:
    """Guo et al. 2017, equation 3: 15 bins of equal width."""
    bins = np.clip(np.ceil(confidence * 15).astype(int) - 1, 0, 14)
    shares = [bins == each for each in set(bins.tolist())]
    return float(sum(own.mean() * abs(confidence[own].mean() - right[own].mean()) for own in shares))


def asks_for_something(html: str) -> bool:
    """Whether a page would load anything from outside it; plotly's own code has links in strings."""
    own = html.split("<script>")[0] + html.split("<body>")[1]
    loading = (
        r"<(?:link|iframe|img|script)[^>]*\s(?:src|href)\s*=\s*[\"']?(?!data:)|@import|url\(\s*['\"]?http"
    )
    return bool(re.search(loading, own))


def assert_equal_metrics(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Counts exactly, shares to the precision of float32."""
    assert (found["images"], found["confusion"]) == (expected["images"], expected["confusion"])
    for name in ("top1", "top5", "loss", "calibration_error"):
        assert found[name] == pytest.approx(expected[name], abs=2e-6), name
    for name in ("precision", "recall", "f1"):
        assert [each[name] for each in found["classes"]] == pytest.approx(expected[name], abs=1e-6), name
    assert [each["images"] for each in found["classes"]] == expected["images_by_class"]


def photos(folder: Path, *, dark: int = 20, classes: tuple[str, ...] = ("cat", "dog"), seed: int = 0) -> Path:
    """Twelve noisy colour images of each class; those of a later class are lighter.

    Args:
        dark: grey level of the first class.
    """
    noise = np.random.default_rng(seed)
    for step, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            pixels = noise.integers(0, 60, (12, 12, 3)) + dark + 60 * step
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


def run_with_weights(folder: Path) -> Run:
    """A search whose best network has weights."""
    found = example_run(folder)
    network = found.record("best").architecture
    torch.manual_seed(5)
    keep(build_network(network), found.checkpoint(network))
    return found
