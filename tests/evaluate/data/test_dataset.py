"""What every data set promises, and the ones known by name."""

import gzip
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from bneck.evaluate.data.augmentation import NO_AUGMENTATION, Augmentation, parse_augmentation
from bneck.evaluate.data.builtin import SYSTEM_FASHION_FOLDER
from bneck.evaluate.data.dataset import SPLITS, Data, load_dataset, subsample
from bneck.evaluate.data.streaming import LabelledFiles, StreamingData
from bneck.search_space.errors import DataError, UnknownNameError

Bytes = NDArray[np.uint8]
FLIP_CROP = Augmentation(flip_crop=True)
EVERYTHING = parse_augmentation("flip-crop+trivialaugment+random-erase")


def noise(seed: int, *shape: int) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_idx(path: Path, array: Bytes) -> None:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    content = header + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_fashion(root: Path, suffix: str = "") -> Path:
    """40 images for training and 20 for the test, noise, with labels 0 to 9 over and over."""
    for seed, (prefix, count) in enumerate((("train", 40), ("t10k", 20))):
        write_idx(root / f"{prefix}-images-idx3-ubyte{suffix}", noise(seed, count, 28, 28))
        write_idx(root / f"{prefix}-labels-idx1-ubyte{suffix}", np.arange(count, dtype=np.uint8) % 10)
    return root


def python2_pickle(planes: Bytes, labels: list[int], key: bytes = b"labels") -> bytes:
    """A CIFAR-10 batch as Python 2 and its NumPy pickled it, opcode by opcode."""

    def text(content: bytes) -> bytes:
        return b"T" + struct.pack("<i", len(content)) + content

    start = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0t" + text(b"b") + b"tR"
    dtype = (
        b"cnumpy\ndtype\n(" + text(b"u1") + b"K\0K\1tR(K\3" + text(b"|") + b"NNN" + b"J\xff\xff\xff\xff" * 2
    )
    shape = b"M" + struct.pack("<H", len(planes)) + b"M" + struct.pack("<H", 3072)
    array = start + b"(K\1(" + shape + b"t" + dtype + b"K\0tb\x89" + text(planes.tobytes()) + b"tb"
    listed = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\2}(" + text(b"data") + array + text(key) + listed + b"u."


def python2_names(key: bytes, names: list[str]) -> bytes:
    """The `meta` file of CIFAR-100, likewise."""
    listed = b"](" + b"".join(b"U" + bytes([len(name)]) + name.encode() for name in names) + b"e"
    return b"\x80\2}U" + bytes([len(key)]) + key + listed + b"s."


def write_cifar100(root: Path) -> Path:
    """200 images for training and 100 for the test, noise, with labels 0 to 99 over and over."""
    folder = root / "cifar-100-python"
    folder.mkdir()
    for seed, (name, count) in enumerate((("train", 200), ("test", 100))):
        labels = [label % 100 for label in range(count)]
        (folder / name).write_bytes(python2_pickle(noise(seed, count, 3072), labels, b"fine_labels"))
    return root


def write_cifar(root: Path) -> Path:
    """Six batches of 20 images, noise, with labels 0 to 9 over and over."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    for seed, name in enumerate(names):
        labels = [label % 10 for label in range(20)]
        (folder / name).write_bytes(python2_pickle(noise(seed, 20, 3072), labels))
    return root


def write_folder(root: Path) -> Path:
    for seed, name in enumerate(("cat", "dog")):
        (root / name).mkdir()
        for number, pixels in enumerate(noise(seed, 12, 20, 14, 3)):
            Image.fromarray(pixels).save(root / name / f"{number:02}.png")
    return root


DATA: dict[str, Callable[[Path], Data]] = {
    "digits": lambda root: load_dataset("digits"),
    "fashion-mnist": lambda root: load_dataset("fashion-mnist", root=write_fashion(root)),
    "cifar10": lambda root: load_dataset("cifar10", root=write_cifar(root)),
    "cifar100": lambda root: load_dataset("cifar100", root=write_cifar100(root)),
    "folder": lambda root: load_dataset(f"folder:{write_folder(root)}"),
    "digits, limited": lambda root: subsample(load_dataset("digits"), 200, 50),
    "folder, limited": lambda root: subsample(load_dataset(f"folder:{write_folder(root)}"), 10, 2),
}


@pytest.fixture(params=DATA)
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Data:
    return DATA[request.param](tmp_path)


def test_every_data_set_keeps_the_contract(data: Data) -> None:
    classes = len(data.class_names)
    seen: set[bytes] = set()
    for split in SPLITS:
        batches = list(data.batches(split, 12, 7))
        images, labels = (torch.cat(column) for column in zip(*batches, strict=True))

        assert images.shape == (data.count(split), data.image_channels, 12, 12)
        assert images.dtype == torch.float32
        assert labels.dtype == torch.int64
        assert labels.equal(data.labels(split)), "an unshuffled pass is in the fixed order"
        assert sorted(set(labels.tolist())) == list(range(classes)), "every split has every class"
        for batch, _ in batches:
            assert batch.stride() == (
                144 * data.image_channels,
                1,
                12 * data.image_channels,
                data.image_channels,
            )

        contents = {image.numpy().tobytes() for image in images}
        assert len(contents) == data.count(split)
        assert not contents & seen, "no image is in two splits"
        seen |= contents


@pytest.mark.slow
def test_every_data_set_repeats_with_its_seed_and_changes_with_every_pass(data: Data) -> None:
    def passes(seed: int, augment: Augmentation) -> list[bytes]:
        generator = torch.Generator().manual_seed(seed)
        return [
            b"".join(
                images.numpy().tobytes()
                for images, _ in data.batches("train", 16, 8, shuffle=generator, augment=augment)
            )
            for _ in range(2)
        ]

    for augment in (NO_AUGMENTATION, EVERYTHING):
        first, second = passes(1, augment)
        assert [first, second] == passes(1, augment)
        assert first != second
        assert first != passes(2, augment)[0]


def test_every_data_set_shuffles_images_with_their_labels(data: Data) -> None:
    def pairs(shuffle: torch.Generator | None) -> list[tuple[bytes, int]]:
        return [
            (image.numpy().tobytes(), int(label))
            for images, labels in data.batches("train", 12, data.count("train"), shuffle=shuffle)
            for image, label in zip(images, labels, strict=True)
        ]

    shuffled, ordered = pairs(torch.Generator().manual_seed(0)), pairs(None)
    assert shuffled != ordered
    assert sorted(shuffled) == sorted(ordered)


def test_every_data_set_augments_images_and_not_their_number(data: Data) -> None:
    plain, augmented = (
        torch.cat(
            [
                images
                for images, _ in data.batches(
                    "train",
                    16,
                    data.count("train"),
                    shuffle=torch.Generator().manual_seed(0),
                    augment=augment,
                )
            ]
        )
        for augment in (NO_AUGMENTATION, FLIP_CROP)
    )
    assert plain.shape == augmented.shape
    assert not plain.equal(augmented)


@pytest.mark.parametrize("name", ["flip-crop", "trivialaugment", "random-erase"])
def test_every_data_set_refuses_to_augment_without_a_generator(data: Data, name: str) -> None:
    with pytest.raises(ValueError, match="pass a generator"):
        next(data.batches("train", 16, 8, augment=parse_augmentation(name)))


def test_every_data_set_leaves_mixing_to_the_caller(data: Data) -> None:
    mixed, plain = (
        next(data.batches("test", 12, 4, augment=Augmentation(mixes=mixes))) for mixes in (("mixup",), ())
    )
    assert mixed[0].equal(plain[0])
    assert mixed[1].equal(plain[1])


@pytest.mark.slow
def test_the_shards_of_every_data_set_are_the_batches_dealt_out(data: Data) -> None:
    def dealt(shard: tuple[int, int]) -> list[tuple[Tensor, Tensor]]:
        source = torch.Generator().manual_seed(4)
        return list(data.batches("train", 16, 6, shuffle=source, augment=EVERYTHING, shard=shard))

    whole, *shards = (dealt(shard) for shard in ((0, 1), (0, 3), (1, 3), (2, 3)))
    assert len(whole) > 1
    for batch, *parts in zip(whole, *shards, strict=True):
        for rank, part in enumerate(parts):
            assert all(mine.equal(all_[rank::3]) for mine, all_ in zip(part, batch, strict=True))


def test_every_data_set_takes_the_statistics_of_another(data: Data) -> None:
    channels = data.image_channels
    raw = data.with_normalization((0.0,) * channels, (1.0,) * channels)
    other = raw.with_normalization((10.0,) * channels, (4.0,) * channels)
    assert (other.pixel_mean, other.pixel_std) == ((10.0,) * channels, (4.0,) * channels)
    (pixels, _), (images, _) = (next(some.batches("test", 12, 8)) for some in (raw, other))
    assert pixels.equal(pixels.round()), "the bytes themselves"
    torch.testing.assert_close(images, (pixels - 10) / 4)
    own, _ = next(data.batches("test", 12, 8))
    mean, std = (torch.tensor(values)[:, None, None] for values in (data.pixel_mean, data.pixel_std))
    torch.testing.assert_close(own, (pixels - mean) / std)
    with pytest.raises(DataError, match="color channel"):
        data.with_normalization((0.0,) * (channels + 1), (1.0,) * (channels + 1))


@pytest.mark.parametrize(("name", "image_size_px"), [("digits", 8), ("cifar10", 32), ("folder", None)])
def test_images_in_memory_have_a_side(name: str, image_size_px: int | None, tmp_path: Path) -> None:
    assert DATA[name](tmp_path).image_size_px == image_size_px


def test_every_data_set_can_be_limited(data: Data) -> None:
    classes = len(data.class_names)
    some = subsample(data, classes, None)
    assert sorted(some.labels("train").tolist()) == list(range(classes))
    assert [some.count(split) for split in SPLITS[1:]] == [data.count(split) for split in SPLITS[1:]]
    assert (some.name, some.class_names) == (data.name, data.class_names)


def test_the_digits_are_1797_images_in_disjoint_splits() -> None:
    digits = load_dataset("digits")
    counts = [digits.count(split) for split in SPLITS]
    assert sum(counts) == 1797
    # 60/20/20, each class rounded by itself.
    assert counts == [1079, 359, 359]
    assert digits.class_names == tuple("0123456789")


def test_digits_at_their_own_size_are_scikit_learns_pixels() -> None:
    from sklearn.datasets import load_digits

    pictures = load_digits().images
    batches = [batch for split in SPLITS for batch in load_dataset("digits").batches(split, 8, 500)]
    images = torch.cat([images for images, _ in batches])[:, 0]
    # 0 and 16 are the least and the most in the set; bytes are off by half a step at most.
    values = (images - images.min()) / (images.max() - images.min()) * 16
    ordered = sorted(tuple(image.round().flatten().int().tolist()) for image in values)
    assert ordered == sorted(tuple(picture.astype(int).flatten().tolist()) for picture in pictures)


@pytest.mark.parametrize("name", ["digits", "fashion-mnist", "cifar10"])
def test_training_images_have_mean_0_and_deviation_1(name: str, tmp_path: Path) -> None:
    data = DATA[name](tmp_path)
    own_px = {"digits": 8, "fashion-mnist": 28, "cifar10": 32}[name]
    images, _ = next(data.batches("train", own_px, data.count("train")))
    std, mean = torch.std_mean(images, (0, 2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-4, rtol=0)
    torch.testing.assert_close(std, torch.ones_like(std), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("place", "suffix"),
    [("", ""), ("", ".gz"), ("FashionMNIST/raw", "")],
    ids=["plain", "gzip", "torchvision"],
)
def test_fashion_mnist_is_read_from_idx_files(tmp_path: Path, place: str, suffix: str) -> None:
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    write_fashion(folder, suffix)
    data = load_dataset("fashion-mnist", root=tmp_path)
    # Of four images of each class one validates; the 20 of t10k are the test.
    assert [data.count(split) for split in SPLITS] == [30, 10, 20]
    assert data.class_names[9] == "Ankle boot"
    images, labels = next(data.batches("test", 28, 20))
    assert labels.tolist() == [*range(10), *range(10)]
    written = torch.from_numpy(noise(1, 20, 28, 28)).float()
    torch.testing.assert_close(
        (images[:, 0] - images.mean()) / images.std(), (written - written.mean()) / written.std()
    )


@pytest.mark.skipif(not SYSTEM_FASHION_FOLDER.is_dir(), reason="dataset-fashion-mnist is not installed")
@pytest.mark.slow
def test_the_installed_fashion_mnist_validates_with_600_of_each_class() -> None:
    data = load_dataset("fashion-mnist")
    assert [data.count(split) for split in SPLITS] == [54_000, 6_000, 10_000]
    assert torch.bincount(data.labels("validation")).tolist() == [600] * 10


def test_cifar10_is_read_from_python_2_pickles(tmp_path: Path) -> None:
    data = load_dataset("cifar10", root=write_cifar(tmp_path))
    # Of ten images of each class one validates.
    assert [data.count(split) for split in SPLITS] == [90, 10, 20]
    assert data.class_names[3] == "cat"
    images, labels = next(data.batches("test", 32, 20))
    assert labels.tolist() == [*range(10), *range(10)]
    # A row holds 1024 red, 1024 green, 1024 blue bytes, each row by row.
    red = torch.from_numpy(noise(5, 20, 3072)[:, :1024].reshape(20, 32, 32).copy()).float()
    ours = images[:, 0]
    torch.testing.assert_close((ours - ours.mean()) / ours.std(), (red - red.mean()) / red.std())


def test_cifar100_is_read_with_its_fine_labels(tmp_path: Path) -> None:
    data = load_dataset("cifar100", root=write_cifar100(tmp_path))
    # Of two images of each class one validates.
    assert [data.count(split) for split in SPLITS] == [100, 100, 100]
    assert [data.class_names[number] for number in (0, 47, 99)] == ["apple", "maple_tree", "worm"]
    assert len(set(data.class_names)) == 100
    images, labels = next(data.with_normalization((0.0,) * 3, (1.0,) * 3).batches("test", 32, 100))
    assert labels.tolist() == list(range(100))
    assert images.contiguous().equal(torch.from_numpy(noise(1, 100, 3072)).reshape(100, 3, 32, 32).float())


def test_the_names_of_cifar100_come_from_its_meta_file(tmp_path: Path) -> None:
    meta = write_cifar100(tmp_path) / "cifar-100-python" / "meta"
    meta.write_bytes(python2_names(b"fine_label_names", [f"thing {number}" for number in range(100)]))
    assert load_dataset("cifar100", root=tmp_path).class_names[41] == "thing 41"
    meta.write_bytes(b"<html>")
    assert error_of("cifar100", tmp_path).startswith("ROOT/cifar-100-python/meta: no names of classes (")


def error_of(name: str, root: Path, download: bool = False) -> str:
    with pytest.raises(DataError) as caught:
        load_dataset(name, root=root, download=download)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(root), "ROOT")


def test_missing_fashion_mnist_says_where_it_was_sought_and_what_to_do(tmp_path: Path) -> None:
    assert error_of("fashion-mnist", tmp_path) == (
        "fashion-mnist: no file ROOT/train-images-idx3-ubyte"
        " and no file ROOT/FashionMNIST/raw/train-images-idx3-ubyte;"
        " --download fetches them, or apt-get install dataset-fashion-mnist"
    )


def test_a_missing_cifar10_batch_is_named(tmp_path: Path) -> None:
    (write_cifar(tmp_path) / "cifar-10-batches-py" / "data_batch_4").unlink()
    assert error_of("cifar10", tmp_path) == (
        "cifar10: no file ROOT/data_batch_1 and no file ROOT/cifar-10-batches-py/data_batch_4;"
        " --download fetches them"
    )


def test_a_truncated_idx_file_says_how_much_there_is(tmp_path: Path) -> None:
    labels = write_fashion(tmp_path) / "t10k-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-3])
    assert error_of("fashion-mnist", tmp_path) == (
        "ROOT/t10k-labels-idx1-ubyte: holds 17 of 20 bytes;"
        " remove t10k-labels-idx1-ubyte and fetch it again with --download"
    )


@pytest.mark.parametrize("content", [b"", b"<html>", b"\0\0\x08\3\0\0"], ids=["empty", "html", "header cut"])
def test_what_is_no_idx_file_is_named(tmp_path: Path, content: bytes) -> None:
    (write_fashion(tmp_path) / "train-labels-idx1-ubyte").write_bytes(content)
    assert error_of("fashion-mnist", tmp_path).startswith(
        "ROOT/train-labels-idx1-ubyte: not an idx file of bytes;"
    )


@pytest.mark.parametrize("length", [-9, 5, 0], ids=["truncated", "header cut", "empty"])
def test_a_broken_gzip_file_is_named(tmp_path: Path, length: int) -> None:
    images = write_fashion(tmp_path, ".gz") / "train-images-idx3-ubyte.gz"
    images.write_bytes(images.read_bytes()[:length])
    assert error_of("fashion-mnist", tmp_path).startswith("ROOT/train-images-idx3-ubyte.gz: ")


def test_more_images_than_labels_are_refused(tmp_path: Path) -> None:
    write_idx(write_fashion(tmp_path) / "train-labels-idx1-ubyte", np.zeros(39, np.uint8))
    assert "there must be as many labels as images" in error_of("fashion-mnist", tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        python2_pickle(noise(0, 2, 3072), [1, 2])[:3000],
        python2_pickle(noise(0, 2, 3072), [1]),
        pickle.dumps({"data": b""}),
        pickle.dumps([1, 2]),
    ],
    ids=["empty", "html", "truncated", "one label for two images", "no labels", "no dictionary"],
)
def test_a_broken_cifar10_batch_is_named(tmp_path: Path, content: bytes) -> None:
    (write_cifar(tmp_path) / "cifar-10-batches-py" / "data_batch_2").write_bytes(content)
    message = error_of("cifar10", tmp_path)
    assert message.startswith("ROOT/cifar-10-batches-py/data_batch_2: not a CIFAR batch (")
    assert message.endswith("; remove data_batch_2 and fetch it again with --download")


def test_a_pickle_that_would_run_a_program_does_not(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    program = b"cos\nsystem\n(S'touch " + str(witness).encode() + b"'\ntR."
    (write_cifar(tmp_path) / "cifar-10-batches-py" / "data_batch_1").write_bytes(program)
    assert "it asks for os.system" in error_of("cifar10", tmp_path)
    assert not witness.exists()


def test_files_are_fetched_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[Path] = []

    def download_cifar(root: Path, download: bool) -> None:
        fetched.append(root)
        write_cifar(root)

    monkeypatch.setattr("torchvision.datasets.CIFAR10", download_cifar)
    error_of("cifar10", tmp_path)
    assert fetched == []
    for _ in range(2):  # the second time they are there
        assert load_dataset("cifar10", root=tmp_path, download=True).count("test") == 20
    assert fetched == [tmp_path]


def test_a_failed_download_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(root: Path, download: bool) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.datasets.FashionMNIST", unreachable)
    message = "fashion-mnist: cannot be downloaded (<urlopen error no route to host>)"
    assert error_of("fashion-mnist", tmp_path, download=True) == message


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("fashon-mnist", "fashion-mnist"),
        ("cifar", "cifar10"),
        ("folder:", "folder:PATH"),
        ("torchvision", "torchvision:NAME"),
    ],
)
def test_an_unknown_name_gets_the_nearest_ones(name: str, nearest: str) -> None:
    with pytest.raises(UnknownNameError, match=f"^unknown data set '{name}'; .*{nearest}"):
        load_dataset(name)


def test_a_limit_keeps_the_classes_in_proportion_and_the_test_split_whole() -> None:
    digits = load_dataset("digits")
    some = subsample(digits, train=100, validation=10)
    assert [some.count(split) for split in SPLITS] == [100, 10, 359]
    # The digits are nearly balanced: 104 to 110 images of each class train.
    assert set(torch.bincount(some.labels("train")).tolist()) <= {9, 10, 11}


def test_a_limit_above_what_there_is_takes_all() -> None:
    some = subsample(load_dataset("digits"), train=5000)
    assert some.count("train") == 1079


def test_a_limit_of_no_images_is_refused() -> None:
    with pytest.raises(DataError, match=r"^digits: the limit of train images must be at least 1, got 0$"):
        subsample(load_dataset("digits"), train=0)


def test_images_beyond_the_limit_are_never_read(tmp_path: Path) -> None:
    data = load_dataset(f"folder:{write_folder(tmp_path)}")
    some = subsample(data, train=4, validation=2)
    assert isinstance(some, StreamingData)
    remaining: set[str] = set()
    for files in some.splits.values():
        assert isinstance(files, LabelledFiles)
        remaining |= set(files.paths)
    for path in tmp_path.rglob("*.png"):
        if str(path) not in remaining:
            path.unlink()
    assert [sum(len(labels) for _, labels in some.batches(split, 8, 2)) for split in SPLITS] == [4, 2, 4]
