"""The cuts of an adaptation tuned in worker processes, each kept in a file until its step is over."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ...evaluate.data.dataset import Data
from ...evaluate.netadapt.netadapt import Goal, Judgement, Tuner
from ...evaluate.training.checkpoint import checkpoint_of, load_checkpoint, save_checkpoint
from ...results.store.netadapt_run import AdaptationFolder
from ...search_space import Architecture
from ..console.progress import Progress, Status
from ..parallel.pool import Pool, result_of
from ..runner import worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...search_space.network import Network

PHASE = "tuning cuts"


@dataclass(frozen=True)
class TuningWorker:
    """What a worker process knows."""

    folder: AdaptationFolder

    @cached_property
    def data(self) -> Data:
        return worker.load_run_data(self.folder.settings.data)

    @cached_property
    def tuner(self) -> Tuner:
        settings = self.folder.settings
        return Tuner(
            self.data,
            settings.recipe,
            settings.seed,
            settings.tune_images,
            settings.tune_rate,
            settings.device,
        )

    def tune(self, number: int, architecture: Architecture) -> None:
        """Cut the network that the last step left, tune it, judge it, and keep it with its judgement."""
        parent = load_checkpoint(self.folder.network_file(number - 1)).network()
        found = self.tuner.judge(number, parent, architecture)
        settings, network = self.folder.settings, found.network()
        kept = checkpoint_of(network, self.data, self.tuner.tuning, settings.seed, found.curve)
        file = self.folder.proposal_file(number, architecture)
        file.parent.mkdir(exist_ok=True)
        save_checkpoint(kept, file)


_worker: TuningWorker


def start(folder: AdaptationFolder) -> None:
    """Make this process a worker with one thread, which ends with its parent."""
    global _worker
    worker.alone()
    _worker = TuningWorker(folder)


def tune(number: int, architecture: Architecture) -> None:
    _worker.tune(number, architecture)


@dataclass
class PooledTuner:
    """Tunes and judges the cuts of a step in a pool; those that are in files already are read.

    Attributes:
        done: tunings of this adaptation so far.
    """

    folder: AdaptationFolder
    goal: Goal
    pool: Pool
    shown: Progress
    done: int = 0

    def __call__(
        self, number: int, network: "Network", architectures: "Sequence[Architecture]"
    ) -> list[Judgement]:
        files = {each: self.folder.proposal_file(number, each) for each in architectures}
        todo = [each for each in architectures if not files[each].is_file()]
        self.done += len(architectures) - len(todo)
        later = (self.steps_left(network.architecture) - 1) * len(architectures)
        pending = {self.pool.submit(tune, number, each) for each in todo}
        while pending:
            self.shown.show(Status(PHASE, self.done, self.done + len(pending) + later))
            for future in self.pool.wait(pending):
                pending.remove(future)
                result_of(future)
                self.done += 1
                self.shown.show(Status(PHASE, self.done, self.done + len(pending) + later))
        return [self.judgement(number, each) for each in architectures]

    def judgement(self, number: int, architecture: Architecture) -> Judgement:
        """What a worker has kept."""
        file = self.folder.proposal_file(number, architecture)
        curve = load_checkpoint(file).curve
        top1, loss = curve[-1].validation_top1, curve[-1].validation_loss
        assert top1 is not None and loss is not None
        return Judgement(top1, loss, lambda: load_checkpoint(file).network(), curve)

    def steps_left(self, architecture: Architecture) -> int:
        """If each saves the least that it must."""
        goal = self.goal
        return max(1, math.ceil((goal.real_cost(architecture) - goal.limit) / goal.least_saving))
