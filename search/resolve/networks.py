"""Networks by name: published, a file, a trial or a training."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...results.store.experiment import is_training
from ...search_space import (
    PRETRAINED,
    PUBLISHED_NAMES,
    Architecture,
    UnknownNameError,
    load_architecture,
    published_architecture,
)
from ...search_space.reference_networks import FAMILIES_HELP, torchvision_architecture

if TYPE_CHECKING:
    from ...results import Run


@dataclass(frozen=True)
class NamedArchitecture:
    name: str
    architecture: Architecture


def resolve_network(name_or_path: str) -> NamedArchitecture:
    """A published name, `timm:MODEL`, `torchvision:MODEL`, `hf:FOLDER|REPOSITORY`, a YAML or JSON file,
    `RUN#TRIAL`, or a folder of `bneck train`.

    Raises:
        BneckError: none of these, with what would work.
    """
    if trial := resolve_trial(name_or_path):
        run, number = trial
        return NamedArchitecture(name_or_path, run.record(number).architecture.without_fine_tuning)
    if name_or_path.startswith("torchvision:"):
        return NamedArchitecture(name_or_path, torchvision_architecture(name_or_path.partition(":")[2]))
    if name_or_path.startswith("hf:"):
        from ...evaluate.hub_config import hub_architecture

        return NamedArchitecture(name_or_path, hub_architecture(name_or_path))
    path = Path(name_or_path)
    if is_training(path):
        from ...results.store.training_run import TrainingRun

        return NamedArchitecture(name_or_path, TrainingRun.open(path).settings.architecture)
    if path.is_file() or path.suffix in (".yaml", ".yml", ".json"):
        return NamedArchitecture(name_or_path, load_architecture(path))
    if name_or_path.startswith("timm:"):
        from ...evaluate.training.timm_networks import timm_architecture  # needs torch

        return NamedArchitecture(name_or_path, timm_architecture(name_or_path))
    try:
        published = PRETRAINED[name_or_path].network if name_or_path in PRETRAINED else name_or_path
        return NamedArchitecture(name_or_path, published_architecture(published))
    except UnknownNameError:
        remedy = (
            f"{FAMILIES_HELP}; other networks as timm:MODEL, torchvision:MODEL, hf:FOLDER, "
            "a YAML or JSON file, RUN#TRIAL or a folder of `bneck train`"
        )
        raise UnknownNameError("network", name_or_path, PUBLISHED_NAMES, remedy) from None


def resolve_trial(name_or_path: str) -> tuple["Run", str] | None:
    """The run and the trial that `RUN#TRIAL` names; None for words without `#`, or the name of a file."""
    folder, mark, trial = name_or_path.rpartition("#")
    if not mark or Path(name_or_path).exists():
        return None
    from ...results import Run

    return Run.open(Path(folder)), trial
