"""What a person sees of a training."""

import io
import math

import pytest
from rich.console import Console

from bneck.evaluate import Epoch
from bneck.search.console.training_progress import DATA_WAIT_WARNING, TrainingProgress, epoch_summary


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def shown_to(terminal: bool = False, **changes: int | bool) -> tuple[TrainingProgress, io.StringIO, Clock]:
    out, clock = io.StringIO(), Clock()
    console = Console(file=out, force_terminal=terminal, width=40)
    told = {"epochs": 4, "images": 100, **changes}
    return TrainingProgress(console, clock=clock, **told), out, clock  # type: ignore[arg-type]


POINT = Epoch(1.2345, 0.5, 0.9055, 0.25, 9.0)


def test_each_epoch_leaves_a_line_with_its_pace_and_the_time_left() -> None:
    progress, out, clock = shown_to()
    with progress:
        for _ in range(2):
            for _ in range(4):
                clock.now += 5
                progress.batch(500)
            clock.now += 10  # judging
            progress.end_epoch(POINT)
    # 2,000 images in 20 seconds; 30 seconds an epoch, three and two are left
    words = "train loss 1.234, 25.0%; validation loss 0.500, 90.55%; 100 images/s"
    assert out.getvalue().splitlines() == [
        f"epoch 1/4: {words}; 1 min 30 s left",
        f"epoch 2/4: {words}; 1 min 0 s left",
    ]


@pytest.mark.parametrize(
    ("data_wait_fraction", "told"),
    [(0.0, False), (DATA_WAIT_WARNING - 0.01, False), (DATA_WAIT_WARNING, True)],
)
def test_much_waiting_for_images_is_told(data_wait_fraction: float, told: bool) -> None:
    progress, out, clock = shown_to()
    with progress:
        clock.now += 1
        progress.batch(10)
        progress.end_epoch(POINT, data_wait_fraction)
    words = f"10 images/s, {100 * DATA_WAIT_WARNING:.0f}% of the time waiting for images; 3 s left"
    assert (words in out.getvalue()) is told
    assert ("waiting" in out.getvalue()) is told


def test_after_a_break_only_the_epochs_since_count() -> None:
    progress, out, clock = shown_to(done=2)
    with progress:
        clock.now += 10
        progress.batch(100)
        progress.end_epoch(POINT)
        clock.now += 10
        progress.batch(100)
        progress.end_epoch(POINT)
    first, second = out.getvalue().splitlines()
    assert first.startswith("epoch 3/4: ")
    assert first.endswith("10 images/s; 10 s left")
    assert second.startswith("epoch 4/4: ")
    assert second.endswith("10 images/s")


def test_the_bar_counts_the_images_of_all_epochs() -> None:
    progress, _, clock = shown_to(terminal=True, done=1)
    task = progress.bar.tasks[0]
    assert (task.total, task.completed) == (400, 100)
    with progress:
        assert task.description == "epoch 2/4"
        clock.now += 2
        progress.batch(60)
        assert (task.completed, task.fields["images_per_second"]) == (160, 30)
        progress.end_epoch(POINT)  # 40 images were left out
        assert (task.completed, task.description) == (200, "epoch 3/4")


def test_a_terminal_gets_a_bar_and_a_file_none() -> None:
    for terminal in (True, False):
        progress, out, _ = shown_to(terminal=terminal)
        with progress:
            progress.batch(50)
            progress.bar.refresh()
        assert ("images" in out.getvalue()) is terminal


def test_the_quiet_say_nothing() -> None:
    progress, out, _ = shown_to(terminal=True, quiet=True)
    with progress:
        progress.batch(50)
        progress.end_epoch(POINT)
        progress.print_line("words")
    assert out.getvalue() == ""


def test_the_bar_ends_with_an_error() -> None:
    progress, _, _ = shown_to(terminal=True)
    with pytest.raises(KeyboardInterrupt), progress:
        raise KeyboardInterrupt
    assert not progress.bar.live.is_started


def test_words_are_shown_as_they_are() -> None:
    progress, out, _ = shown_to()
    progress.print_line("[bold]folder[/bold] " + "long " * 20)
    assert out.getvalue() == "[bold]folder[/bold] " + "long " * 20 + "\n"


@pytest.mark.parametrize(
    ("point", "words"),
    [
        (Epoch(0.5), "train loss 0.500"),
        (Epoch(0.5, train_top1=1.0), "train loss 0.500, 100.0%"),
        (Epoch(0.5, 0.25, 0.125), "train loss 0.500; validation loss 0.250, 12.50%"),
        (Epoch(math.pi, 0.0, 0.0, 0.0), "train loss 3.142, 0.0%; validation loss 0.000, 0.00%"),
    ],
)
def test_an_epoch_in_words(point: Epoch, words: str) -> None:
    assert epoch_summary(point) == words
