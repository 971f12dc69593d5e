"""Training a supernet: a step at a time, with everything that the next step follows from."""

import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import interpolate
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ...search_space import Genes, SearchSpace
from ..data.augmentation import mixed, parse_augmentation
from ..data.dataset import Data
from ..data.splits import shuffled_batches
from ..training.accuracy import Epoch
from ..training.optimizers import optimizer_of, restore_optimizer, schedule_of
from ..training.recipe import Recipe
from ..training.safetensors_io import tensors_under
from ..training.trainer import RandomState, TrainingFailedError
from .checkpoint import TrainedSupernet, save_supernet
from .config import Strategy, SupernetSettings
from .sampling import Drawing
from .supernet import Supernet

SAVE_SECONDS = 60.0
_LOOK_AT_LOSS = 50
_GRAIN = 10_000  # steps that the schedule has an epoch, whatever the budget is counted in
_COUNTS = ("epoch", "in_epoch", "steps", "seen")


class SupernetTraining:
    """A supernet being trained.

    On one machine, with as many threads, a training of so many epochs comes to the same weights to
    the bit, whether or not it was stopped in between. Nothing but the training images is looked at.

    Args:
        space: for whatever images; it is made one for these.
        clock: in seconds, of the computing.
    Attributes:
        epoch, in_epoch, steps: whole ones that are done; steps of the one begun; all steps.
        seen: training images that were shown, repetitions included.
        seconds: of computing so far.
        curve: one point an epoch, of the networks on the labels.
    Raises:
        NoFeasibleNetworkError: hardly any network keeps the limit.
    """

    def __init__(
        self,
        space: SearchSpace,
        data: Data,
        settings: SupernetSettings,
        *,
        device: str = "cpu",
        clock: Callable[[], float] | None = None,
    ) -> None:
        _keep_compiled_convolutions()
        self.space = space.for_data(data.image_channels, len(data.class_names))
        self.data, self.settings, self.device = data, settings, device
        self.epoch, self.in_epoch, self.steps, self.seen, self.seconds = 0, 0, 0, 0, 0.0
        self.curve: list[Epoch] = []
        self._clock = clock or (time.process_time if device == "cpu" else time.perf_counter)
        recipe = settings.recipe
        self.supernet = seeded_supernet(self.space, settings.seed, recipe.dropout).to(device)
        self.drawing = Drawing(self.space, settings)
        self.steps_an_epoch = shuffled_batches(data.count("train"), recipe.batch_size)
        self._schedule = schedule_of(recipe, _GRAIN)
        self._augmentation = parse_augmentation(recipe.augment)
        self._loss_of = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        self._optimizer = _optimizer_of(self.supernet, recipe)
        self._average: AveragedModel | None = None
        if recipe.ema:
            moving = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
            self._average = AveragedModel(self.supernet, multi_avg_fn=moving, use_buffers=True)
        self._shuffle = Generator().manual_seed(settings.seed)
        self._shuffle_before = self._shuffle.get_state()
        self._random = RandomState(settings.seed, device)
        self._batches: Iterator[tuple[Tensor, Tensor]] | None = None
        self._totals = torch.zeros(3, dtype=torch.float64, device=device)  # loss, right answers, images
        self._epoch_seconds = 0.0

    @property
    def share(self) -> float:
        """Of the budget that is spent, from 0 to 1."""
        if self.settings.minutes is not None:
            return min(1.0, self.seconds / (60 * self.settings.minutes))
        done = self.epoch + self.in_epoch / self.steps_an_epoch
        return min(1.0, done / self.settings.recipe.epochs)

    @property
    def done(self) -> bool:
        return self.share >= 1

    @property
    def judged(self) -> Supernet:
        """The supernet that is kept: with the average of the weights if there is one."""
        if self._average is None:
            return self.supernet
        averaged = self._average.module
        assert isinstance(averaged, Supernet)
        return averaged

    @property
    def latest(self) -> Epoch | None:
        """The epoch so far, or the last one where none is begun."""
        loss, right, shown = self._totals.tolist()
        if shown:
            return Epoch(loss / shown, train_top1=right / shown, seconds=self._epoch_seconds)
        return self.curve[-1] if self.curve else None

    def advance(self, seconds: float = math.inf) -> None:
        """Go on to the end of the epoch or of the budget, or for about so many seconds.

        Raises:
            TrainingFailedError: the loss is no longer a number.
        """
        self.supernet.train()
        end = self.seconds + seconds
        before = self._clock()
        with self._random.own():
            while self.seconds < end and not self.done:
                batch = next(self._batches_left(), None)
                if batch is None:
                    self._end_epoch()
                    return
                images, labels = (each.to(self.device, non_blocking=True) for each in batch)
                self._step(*mixed(images, labels, self.space.classes, self._augmentation))
                self.in_epoch += 1
                self.steps += 1
                self.seen += len(labels)
                now = self._clock()
                self.seconds += now - before
                self._epoch_seconds += now - before
                before = now
                if self.steps % _LOOK_AT_LOSS == 0:
                    self._look_at_loss()
        if self.done:
            self._end_epoch()

    def state(self) -> dict[str, Tensor]:
        """All that the next step follows from beside the supernet, the curve, the settings and the data."""
        found: dict[str, Tensor] = {}
        if self._average is not None:
            found |= {f"average.{name}": value for name, value in self._average.state_dict().items()}
        for number, values in self._optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{number}.{name}": value for name, value in values.items()}
        found |= self._random.states
        found |= {name: torch.tensor(getattr(self, name)) for name in _COUNTS}
        found["seconds"] = torch.tensor([self.seconds, self._epoch_seconds], dtype=torch.float64)
        found |= {"drawing": self.drawing.state(), "shuffle": self._shuffle_before, "totals": self._totals}
        return {name: value.detach().cpu().clone() for name, value in found.items()}

    def restore(self, found: TrainedSupernet) -> None:
        """Go on from what a file tells, with the same space, settings and data."""
        state = found.state
        self.supernet.load_state_dict(dict(found.weights))
        self.curve = list(found.curve)
        if self._average is not None:
            self._average.load_state_dict(tensors_under("average.", state))
        restore_optimizer(self._optimizer, tensors_under("optimizer.", state))
        self._random.states = {name: state[name] for name in self._random.states}
        for name in _COUNTS:
            setattr(self, name, int(state[name]))
        self.seconds, self._epoch_seconds = state["seconds"].tolist()
        self.drawing.restore(state["drawing"])
        self._shuffle.set_state(state["shuffle"])
        self._totals = state["totals"].to(self.device)
        batches = self._batches_left()
        for _ in range(self.in_epoch):
            next(batches, None)

    def trained(self) -> TrainedSupernet:
        """What is known of the supernet now; with what goes on from it if there is more to do."""
        kept = self.judged if self.done else self.supernet
        data = self.data
        return TrainedSupernet(
            space=self.space,
            weights=kept.state_dict(),
            settings=self.settings,
            data=data.name,
            class_names=data.class_names,
            pixel_mean=data.pixel_mean,
            pixel_std=data.pixel_std,
            train_images=data.count("train"),
            share=self.share,
            steps=self.steps,
            seen=self.seen,
            seconds=self.seconds,
            curve=tuple(self.curve),
            state={} if self.done else self.state(),
        )

    def _batches_left(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Those of this epoch, at the highest resolution of the space."""
        if self._batches is None:
            self._shuffle_before = self._shuffle.get_state()
            self._batches = iter(
                self.data.batches(
                    "train",
                    max(self.space.resolution_px),
                    self.settings.recipe.batch_size,
                    shuffle=self._shuffle,
                    augment=self._augmentation,
                )
            )
        return self._batches

    def _step(self, images: Tensor, targets: Tensor) -> None:
        """Change the weights once: the first network learns the targets, the others its answers."""
        rate = self.settings.recipe.learning_rate * self._share_of_rate()
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad(set_to_none=True)
        first, *others = self.drawing.step()
        logits = self._logits(images, first)
        loss = self._loss_of(logits, targets)
        loss.backward()
        if others:
            answers = logits.detach().softmax(1)
            for genes in others:
                taught: Tensor = nn.functional.cross_entropy(self._logits(images, genes), answers)
                taught.backward()  # type: ignore[no-untyped-call]
        if self.settings.recipe.clip:
            nn.utils.clip_grad_norm_(self.supernet.parameters(), self.settings.recipe.clip)
        self._optimizer.step()
        if self._average is not None:
            self._average.update_parameters(self.supernet)
        labels = targets if targets.ndim == 1 else targets.argmax(1)
        right = (logits.detach().argmax(1) == labels).sum()
        count = len(labels)
        self._totals += torch.stack([loss.detach() * count, right, right.new_tensor(count)])

    def _share_of_rate(self) -> float:
        return self._schedule(int(self.share * self.settings.recipe.epochs * _GRAIN))

    def _logits(self, images: Tensor, genes: Genes) -> Tensor:
        side = int(genes.get("resolution_px", self.space.resolution_px[0]))
        logits: Tensor = self.supernet(shrunk(images, side), genes)
        return logits

    def _look_at_loss(self) -> None:
        if not math.isfinite(float(self._totals[0])):
            raise TrainingFailedError(f"the loss is no longer a number after {self.steps} steps")

    def _end_epoch(self) -> None:
        self._look_at_loss()
        if self.in_epoch and self.latest:
            self.curve.append(self.latest)
        self.epoch, self.in_epoch = self.epoch + 1, 0
        self._totals = torch.zeros_like(self._totals)
        self._epoch_seconds = 0.0
        self._batches = None
        self._shuffle_before = self._shuffle.get_state()


def train_supernet(
    space: SearchSpace,
    data: Data,
    path: Path,
    *,
    recipe: Recipe | None = None,
    strategy: Strategy = "uniform",
    most_macs: float | None = None,
    minutes: float | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> int:
    """Train from the beginning to the end, and write the file; see `SupernetSettings`.

    Returns:
        The number of steps.
    Raises:
        NoFeasibleNetworkError, TrainingFailedError, RunError: as `run_to_end`.
    """
    settings = SupernetSettings(recipe or Recipe(), strategy, most_macs, minutes, seed)
    training = SupernetTraining(space, data, settings, device=device)
    run_to_end(training, path)
    return training.steps


def run_to_end(
    training: SupernetTraining,
    path: Path,
    on_save: Callable[[SupernetTraining], None] | None = None,
) -> None:
    """Train, with the file written at once, after every epoch, and every minute of a longer one.

    Args:
        on_save: told of every file but the first.
    Raises:
        TrainingFailedError: the loss is no longer a number; the last file stays.
        RunError: the file cannot be written.
    """
    save_supernet(training.trained(), path)
    while not training.done:
        training.advance(SAVE_SECONDS)
        save_supernet(training.trained(), path)
        if on_save is not None:
            on_save(training)


def seeded_supernet(space: SearchSpace, seed: int, dropout: float = 0.0) -> Supernet:
    """A supernet whose initial weights follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU too
        return Supernet(space, dropout)


def shrunk(images: Tensor, side_px: int) -> Tensor:
    """Images as a network of a lower resolution sees them.

    Args:
        images: `n x channels x r x r` float.
    """
    if images.shape[-1] == side_px:
        return images
    smaller = interpolate(images, size=(side_px, side_px), mode="bilinear", antialias=True)
    return smaller.contiguous(memory_format=torch.channels_last)


def _optimizer_of(supernet: Supernet, recipe: Recipe) -> torch.optim.Optimizer:
    optimizer = optimizer_of(supernet, recipe)
    if recipe.optimizer == "sgd" and recipe.momentum:
        for group in optimizer.param_groups:  # fused SGD makes either all or none in a step
            for parameter in group["params"]:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def _keep_compiled_convolutions() -> None:
    """Every step has convolutions of other shapes, and oneDNN keeps 1,024 compiled ones unless told."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8192")
