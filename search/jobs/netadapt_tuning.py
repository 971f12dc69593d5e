"""Fine-tunes the proposals of a NetAdapt step in worker processes; each is saved in a file."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ...evaluate import Epoch
from ...evaluate.data.dataset import Data
from ...evaluate.netadapt.netadapt import ResourceBudget, Tuner, TuningResult
from ...evaluate.training.checkpoint import load_checkpoint, make_checkpoint, save_checkpoint
from ...evaluate.training.distillation import Distillation, load_teacher
from ...results.store.netadapt_run import NetAdaptRun
from ...search_space import Architecture
from ...search_space.errors import WorkerFailedError
from ..console.progress import Progress, Status
from ..parallel.pool import Pool
from ..parallel.worker_process import init_worker_process

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...search_space.network import Network

PHASE = "fine-tuning proposals"


def _no_network() -> "Network":
    raise WorkerFailedError("its worker process died")


FAILED = TuningResult(0.0, math.inf, _no_network, (Epoch(math.inf, math.inf, 0.0),))  # as one that diverged


@dataclass(frozen=True)
class TuningWorker:
    """State of a worker process."""

    folder: NetAdaptRun

    @cached_property
    def data(self) -> Data:
        return self.folder.settings.data.load()

    @cached_property
    def tuner(self) -> Tuner:
        settings = self.folder.settings
        return Tuner(
            self.data,
            settings.recipe,
            settings.seed,
            settings.finetune_images,
            settings.finetune_lr_scale,
            settings.device,
            distillation_of(self.folder),
        )

    def tune(self, number: int, architecture: Architecture) -> None:
        """Prune the network of the previous step, fine-tune and evaluate it, and save it with its metrics."""
        parent = load_checkpoint(self.folder.network_file(number - 1)).network()
        tuned = self.tuner.tune(number, parent, architecture)
        settings, network = self.folder.settings, tuned.network()
        checkpoint = make_checkpoint(network, self.data, self.tuner.tuning_recipe, settings.seed, tuned.curve)
        file = self.folder.proposal_file(number, architecture)
        file.parent.mkdir(exist_ok=True)
        save_checkpoint(checkpoint, file)


def distillation_of(run: NetAdaptRun) -> Distillation | None:
    """The initial network as teacher, if the run has one."""
    weight = run.settings.distillation
    return Distillation(load_teacher(run.network_file(0)), weight) if weight else None


_worker: TuningWorker


def start(folder: NetAdaptRun) -> None:
    """Initialise this process as a worker with one thread; it ends with its parent."""
    global _worker
    init_worker_process()
    _worker = TuningWorker(folder)


def tune(number: int, architecture: Architecture) -> None:
    _worker.tune(number, architecture)


@dataclass
class PooledTuner:
    """Fine-tunes and evaluates the proposals of a step in a pool; proposals already on disk are read.

    Attributes:
        done: number of proposals fine-tuned so far.
    """

    folder: NetAdaptRun
    goal: ResourceBudget
    pool: Pool
    display: Progress
    done: int = 0

    def __call__(
        self, number: int, network: "Network", architectures: "Sequence[Architecture]"
    ) -> list[TuningResult]:
        files = {each: self.folder.proposal_file(number, each) for each in architectures}
        remaining = [each for each in architectures if not files[each].is_file()]
        self.done += len(architectures) - len(remaining)
        n_later = (self.steps_left(network.architecture) - 1) * len(architectures)
        pending = {self.pool.submit(tune, number, each): each for each in remaining}
        failed: set[Architecture] = set()
        while pending:
            self.display.update_status(Status(PHASE, self.done, self.done + len(pending) + n_later))
            for future in self.pool.wait(pending):
                architecture = pending.pop(future)
                try:
                    future.result()
                except WorkerFailedError as error:
                    failed.add(architecture)
                    self.display.print_line(
                        f"step {number}: proposal {architecture.key} is left out: {error}"
                    )
                self.done += 1
                self.display.update_status(Status(PHASE, self.done, self.done + len(pending) + n_later))
        return [FAILED if each in failed else self.load_tuning_result(number, each) for each in architectures]

    def load_tuning_result(self, number: int, architecture: Architecture) -> TuningResult:
        file = self.folder.proposal_file(number, architecture)
        curve = load_checkpoint(file).curve
        top1, loss = curve[-1].validation_top1, curve[-1].validation_loss
        assert top1 is not None and loss is not None
        return TuningResult(top1, loss, lambda: load_checkpoint(file).network(), curve)

    def steps_left(self, architecture: Architecture) -> int:
        """Upper bound: every step reduces the cost by the minimum."""
        goal = self.goal
        return max(1, math.ceil((goal.measured_cost(architecture) - goal.limit) / goal.min_reduction))
