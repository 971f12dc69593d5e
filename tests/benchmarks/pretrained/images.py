"""The data sets, as folders of classes."""

import zipfile
from pathlib import Path

from PIL import Image

DATA_SETS = ("trashnet", "flowers", "cifar10")
CIFAR_PX = 64
CIFAR_IMAGES = {"train": 5000, "test": 2000}


def data_folder(name: str, images: Path, work: Path) -> Path:
    """The folder of a data set, unpacked and prepared on first use.

    Args:
        images: has `NAME` or `NAME.zip` with class folders.
        work: where archives are unpacked.
    """
    folder = images / name
    if not folder.is_dir():
        folder = work / "images" / name
        if not folder.is_dir():
            partial = work / "images" / f"{name}.partial"
            with zipfile.ZipFile(images / f"{name}.zip") as archive:
                archive.extractall(partial)
            (partial / name).rename(folder)
            partial.rmdir()
    return _part_of_cifar(folder, work / "images") if name == "cifar10" else folder


def _part_of_cifar(folder: Path, work: Path) -> Path:
    """The first images of each class at `CIFAR_PX`; the test part is CIFAR-10's own."""
    target = work / f"cifar10-{CIFAR_PX}px"
    if target.is_dir():
        return target
    partial = target.with_suffix(".partial")
    for split, count in CIFAR_IMAGES.items():
        classes = sorted((folder / split).iterdir())
        for each in classes:
            (partial / split / each.name).mkdir(parents=True, exist_ok=True)
            for path in sorted(each.iterdir())[: count // len(classes)]:
                with Image.open(path) as image:
                    larger = image.resize((CIFAR_PX, CIFAR_PX), Image.Resampling.BICUBIC)
                larger.save(partial / split / each.name / f"{path.stem}.png")
    return partial.rename(target)
