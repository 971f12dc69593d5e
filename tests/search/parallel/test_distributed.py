"""Several processes that train one network together."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from bneck.evaluate.training.evaluation import evaluate
from bneck.evaluate.training.trainer import Trainer
from bneck.results.store.training_run import TrainingRun
from bneck.search.parallel.distributed import barrier, is_main_process, process_group, world_size
from bneck.search_space.network import Network

from ...evaluate.example_training import PLAIN, noise_data, toy
from ..example_training_folder import begun, run
from ..jobs.test_training_loop import assert_alike

ROOT = Path(__file__).parents[3]


def test_one_process_needs_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert (world_size(), is_main_process()) == (1, True)
    with process_group("cpu"):
        assert not dist.is_initialized()
        barrier()


@pytest.mark.parametrize(("rank", "first"), [("0", True), ("1", False), ("10", False)])
def test_the_first_of_several_writes(rank: str, first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "16")
    assert (world_size(), is_main_process()) == (16, first)


def test_the_group_is_left_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(dist, "init_process_group", calls.append)
    monkeypatch.setattr(dist, "destroy_process_group", lambda: calls.append("left"))
    with pytest.raises(KeyboardInterrupt), process_group("cpu"):
        raise KeyboardInterrupt
    assert calls == ["gloo", "left"]


# two processes on this machine

FROZEN_NORMS = replace(
    PLAIN, epochs=2, batch_size=10, max_grad_norm=0.5, label_smoothing=0.1, weight_decay=0.01
)
SETTLED = replace(
    PLAIN,
    epochs=3,
    batch_size=10,
    bn_recalibration_images=20,
    dropout=0.5,
    ema=0.5,
    augment="flip-crop+mixup",
)
JUDGED = {"running": replace(PLAIN, batch_size=10), "averaged": replace(PLAIN, batch_size=10, ema=0.5)}
JUDGED |= {name + ", settled": replace(recipe, bn_recalibration_images=20) for name, recipe in JUDGED.items()}
UNEVEN = replace(FROZEN_NORMS, batch_size=12)  # of 19 images the last 7 make 4 and 3
FEW = replace(FROZEN_NORMS, batch_size=2)  # of 3 images the last makes 1 and 0

SCRIPT = """
import os, sys
from pathlib import Path
import torch
sys.path.insert(0, {root!r})
from tests.search.parallel.test_distributed import together
from bneck.search.parallel.distributed import process_group
torch.set_num_threads(1)
with process_group("cpu"):
    together(Path(sys.argv[1]))
"""


def norms_at_rest(network: Network) -> Network:
    """Batch normalisation that takes nothing from the batch, so that shards do not matter."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
            module.train = lambda mode=True, module=module: module  # type: ignore[method-assign,misc]
    return network


def trained(recipe: Any, images: int) -> Trainer:
    training = Trainer(norms_at_rest(toy()), noise_data(train=images), recipe, seed=3)
    while not training.done:
        training.run_epoch()
    return training


def together(folder: Path) -> None:
    """What each of the processes does."""
    rank = dist.get_rank()
    for name, recipe, images in (("even", FROZEN_NORMS, 20), ("uneven", UNEVEN, 19), ("few", FEW, 3)):
        training = trained(recipe, images)
        told = {**training.network.state_dict(), "complete": torch.tensor(training.evaluate())}
        told |= {"images_seen": torch.tensor(training.images_seen)}
        torch.save(told, folder / f"{name}-{rank}.pt")
    for name, recipe in JUDGED.items():
        training = Trainer(toy(), noise_data(), recipe, seed=3)
        training.run_epoch()
        with torch.no_grad():  # so that small differences show
            training.eval_network.classifier.weight.mul_(100)
        told = {**training.eval_network.state_dict(), "complete": torch.tensor(training.evaluate())}
        torch.save(told, folder / f"{name}-{rank}.pt")
    shown = run(TrainingRun.open(folder / "settled"))
    curve = [[point.train_loss, point.validation_loss, point.validation_top1] for point in shown.points]
    (folder / f"settled-{rank}.json").write_text(json.dumps(curve))
    run(TrainingRun.open(folder / "settled, uneven"), noise_data(train=19))
    for name, images in (("stopped", 20), ("stopped, uneven", 19)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Trainer, "done", property(lambda self: self.epoch >= 1))
            run(TrainingRun.open(folder / name), noise_data(train=images))
        run(TrainingRun.open(folder / name), noise_data(train=images))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes left what they came to."""
    path = tmp_path_factory.mktemp("together")
    for kept in ("settled", "stopped"):
        begun(path / kept, SETTLED)
        begun(path / f"{kept}, uneven", replace(SETTLED, batch_size=12))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    surroundings = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT.format(root=str(ROOT)), str(path)],
            env={**surroundings, "RANK": rank, "LOCAL_RANK": rank},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    complaints = []
    for process in processes:
        try:
            complaints.append(process.communicate(timeout=60)[1])
        except subprocess.TimeoutExpired:
            process.kill()
            complaints.append(process.communicate()[1])
    assert [process.returncode for process in processes] == [0, 0], "\n".join(complaints)
    return path


def left(folder: Path, name: str) -> list[dict[str, torch.Tensor]]:
    return [torch.load(folder / f"{name}-{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(folder: Path) -> None:
    alone = trained(FROZEN_NORMS, 20)
    first, second = left(folder, "even")
    assert (first["images_seen"].item(), alone.images_seen) == (40, 40)
    for name, value in alone.network.state_dict().items():
        assert first[name].equal(second[name]), name
        torch.testing.assert_close(first[name], value, rtol=1e-4, atol=1e-6)
    top1, loss = alone.evaluate()
    assert first["complete"].tolist() == second["complete"].tolist()
    assert first["complete"].tolist() == pytest.approx([top1, loss], rel=1e-4)


@pytest.mark.slow
def test_in_a_batch_that_does_not_divide_evenly_each_image_counts_alike(folder: Path) -> None:
    alone = trained(UNEVEN, 19)
    first, _ = left(folder, "uneven")
    for name, value in alone.network.state_dict().items():
        torch.testing.assert_close(first[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_process_without_an_image_of_the_last_batch_keeps_in_step(folder: Path) -> None:
    first, second = left(folder, "few")
    assert first["images_seen"].item() == 6  # twice 3, though a process steps on nothing
    for name, value in first.items():
        assert value.isfinite().all()
        assert value.equal(second[name]), name


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "running",
        "averaged",
        "running, settled",
        "averaged, settled",
    ],
)
def test_the_judgement_is_that_of_the_network_that_is_kept(name: str, folder: Path) -> None:
    first, second = left(folder, name)
    told = first.pop("complete").tolist()
    assert second.pop("complete").tolist() == told
    network = toy()
    network.load_state_dict(first)
    assert told == pytest.approx(evaluate(network, noise_data(), "validation"), rel=1e-4)
    for key, value in first.items():
        assert value.equal(second[key]), key


@pytest.mark.slow
def test_the_first_alone_writes_and_all_know_the_same(folder: Path) -> None:
    first, second = (json.loads((folder / f"settled-{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    kept = TrainingRun.open(folder / "settled").checkpoint()
    assert [[p.train_loss, p.validation_loss, p.validation_top1] for p in kept.curve] == first
    assert kept.state["images_seen"].item() == 60
    names = sorted(path.name for path in (folder / "settled").iterdir())
    assert names == ["checkpoint.safetensors", "curve.csv", "lock", "model.safetensors", "training.yaml"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "shards",
    [
        "",
        ", uneven",
    ],
)
def test_two_processes_that_were_stopped_come_to_the_same(shards: str, folder: Path) -> None:
    unbroken, stopped = (TrainingRun.open(folder / f"{name}{shards}") for name in ("settled", "stopped"))
    assert_alike(unbroken, stopped)
