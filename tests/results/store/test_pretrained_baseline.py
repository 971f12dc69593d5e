"""The names of pretrained baselines."""

from dataclasses import replace
from pathlib import Path

import pytest

from bneck.results.store.pretrained_baseline import parent_of, pretrained_architecture, pretrained_name
from bneck.results.store.settings import load_settings
from bneck.search_space import ArchitectureError, published_architecture
from bneck.search_space.architecture import FineTuning
from bneck.search_space.errors import BneckError

from ..example_run import example_run, run_settings


@pytest.mark.parametrize("parent", ["efficientnet_lite0", "mnasnet_b1@0.5"])
def test_a_name_holds_parent_and_resolution(parent: str) -> None:
    network = replace(published_architecture(parent), resolution_px=64, fine_tuning=FineTuning(parent))
    name = pretrained_name(network)
    assert name == f"pretrained:{parent}@64px"
    assert pretrained_architecture(name) == network
    assert parent_of(name).imagenet_top1 is not None


@pytest.mark.parametrize("name", ["pretrained:mobilenet_v9@64px", "pretrained:efficientnet_lite0"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ArchitectureError):
        pretrained_architecture(name)


def test_a_run_keeps_the_name_and_has_the_network_for_its_images(tmp_path: Path) -> None:
    name = "pretrained:efficientnet_lite0@64px"
    run = example_run(tmp_path / "run", settings=replace(run_settings(), baselines=(name,)))
    settings = load_settings(run.folder / "run.yaml")
    network = settings.published_architecture(name)
    assert settings.baselines == (name,)
    assert (network.resolution_px, network.classes, network.image_channels) == (64, 10, 1)
    path = run.folder / "run.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("lite0@64px", "lite9@64px"), encoding="utf-8")
    with pytest.raises(BneckError, match="baselines"):
        load_settings(path)
