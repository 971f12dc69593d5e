import sys
from pathlib import Path

import pytest

from bneck.evaluate import Epoch
from bneck.search.jobs.tensorboard import NAMES, events
from bneck.search_space import RunError

from ..example_trainings import TENSORBOARD, events_in

CURVE = (
    Epoch(1.5, 1.25, 0.5, 0.375, 3.0),
    Epoch(1.0, 0.75, 0.625, 0.75, 2.0),
    Epoch(0.5, 0.5, 0.875, 1.0, 1.0),
)


def write(folder: Path, done: int, *points: Epoch) -> None:
    with events(folder, done) as on_epoch:
        for number, point in enumerate(points, start=done + 1):
            on_epoch(number, point)


@pytest.mark.extra
@TENSORBOARD
def test_every_metric_of_an_epoch_has_its_own_curve(tmp_path: Path) -> None:
    write(tmp_path, 0, *CURVE)
    # Epoch(train_loss, validation_loss, validation_top1, train_top1, seconds)
    assert events_in(tmp_path) == {
        "loss/train": [(1, 1.5), (2, 1.0), (3, 0.5)],
        "loss/validation": [(1, 1.25), (2, 0.75), (3, 0.5)],
        "top-1/validation": [(1, 0.5), (2, 0.625), (3, 0.875)],
        "top-1/train": [(1, 0.375), (2, 0.75), (3, 1.0)],
        "seconds": [(1, 3.0), (2, 2.0), (3, 1.0)],
    }
    assert len(set(NAMES.values())) == len(NAMES)


@pytest.mark.extra
@TENSORBOARD
def test_missing_metrics_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, 0, Epoch(1.5), CURVE[1])
    assert events_in(tmp_path)["top-1/validation"] == [(2, 0.625)]
    assert len(events_in(tmp_path)["loss/train"]) == 2


@pytest.mark.extra
@TENSORBOARD
def test_repeated_epochs_count_once(tmp_path: Path) -> None:
    # killed after the events of epoch 2 and before its checkpoint
    write(tmp_path, 0, CURVE[0], Epoch(9.0), Epoch(9.0))
    write(tmp_path, 1, CURVE[1], CURVE[2])
    assert events_in(tmp_path)["loss/train"] == [(1, 1.5), (2, 1.0), (3, 0.5)]


def test_without_tensorboard_the_error_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(RunError, match=r"not installed; install it: pip install 'bneck\[tensorboard\]'"):
        write(tmp_path / "events", 0)
    assert not (tmp_path / "events").exists()
