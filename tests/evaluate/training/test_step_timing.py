from dataclasses import replace

from bneck.evaluate.training.step_timing import time_steps

from ..example_training import PLAIN, noise_data, toy


def test_steps_are_timed_after_a_first_one_on_few_images() -> None:
    """Steps end at 10, 12 and 15 s: 5 s for the 16 images of two steps."""
    clock = iter((10.0, 12.0, 15.0))
    recipe = replace(PLAIN, batch_size=8, epochs=7)
    timing = time_steps(toy(), noise_data(train=64), recipe, clock=clock.__next__)
    assert timing
    assert timing.seconds_per_image == 5 / 16
    assert next(clock, None) is None
    assert timing.memory_bytes > 50e6


def test_one_step_alone_cannot_be_timed() -> None:
    assert time_steps(toy(), noise_data(train=8), replace(PLAIN, batch_size=8)) is None
