"""A training run that advances one epoch at a time and can be saved and resumed."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.distributed as dist
from torch import Generator, Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ...search_space.errors import FieldError, NonFiniteLossError
from ...search_space.network import Network
from ..data.augmentation import NO_AUGMENTATION, mix_batch, parse_augmentation
from ..data.dataset import Data, Split
from ..data.splits import num_shuffled_batches
from .accuracy import Accuracy, Epoch
from .distillation import Distillation
from .evaluation import Evaluation, evaluate_images, recalibrate_batchnorm
from .optimizers import build_lr_schedule, build_optimizer, restore_optimizer
from .recipe import Freeze, Recipe
from .safetensors_io import select_prefix

Precision = Literal["fp32", "bf16", "fp16"]
OnBatch = Callable[[int], None]

_LOSS_CHECK_INTERVAL = 50
_OPTIMIZER, _SCALER = "optimizer.", "scaler."
_COUNTERS = ("epoch", "steps", "images_seen")


@dataclass(frozen=True)
class ComputeConfig:
    """Device, numerical precision and compilation, independent of the recipe.

    Attributes:
        device: `cpu` or `cuda`.
        precision: autocast type of convolutions and linear layers; other layers and all weights are fp32.
        compiled: use `torch.compile`.
    """

    device: str = "cpu"
    precision: Precision = "fp32"
    compiled: bool = False

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            known = ", ".join(get_args(Precision))
            raise FieldError("precision", f"must be one of {known}, got '{self.precision}'")


class Trainer:
    """Trains a network in place.

    The seed determines image order, augmentation and dropout. On one machine with the same number of
    threads and processes the result is reproducible bit for bit, also across `state` and `restore`.
    If `torch.distributed` is initialised, each process trains on its share of every batch.

    Attributes:
        epoch, steps: number completed.
        images_seen: number of training images processed by all processes, repetitions included.
        data_wait_fraction: fraction of the last epoch spent waiting for images.
    """

    def __init__(
        self,
        network: Network,
        data: Data,
        recipe: Recipe,
        *,
        seed: int,
        compute: ComputeConfig | None = None,
        distillation: Distillation | None = None,
    ) -> None:
        self.network, self.data, self.recipe = network, data, recipe
        self.compute = compute or ComputeConfig()
        self.device = self.compute.device
        self.epoch, self.steps, self.images_seen, self.data_wait_fraction = 0, 0, 0, 0.0
        self._augmentation = parse_augmentation(recipe.augment)
        network.dropout.p = recipe.dropout
        network.set_drop_path(recipe.drop_path)
        network.to(self.device).to(memory_format=torch.channels_last)
        self._frozen = frozen_parts(network, recipe.freeze)
        for part in self._frozen:
            part.requires_grad_(False)
        self._distillation = distillation
        if distillation:
            distillation.teacher.model.eval().to(self.device).to(memory_format=torch.channels_last)
        self._optimizer = build_optimizer(network, recipe)
        self.steps_per_epoch = num_shuffled_batches(data.count("train"), recipe.batch_size)
        self._lr_factor = build_lr_schedule(recipe, self.steps_per_epoch)
        self._criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        self._shuffle = Generator().manual_seed(seed)
        self._seed, self._rng = seed, GlobalRng(seed, self.device)
        self._ema_model: AveragedModel | None = None
        if recipe.ema:
            ema_update = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
            self._ema_model = AveragedModel(network, multi_avg_fn=ema_update, use_buffers=True)
        self._scaler = torch.amp.GradScaler(self.device, enabled=self.compute.precision == "fp16")
        self._model: Callable[[Tensor], Tensor] = network
        self.rank, self.world_size = 0, 1
        if dist.is_initialized():
            self.rank, self.world_size = dist.get_rank(), dist.get_world_size()
            self._model = DistributedDataParallel(network)
        if self.compute.compiled:
            self._model = torch.compile(self._model)

    @property
    def done(self) -> bool:
        return self.epoch >= self.recipe.epochs

    @property
    def eval_network(self) -> Network:
        """The network to evaluate and save: with averaged weights if the recipe has `ema`."""
        if self._ema_model is None:
            return self.network
        ema_network = self._ema_model.module
        assert isinstance(ema_network, Network)
        return ema_network

    def run_epoch(self, on_batch: OnBatch | None = None) -> Epoch:
        """Train for one epoch.

        Args:
            on_batch: called after each step with its number of images, over all processes.
        Raises:
            NonFiniteLossError: the loss is NaN or infinite.
        """
        self.network.train()
        for part in self._frozen:
            part.eval()
        classes = self.network.architecture.classes
        total = torch.zeros(3, dtype=torch.float64, device=self.device)  # loss, correct, images
        loss_sum = torch.zeros((), device=self.device)
        data_wait_s, start = 0.0, time.perf_counter()
        if self.world_size > 1:  # one stream per process; a checkpoint holds only that of rank 0
            rank_seed = (self._seed * self.world_size + self.rank) * self.recipe.epochs + self.epoch
            self._rng = GlobalRng(rank_seed, self.device)
        with self._rng.activate():
            batches = enumerate(self._batches(), start=1)
            while True:
                before = time.perf_counter()
                number, batch = next(batches, (0, None))
                data_wait_s += time.perf_counter() - before
                if batch is None:
                    break
                images, labels = (each.to(self.device, non_blocking=True) for each in batch)
                count = len(labels)
                if count == 0:  # other processes have images, and all must step together; weight 0
                    images, labels = images.new_zeros(2, *self.network.input_shape), labels.new_zeros(2)
                images, targets = mix_batch(images, labels, classes, self._augmentation)
                loss, correct = self._step(images, targets, self._loss_weight(count))
                loss_sum += loss * count
                total[1] += correct if count else 0
                total[2] += count
                if (
                    self.world_size == 1
                    and number % _LOSS_CHECK_INTERVAL == 0
                    and not math.isfinite(float(loss_sum))
                ):
                    break
                if on_batch is not None:
                    on_batch(count * self.world_size)
        total[0] = loss_sum
        if self.world_size > 1:
            dist.all_reduce(total)
        loss_total, correct_total, image_count = total.tolist()
        self.epoch += 1
        self.images_seen += int(image_count)
        self.data_wait_fraction = data_wait_s / (time.perf_counter() - start)
        if not math.isfinite(loss_total):
            raise NonFiniteLossError(f"the loss of epoch {self.epoch} is {loss_total / image_count}")
        return Epoch(loss_total / image_count, train_top1=correct_total / image_count)

    def evaluate(self, split: Split = "validation") -> tuple[float, float]:
        """Top-1 accuracy and cross-entropy of `evaluate_images`."""
        evaluation = self.evaluate_images(split)
        return evaluation.top1, evaluation.loss

    def evaluate_images(self, split: Split = "validation") -> Evaluation:
        """Evaluate `eval_network`, after recalibrating batch normalisation.

        Raises:
            NonFiniteLossError: the loss is NaN or infinite.
        """
        network = self.eval_network
        if self.world_size > 1:
            for statistics in network.buffers():
                dist.broadcast(statistics, 0)
        if self.recipe.bn_recalibration_images and self.recipe.freeze == "none":
            recalibrate_batchnorm(network, self.data, self.recipe, self.device)
        evaluation = evaluate_images(
            network, self.data, split, device=self.device, shard=(self.rank, self.world_size)
        )
        if not math.isfinite(evaluation.loss):
            raise NonFiniteLossError(f"the loss on the {split} images is {evaluation.loss}")
        return evaluation

    def accuracy(self, evaluation: Evaluation, seconds: float, curve: Sequence[Epoch]) -> Accuracy:
        """The result of this training, which took `seconds`."""
        return Accuracy(
            top1=evaluation.top1,
            loss=evaluation.loss,
            images=evaluation.images,
            images_seen=self.images_seen,
            seed=self._seed,
            seconds=seconds,
            curve=tuple(curve),
            outcomes=evaluation.outcomes,
        )

    def state(self) -> dict[str, Tensor]:
        """Everything needed to resume, except network, recipe and data."""
        tensors: dict[str, Tensor] = {}
        if self._ema_model is not None:
            tensors |= {f"ema.{name}": value for name, value in self._ema_model.state_dict().items()}
        for number, values in self._optimizer.state_dict()["state"].items():
            tensors |= {f"{_OPTIMIZER}{number}.{name}": value for name, value in values.items()}
        tensors |= {
            f"{_SCALER}{name}": torch.tensor(value) for name, value in self._scaler.state_dict().items()
        }
        tensors["shuffle"] = self._shuffle.get_state()
        tensors |= self._rng.states
        tensors |= {name: torch.tensor(getattr(self, name)) for name in _COUNTERS}
        return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Resume from `state`, with the network weights of that time and the same recipe and data."""
        if self._ema_model is not None:
            self._ema_model.load_state_dict(select_prefix("ema.", state))
        restore_optimizer(self._optimizer, select_prefix(_OPTIMIZER, state))
        if scaler := select_prefix(_SCALER, state):
            self._scaler.load_state_dict({name: value.item() for name, value in scaler.items()})
        self._shuffle.set_state(state["shuffle"])
        self._rng.states = {name: state[name] for name in self._rng.states}
        for name in _COUNTERS:
            setattr(self, name, int(state[name]))

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self.data.batches(
            "train",
            self.network.architecture.resolution_px,
            self.recipe.batch_size,
            shuffle=self._shuffle,
            augment=self._augmentation,
            shard=(self.rank, self.world_size),
        )

    def _loss_weight(self, count: int) -> float | Tensor:
        """Weight of this process's mean loss, so that the mean over processes is the mean over images."""
        if self.world_size == 1:
            return 1.0
        total_count = torch.tensor(float(count), device=self.device)
        dist.all_reduce(total_count)
        return count * self.world_size / total_count

    def _step(self, images: Tensor, targets: Tensor, weight: float | Tensor) -> tuple[Tensor, Tensor]:
        """One optimizer step; returns the mean loss and the number of correct predictions."""
        optimizer, scaler = self._optimizer, self._scaler
        lr = self.recipe.learning_rate * self._lr_factor(self.steps)
        for group in optimizer.param_groups:
            group["lr"] = lr * group.get("lr_factor", 1.0)
        optimizer.zero_grad(set_to_none=True)
        autocast_dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.compute.precision)
        with torch.autocast(self.device, autocast_dtype, enabled=autocast_dtype is not None):
            logits: Tensor = self._model(images)
            loss: Tensor = self._criterion(logits, targets)
            if self._distillation:
                keep = self._augmentation == NO_AUGMENTATION
                soft_labels = self._distillation.teacher.soft_labels(images, self.data, keep=keep)
                loss = self._distillation.loss(loss, logits, soft_labels)
        scaler.scale(loss * weight).backward()  # type: ignore[no-untyped-call]
        if self.recipe.max_grad_norm:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.max_grad_norm)
        scaler.step(optimizer)
        scaler.update()
        if self._ema_model is not None:
            self._ema_model.update_parameters(self.network)
        self.steps += 1
        labels = targets if targets.ndim == 1 else targets.argmax(1)
        return loss.detach(), (logits.detach().argmax(1) == labels).sum()


def frozen_parts(network: Network, freeze: Freeze) -> tuple[nn.Module, ...]:
    """The parts that are not trained."""
    match freeze:
        case "none":
            return ()
        case "backbone":
            return network.backbone
        case "early-stages":
            return network.early_stages


class GlobalRng:
    """Private state of torch's global generators, for the dropout and mixing of one training run."""

    def __init__(self, seed: int, device: str) -> None:
        self.devices = [torch.cuda.current_device()] if device == "cuda" else []
        with torch.random.fork_rng(devices=self.devices):
            torch.manual_seed(seed)
            self.states = self._read()

    def _read(self) -> dict[str, Tensor]:
        cuda = {f"random.cuda.{index}": torch.cuda.get_rng_state(index) for index in self.devices}
        return {"random.cpu": torch.get_rng_state()} | cuda

    @contextmanager
    def activate(self) -> Iterator[None]:
        """Use this state inside; restore the caller's state afterwards."""
        with torch.random.fork_rng(devices=self.devices):
            torch.set_rng_state(self.states["random.cpu"])
            for index in self.devices:
                torch.cuda.set_rng_state(self.states[f"random.cuda.{index}"], index)
            yield
            self.states = self._read()
