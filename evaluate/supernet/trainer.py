"""Supernet training, resumable at every step."""

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
from ...search_space.errors import NonFiniteLossError
from ..data.augmentation import mix_batch, parse_augmentation
from ..data.dataset import Data
from ..data.manifest import Manifest, fingerprint
from ..data.splits import num_shuffled_batches
from ..training.accuracy import Epoch
from ..training.optimizers import build_lr_schedule, build_optimizer, restore_optimizer
from ..training.recipe import Recipe
from ..training.safetensors_io import select_prefix
from ..training.trainer import GlobalRng
from .checkpoint import SupernetCheckpoint, save_supernet
from .config import SupernetConfig
from .sampling import SubnetSampler
from .supernet import Supernet

SAVE_INTERVAL_SECONDS = 60.0
_LOSS_CHECK_INTERVAL = 50
_SCHEDULE_STEPS_PER_EPOCH = 10_000  # resolution of the learning-rate schedule, for either kind of budget
_COUNTERS = ("epoch", "steps_in_epoch", "steps", "images_seen")


class SupernetTrainer:
    """Trains a supernet on the training split.

    With a budget in epochs, the weights are the same to the bit on one machine with the same number of
    threads, whether or not training was interrupted.

    Args:
        space: search space; adapted to the images and classes of the data.
        clock: compute time in seconds.
    Attributes:
        epoch, steps_in_epoch, steps: completed epochs, steps of the current epoch, all steps.
        images_seen: training images processed, repetitions included.
        seconds: compute time so far.
        curve: one point per epoch, of the networks trained on the labels.
        manifest: the files of the data; None if the images are no files.
    Raises:
        NoFeasibleNetworkError: too few networks are within the MACs limit.
    """

    def __init__(
        self,
        space: SearchSpace,
        data: Data,
        settings: SupernetConfig,
        *,
        device: str = "cpu",
        clock: Callable[[], float] | None = None,
    ) -> None:
        _enlarge_onednn_cache()
        self.space = space.for_data(data.image_channels, len(data.class_names))
        self.data, self.settings, self.device = data, settings, device
        self.manifest = Manifest.of(data)
        self.epoch, self.steps_in_epoch, self.steps, self.images_seen, self.seconds = 0, 0, 0, 0, 0.0
        self.curve: list[Epoch] = []
        self._clock = clock or (time.process_time if device == "cpu" else time.perf_counter)
        recipe = settings.recipe
        self.supernet = seeded_supernet(self.space, settings.seed, recipe.dropout).to(device)
        self.sampler = SubnetSampler(self.space, settings)
        self.steps_per_epoch = num_shuffled_batches(data.count("train"), recipe.batch_size)
        self._schedule = build_lr_schedule(recipe, _SCHEDULE_STEPS_PER_EPOCH)
        self._augmentation = parse_augmentation(recipe.augment)
        self._criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        self._optimizer = _optimizer_of(self.supernet, recipe)
        self._ema: AveragedModel | None = None
        if recipe.ema:
            ema_update = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
            self._ema = AveragedModel(self.supernet, multi_avg_fn=ema_update, use_buffers=True)
        self._shuffle = Generator().manual_seed(settings.seed)
        self._epoch_shuffle_state = self._shuffle.get_state()
        self._rng = GlobalRng(settings.seed, device)
        self._batches: Iterator[tuple[Tensor, Tensor]] | None = None
        self._totals = torch.zeros(3, dtype=torch.float64, device=device)  # loss, right answers, images
        self._epoch_seconds = 0.0

    @property
    def fraction_done(self) -> float:
        """Fraction of the budget spent, 0 to 1."""
        if self.settings.minutes is not None:
            return min(1.0, self.seconds / (60 * self.settings.minutes))
        done = self.epoch + self.steps_in_epoch / self.steps_per_epoch
        return min(1.0, done / self.settings.recipe.epochs)

    @property
    def done(self) -> bool:
        return self.fraction_done >= 1

    @property
    def eval_network(self) -> Supernet:
        """The supernet to evaluate: the EMA if the recipe has one."""
        if self._ema is None:
            return self.supernet
        ema_network = self._ema.module
        assert isinstance(ema_network, Supernet)
        return ema_network

    @property
    def latest(self) -> Epoch | None:
        """The current epoch so far, or else the last completed one."""
        loss, correct, n_images = self._totals.tolist()
        if n_images:
            return Epoch(loss / n_images, train_top1=correct / n_images, seconds=self._epoch_seconds)
        return self.curve[-1] if self.curve else None

    def advance(self, seconds: float = math.inf) -> None:
        """Train to the end of the epoch or budget, or for about that many seconds.

        Raises:
            NonFiniteLossError: the loss is not finite.
        """
        self.supernet.train()
        end = self.seconds + seconds
        previous_time = self._clock()
        with self._rng.activate():
            while self.seconds < end and not self.done:
                batch = next(self._remaining_batches(), None)
                if batch is None:
                    self._end_epoch()
                    return
                images, labels = (each.to(self.device, non_blocking=True) for each in batch)
                self._step(*mix_batch(images, labels, self.space.classes, self._augmentation))
                self.steps_in_epoch += 1
                self.steps += 1
                self.images_seen += len(labels)
                current_time = self._clock()
                self.seconds += current_time - previous_time
                self._epoch_seconds += current_time - previous_time
                previous_time = current_time
                if self.steps % _LOSS_CHECK_INTERVAL == 0:
                    self._check_loss()
        if self.done:
            self._end_epoch()

    def state(self) -> dict[str, Tensor]:
        """Training state besides weights, curve, configuration and data."""
        saved: dict[str, Tensor] = {}
        if self._ema is not None:
            saved |= {f"ema.{name}": value for name, value in self._ema.state_dict().items()}
        for number, values in self._optimizer.state_dict()["state"].items():
            saved |= {f"optimizer.{number}.{name}": value for name, value in values.items()}
        saved |= self._rng.states
        saved |= {name: torch.tensor(getattr(self, name)) for name in _COUNTERS}
        saved["seconds"] = torch.tensor([self.seconds, self._epoch_seconds], dtype=torch.float64)
        saved |= {
            "sampler": self.sampler.state(),
            "shuffle": self._epoch_shuffle_state,
            "totals": self._totals,
        }
        return {name: value.detach().cpu().clone() for name, value in saved.items()}

    def restore(self, saved: SupernetCheckpoint) -> None:
        """Restore a checkpoint of the same space, configuration and data."""
        state = saved.state
        self.supernet.load_state_dict(dict(saved.weights))
        self.curve = list(saved.curve)
        if self._ema is not None:
            self._ema.load_state_dict(select_prefix("ema.", state))
        restore_optimizer(self._optimizer, select_prefix("optimizer.", state))
        self._rng.states = {name: state[name] for name in self._rng.states}
        for name in _COUNTERS:
            setattr(self, name, int(state[name]))
        self.seconds, self._epoch_seconds = state["seconds"].tolist()
        self.sampler.restore(state["sampler"])
        self._shuffle.set_state(state["shuffle"])
        self._totals = state["totals"].to(self.device)
        batches = self._remaining_batches()
        for _ in range(self.steps_in_epoch):
            next(batches, None)

    def checkpoint(self) -> SupernetCheckpoint:
        """The current supernet, with the training state unless training is finished."""
        supernet = self.eval_network if self.done else self.supernet
        data = self.data
        return SupernetCheckpoint(
            space=self.space,
            weights=supernet.state_dict(),
            settings=self.settings,
            data=data.name,
            class_names=data.class_names,
            pixel_mean=data.pixel_mean,
            pixel_std=data.pixel_std,
            train_images=data.count("train"),
            fraction_done=self.fraction_done,
            steps=self.steps,
            images_seen=self.images_seen,
            seconds=self.seconds,
            curve=tuple(self.curve),
            fingerprint=fingerprint(data),
            manifest=self.manifest,
            state={} if self.done else self.state(),
        )

    def _remaining_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Remaining batches of this epoch at the highest resolution of the space."""
        if self._batches is None:
            self._epoch_shuffle_state = self._shuffle.get_state()
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
        """One optimizer step: the first network on the targets, the others on its predictions."""
        recipe = self.settings.recipe
        lr_factor = self._schedule(int(self.fraction_done * recipe.epochs * _SCHEDULE_STEPS_PER_EPOCH))
        for group in self._optimizer.param_groups:
            group["lr"] = recipe.learning_rate * lr_factor
        self._optimizer.zero_grad(set_to_none=True)
        first, *others = self.sampler.step()
        logits = self._logits(images, first)
        loss = self._criterion(logits, targets)
        loss.backward()
        if others:
            teacher_probabilities = logits.detach().softmax(1)
            for genes in others:
                distillation_loss: Tensor = nn.functional.cross_entropy(
                    self._logits(images, genes), teacher_probabilities
                )
                distillation_loss.backward()  # type: ignore[no-untyped-call]
        if recipe.max_grad_norm:
            nn.utils.clip_grad_norm_(self.supernet.parameters(), recipe.max_grad_norm)
        self._optimizer.step()
        if self._ema is not None:
            self._ema.update_parameters(self.supernet)
        labels = targets if targets.ndim == 1 else targets.argmax(1)
        correct = (logits.detach().argmax(1) == labels).sum()
        count = len(labels)
        self._totals += torch.stack([loss.detach() * count, correct, correct.new_tensor(count)])

    def _logits(self, images: Tensor, genes: Genes) -> Tensor:
        side = int(genes.get("resolution_px", self.space.resolution_px[0]))
        logits: Tensor = self.supernet(downscale(images, side), genes)
        return logits

    def _check_loss(self) -> None:
        if not math.isfinite(float(self._totals[0])):
            raise NonFiniteLossError(
                f"the loss is not finite after {self.steps} steps; lower the learning rate"
            )

    def _end_epoch(self) -> None:
        self._check_loss()
        if self.steps_in_epoch and self.latest:
            self.curve.append(self.latest)
        self.epoch, self.steps_in_epoch = self.epoch + 1, 0
        self._totals = torch.zeros_like(self._totals)
        self._epoch_seconds = 0.0
        self._batches = None
        self._epoch_shuffle_state = self._shuffle.get_state()


def train_to_end(
    training: SupernetTrainer,
    path: Path,
    on_save: Callable[[SupernetTrainer], None] | None = None,
) -> None:
    """Train to the end of the budget; saves at the start, after every epoch, and every minute.

    Args:
        on_save: called after every save but the first.
    Raises:
        NonFiniteLossError: the loss is not finite; the last file remains.
        RunError: the file cannot be written.
    """
    save_supernet(training.checkpoint(), path)
    while not training.done:
        training.advance(SAVE_INTERVAL_SECONDS)
        save_supernet(training.checkpoint(), path)
        if on_save is not None:
            on_save(training)


def seeded_supernet(space: SearchSpace, seed: int, dropout: float = 0.0) -> Supernet:
    """A supernet with initial weights determined by the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU too
        return Supernet(space, dropout)


def downscale(images: Tensor, side_px: int) -> Tensor:
    """Resize images to a lower resolution.

    Args:
        images: `n x channels x r x r` float.
    """
    if images.shape[-1] == side_px:
        return images
    smaller = interpolate(images, size=(side_px, side_px), mode="bilinear", antialias=True)
    return smaller.contiguous(memory_format=torch.channels_last)


def _optimizer_of(supernet: Supernet, recipe: Recipe) -> torch.optim.Optimizer:
    optimizer = build_optimizer(supernet, recipe)
    if recipe.optimizer == "sgd" and recipe.momentum:
        for group in optimizer.param_groups:  # fused SGD creates either all buffers or none in a step
            for parameter in group["params"]:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def _enlarge_onednn_cache() -> None:
    """Convolution shapes vary by step; oneDNN caches only 1,024 compiled primitives by default."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8192")
