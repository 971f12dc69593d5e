"""A training in progress: an epoch at a time, with everything that the next epoch follows from."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.distributed as dist
from torch import Generator, Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ...search_space.errors import FieldError
from ...search_space.network import Network
from ..data.augmentation import mixed, parse_augmentation
from ..data.dataset import Data, Split
from ..data.splits import shuffled_batches
from .accuracy import Epoch
from .evaluation import judge, settle_norms
from .optimizers import optimizer_of, restore_optimizer, schedule_of
from .recipe import Recipe
from .safetensors_io import tensors_under

Precision = Literal["fp32", "bf16", "fp16"]
OnBatch = Callable[[int], None]

_LOOK_AT_LOSS = 50
_OPTIMIZER, _SCALER = "optimizer.", "scaler."
_COUNTS = ("epoch", "steps", "seen")


class TrainingFailedError(Exception):
    """The loss is no longer a number."""


@dataclass(frozen=True)
class Conditions:
    """Where and how the arithmetic is done; the recipe says what is done.

    Attributes:
        device: `cpu` or `cuda`.
        precision: of convolutions and linear layers; the rest and all weights stay fp32.
        compiled: by `torch.compile`.
    """

    device: str = "cpu"
    precision: Precision = "fp32"
    compiled: bool = False

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            known = ", ".join(get_args(Precision))
            raise FieldError("precision", f"must be one of {known}, got '{self.precision}'")


class Training:
    """A network being trained.

    The order of the images, their augmentation and dropout follow from the seed; on one machine,
    with as many threads and processes, the result is the same to the bit, whether or not it was
    stopped in between. Where `torch.distributed` is initialised, each process trains on its share
    of every batch.

    Attributes:
        epoch, steps: how many are done.
        seen: training images that were shown, repetitions included, by all processes.
        waited: share of the last epoch's time spent waiting for images.
    """

    def __init__(
        self,
        network: Network,
        data: Data,
        recipe: Recipe,
        *,
        seed: int,
        conditions: Conditions | None = None,
    ) -> None:
        self.network, self.data, self.recipe = network, data, recipe
        self.conditions = conditions or Conditions()
        self.device = self.conditions.device
        self.epoch, self.steps, self.seen, self.waited = 0, 0, 0, 0.0
        self._augmentation = parse_augmentation(recipe.augment)
        network.dropout.p = recipe.dropout
        network.set_drop_path(recipe.drop_path)
        network.to(self.device).to(memory_format=torch.channels_last)
        if recipe.freeze == "backbone":
            for part in network.backbone:
                part.requires_grad_(False)
        self._optimizer = optimizer_of(network, recipe)
        self.steps_an_epoch = shuffled_batches(data.count("train"), recipe.batch_size)
        self._share = schedule_of(recipe, self.steps_an_epoch)
        self._loss_of = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        self._shuffle = Generator().manual_seed(seed)
        self._seed, self._random = seed, RandomState(seed, self.device)
        self._average: AveragedModel | None = None
        if recipe.ema:
            moving = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
            self._average = AveragedModel(network, multi_avg_fn=moving, use_buffers=True)
        self._scaler = torch.amp.GradScaler(self.device, enabled=self.conditions.precision == "fp16")
        self._model: Callable[[Tensor], Tensor] = network
        self.rank, self.world = 0, 1
        if dist.is_initialized():
            self.rank, self.world = dist.get_rank(), dist.get_world_size()
            self._model = DistributedDataParallel(network)
        if self.conditions.compiled:
            self._model = torch.compile(self._model)

    @property
    def done(self) -> bool:
        return self.epoch >= self.recipe.epochs

    @property
    def judged(self) -> Network:
        """The network that is judged and kept: with the average of the weights if there is one."""
        if self._average is None:
            return self.network
        averaged = self._average.module
        assert isinstance(averaged, Network)
        return averaged

    def run_epoch(self, on_batch: OnBatch | None = None) -> Epoch:
        """Go through the training images once.

        Args:
            on_batch: told the number of images of each step, over all processes.
        Raises:
            TrainingFailedError: the loss is no longer a number.
        """
        self.network.train()
        if self.recipe.freeze == "backbone":
            for part in self.network.backbone:
                part.eval()
        classes = self.network.architecture.classes
        total = torch.zeros(3, dtype=torch.float64, device=self.device)  # loss, right answers, images
        loss_sum = torch.zeros((), device=self.device)
        waited, start = 0.0, time.perf_counter()
        if self.world > 1:  # each process draws its own, and a checkpoint holds those of one
            own_seed = (self._seed * self.world + self.rank) * self.recipe.epochs + self.epoch
            self._random = RandomState(own_seed, self.device)
        with self._random.own():
            batches = enumerate(self._batches(), start=1)
            while True:
                before = time.perf_counter()
                number, batch = next(batches, (0, None))
                waited += time.perf_counter() - before
                if batch is None:
                    break
                images, labels = (each.to(self.device, non_blocking=True) for each in batch)
                count = len(labels)
                if count == 0:  # other processes have images, and all must step together
                    images, labels = images.new_zeros(2, *self.network.input_shape), labels.new_zeros(2)
                images, targets = mixed(images, labels, classes, self._augmentation)
                loss, right = self._step(images, targets, self._weight(count))
                loss_sum += loss * count
                total[1] += right if count else 0
                total[2] += count
                if self.world == 1 and number % _LOOK_AT_LOSS == 0 and not math.isfinite(float(loss_sum)):
                    break
                if on_batch is not None:
                    on_batch(count * self.world)
        total[0] = loss_sum
        if self.world > 1:
            dist.all_reduce(total)
        loss_total, right_total, shown = total.tolist()
        self.epoch += 1
        self.seen += int(shown)
        self.waited = waited / (time.perf_counter() - start)
        if not math.isfinite(loss_total):
            raise TrainingFailedError(f"the loss of epoch {self.epoch} is {loss_total / shown}")
        return Epoch(loss_total / shown, train_top1=right_total / shown)

    def judge(self, split: Split = "validation") -> tuple[float, float]:
        """Top-1 accuracy and cross-entropy of the judged network, its batch normalisation settled.

        Raises:
            TrainingFailedError: the loss is no longer a number.
        """
        network = self.judged
        if self.world > 1:
            for statistics in network.buffers():
                dist.broadcast(statistics, 0)
        if self.recipe.norm_images and self.recipe.freeze == "none":
            settle_norms(network, self.data, self.recipe, self.device)
        top1, loss = judge(network, self.data, split, device=self.device, shard=(self.rank, self.world))
        if not math.isfinite(loss):
            raise TrainingFailedError(f"the loss on the {split} images is {loss}")
        return top1, loss

    def state(self) -> dict[str, Tensor]:
        """All that the next epoch follows from beside the network, the recipe and the data."""
        found: dict[str, Tensor] = {}
        if self._average is not None:
            found |= {f"average.{name}": value for name, value in self._average.state_dict().items()}
        for number, values in self._optimizer.state_dict()["state"].items():
            found |= {f"{_OPTIMIZER}{number}.{name}": value for name, value in values.items()}
        found |= {
            f"{_SCALER}{name}": torch.tensor(value) for name, value in self._scaler.state_dict().items()
        }
        found["shuffle"] = self._shuffle.get_state()
        found |= self._random.states
        found |= {name: torch.tensor(getattr(self, name)) for name in _COUNTS}
        return {name: value.detach().cpu().contiguous() for name, value in found.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` told, with the network as it was then and the same recipe and data."""
        if self._average is not None:
            self._average.load_state_dict(tensors_under("average.", state))
        restore_optimizer(self._optimizer, tensors_under(_OPTIMIZER, state))
        if scaler := tensors_under(_SCALER, state):
            self._scaler.load_state_dict({name: value.item() for name, value in scaler.items()})
        self._shuffle.set_state(state["shuffle"])
        self._random.states = {name: state[name] for name in self._random.states}
        for name in _COUNTS:
            setattr(self, name, int(state[name]))

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self.data.batches(
            "train",
            self.network.architecture.resolution_px,
            self.recipe.batch_size,
            shuffle=self._shuffle,
            augment=self._augmentation,
            shard=(self.rank, self.world),
        )

    def _weight(self, count: int) -> float | Tensor:
        """What a mean over `count` images counts for in the mean over all processes' means."""
        if self.world == 1:
            return 1.0
        everyone = torch.tensor(float(count), device=self.device)
        dist.all_reduce(everyone)
        return count * self.world / everyone

    def _step(self, images: Tensor, targets: Tensor, weight: float | Tensor) -> tuple[Tensor, Tensor]:
        """Change the weights once; the mean loss, and how many answers were right."""
        optimizer, scaler = self._optimizer, self._scaler
        rate = self.recipe.learning_rate * self._share(self.steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        reduced = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.conditions.precision)
        with torch.autocast(self.device, reduced, enabled=reduced is not None):
            logits: Tensor = self._model(images)
            loss: Tensor = self._loss_of(logits, targets)
        scaler.scale(loss * weight).backward()  # type: ignore[no-untyped-call]
        if self.recipe.clip:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        scaler.step(optimizer)
        scaler.update()
        if self._average is not None:
            self._average.update_parameters(self.network)
        self.steps += 1
        labels = targets if targets.ndim == 1 else targets.argmax(1)
        return loss.detach(), (logits.detach().argmax(1) == labels).sum()


class RandomState:
    """torch's global random numbers, as one training draws them for dropout and mixing."""

    def __init__(self, seed: int, device: str) -> None:
        self.devices = [torch.cuda.current_device()] if device == "cuda" else []
        with torch.random.fork_rng(devices=self.devices):
            torch.manual_seed(seed)
            self.states = self._read()

    def _read(self) -> dict[str, Tensor]:
        cuda = {f"random.cuda.{index}": torch.cuda.get_rng_state(index) for index in self.devices}
        return {"random.cpu": torch.get_rng_state()} | cuda

    @contextmanager
    def own(self) -> Iterator[None]:
        """Draw from these, and leave the others as they were."""
        with torch.random.fork_rng(devices=self.devices):
            torch.set_rng_state(self.states["random.cpu"])
            for index in self.devices:
                torch.cuda.set_rng_state(self.states[f"random.cuda.{index}"], index)
            yield
            self.states = self._read()
