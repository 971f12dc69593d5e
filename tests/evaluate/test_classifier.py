"""Class probabilities of image files, against evaluation and against plain Pillow and ONNX Runtime."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bneck.evaluate import Classifier, Recipe, load_data
from bneck.evaluate.data.dataset import load_whole
from bneck.evaluate.training.checkpoint import Checkpoint, load_checkpoint, make_checkpoint, save_checkpoint
from bneck.evaluate.training.metrics import predict
from bneck.results import DataSettings
from bneck.results.export.exportable import Exportable, OnnxOptions
from bneck.results.export.models import write_files
from bneck.search_space import RunError, published_architecture
from bneck.search_space.network import build_network

from ..search_space.test_network import lively

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "export.md"
ARCHITECTURE = replace(published_architecture("mobilenet_v2@0.35"), resolution_px=32, classes=2)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise that is smooth enough for a JPEG; wide, tall and turned by EXIF."""
    folder, generator = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (folder / name).mkdir()
        for number, size in enumerate([(50, 40), (40, 61), (33, 33), (90, 41), (45, 45), (36, 72), (48, 48)]):
            noise = Image.fromarray(generator.integers(0, 256, (6, 6, 3), np.uint8))
            noise.resize(size, Image.Resampling.BICUBIC).save(folder / name / f"{number}.png")
    turned = Image.open(folder / "cats" / "0.png")
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(folder / "dogs" / "7.png", exif=exif)
    return folder


@pytest.fixture(scope="module")
def trained(photos: Path) -> Checkpoint:
    network = build_network(ARCHITECTURE)
    lively(network)
    return make_checkpoint(network, load_data(photos), Recipe(), 0, ())


@pytest.fixture(scope="module")
def file(trained: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_checkpoint(trained, path)
    return path


def onnx_model(file: Path, folder: Path, options: OnnxOptions) -> Path:
    checkpoint = load_checkpoint(file)
    data = DataSettings("folder:photos", class_names=checkpoint.class_names)
    data = replace(data, pixel_mean=checkpoint.pixel_mean, pixel_std=checkpoint.pixel_std)
    network = Exportable("model", checkpoint.architecture, data, file, {}, options)
    return write_files([network], ["onnx"], folder)[0].path


@pytest.mark.parametrize("kind", ["safetensors", "onnx", "onnx, batch 3", "onnx, preprocessing embedded"])
def test_probabilities_of_files_are_those_of_the_evaluation(
    kind: str, file: Path, trained: Checkpoint, photos: Path, tmp_path: Path
) -> None:
    if kind.startswith("onnx"):
        file = onnx_model(file, tmp_path, OnnxOptions(3 if "batch" in kind else None, "embedded" in kind))
    classifier = Classifier.load(file)
    paths = sorted(photos.rglob("*.png"))
    whole = load_whole(f"folder:{photos}", trained.class_names)
    data = trained.normalize_data(whole)
    logits, labels = predict(trained.network(), data, "all")
    found = torch.stack(
        [each.probabilities for each in classifier.predict(paths) if each.probabilities is not None]
    )
    assert classifier.class_names == ("cats", "dogs")
    assert labels.tolist() == [0] * 7 + [1] * 8
    assert found.numpy() == pytest.approx(logits.softmax(1).numpy(), abs=1e-4)


@pytest.mark.parametrize("name", ["cats/1.png", "dogs/7.png", "whole image"])
def test_the_snippet_of_the_guide_gives_the_same_probabilities(
    name: str, file: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "whole image":
        checkpoint = replace(load_checkpoint(file), crop="whole")
        file = tmp_path / "whole.safetensors"
        save_checkpoint(checkpoint, file)
        name = "cats/3.png"
    model = onnx_model(file, tmp_path, OnnxOptions())
    blocks = re.findall(
        r"^```python\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    [snippet] = [block for block in blocks if "onnxruntime" in block]
    assert len([line for line in snippet.splitlines() if line and "import" not in line]) <= 15
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.jpg").write_bytes((photos / name).read_bytes())
    names: dict[str, object] = {}
    exec(snippet.replace('"model.onnx"', repr(str(model))), names)
    [expected] = Classifier.load(model).predict([photos / name])
    assert expected.probabilities is not None
    assert names["probabilities"] == pytest.approx(expected.probabilities.numpy(), abs=1e-5)


def test_images_in_memory_are_shown_whole(tmp_path: Path) -> None:
    data = load_data("digits")
    network = build_network(replace(ARCHITECTURE, image_channels=1, classes=10))
    lively(network)
    save_checkpoint(make_checkpoint(network, data, Recipe(), 0, ()), tmp_path / "digits.safetensors")
    classifier = Classifier.load(tmp_path / "digits.safetensors")
    assert classifier.preprocessing.crop == "whole"
    pixels, _ = next(data.batches("test", 8, 4))
    mean, std = torch.tensor(data.pixel_mean), torch.tensor(data.pixel_std)
    for number, image in enumerate((pixels * std + mean).round().to(torch.uint8)):
        Image.fromarray(image[0].numpy()).save(tmp_path / f"{number}.png")
    logits, _ = predict(network, data, "test")
    found = [each.probabilities for each in classifier.predict([tmp_path / f"{n}.png" for n in range(4)])]
    for probabilities, expected in zip(found, logits[:4].softmax(1), strict=True):
        assert probabilities is not None
        assert probabilities.numpy() == pytest.approx(expected.numpy(), abs=0.05)  # filters round differently


def test_an_unreadable_image_is_named_and_the_others_are_classified(
    file: Path, photos: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    first, second = Classifier.load(file).predict([broken, photos / "cats" / "0.png"])
    assert (first.probabilities, first.problem) == (None, "not an image")
    assert second.probabilities is not None and float(second.probabilities.sum()) == pytest.approx(1)


def test_an_onnx_model_of_another_program_is_refused(file: Path, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(onnx_model(file, tmp_path, OnnxOptions()))
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(RunError, match=r"other\.onnx: not an ONNX model of `bneck export`"):
        Classifier.load(tmp_path / "other.onnx")
