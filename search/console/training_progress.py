"""Progress of a training: a bar within each epoch, and a line after it."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ...evaluate import Epoch
from .progress import format_time_left
from .terminal import Console

DATA_WAIT_WARNING = 0.1


class TrainingProgress:
    """Progress of one training, with a bar on a terminal.

    Args:
        epochs: total number of epochs.
        images: approximate number of images per epoch.
        done: number of epochs finished before.
        quiet: print nothing.
    """

    def __init__(
        self,
        console: Console,
        *,
        epochs: int,
        images: int,
        done: int = 0,
        quiet: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.console, self.epochs, self.quiet, self.clock = console, epochs, quiet, clock
        self.first = done
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(40),
            MofNCompleteColumn(),
            TextColumn("images, {task.fields[images_per_second]:,.0f}/s,"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self.task = self.bar.add_task(
            "", total=images * epochs, completed=images * done, images_per_second=0.0
        )
        self.images = images

    def __enter__(self) -> Self:
        self.bar.start()
        self.start_time = self.clock()
        self.begin_epoch(self.first + 1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def begin_epoch(self, epoch: int) -> None:
        self.epoch, self.images_done, self.epoch_start_time = epoch, 0, self.clock()
        self.bar.update(self.task, description=f"epoch {epoch}/{self.epochs}")

    def batch(self, images: int) -> None:
        """Count the images of a training step."""
        self.images_done += images
        self.images_per_second = self.images_done / max(self.clock() - self.epoch_start_time, 1e-9)
        self.bar.update(self.task, advance=images, images_per_second=self.images_per_second)

    def end_epoch(self, point: Epoch, data_wait_fraction: float = 0.0) -> None:
        """Print the line of a finished epoch and start the next one.

        Args:
            data_wait_fraction: fraction of the time spent waiting for images; printed if large.
        """
        self.bar.update(self.task, completed=self.images * self.epoch)
        left = (self.clock() - self.start_time) / (self.epoch - self.first) * (self.epochs - self.epoch)
        text = f"epoch {self.epoch}/{self.epochs}: {epoch_summary(point)}"
        images_per_second = f"{self.images_per_second:,.0f} images/s"
        if data_wait_fraction >= DATA_WAIT_WARNING:
            images_per_second += f", {data_wait_fraction:.0%} of the time waiting for images"
        remaining = f"; {format_time_left(left)}" if self.epoch < self.epochs else ""
        self.print_line(f"{text}; {images_per_second}{remaining}")
        if self.epoch < self.epochs:
            self.begin_epoch(self.epoch + 1)

    def print_line(self, line: str) -> None:
        if not self.quiet:
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)


def epoch_summary(point: Epoch) -> str:
    """One epoch in a line."""
    words = f"train loss {point.train_loss:.3f}"
    if point.train_top1 is not None:
        words += f", {100 * point.train_top1:.1f}%"
    if point.validation_loss is not None and point.validation_top1 is not None:
        words += f"; validation loss {point.validation_loss:.3f}, {100 * point.validation_top1:.2f}%"
    return words
