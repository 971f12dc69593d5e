"""Prefetching: in order, bounded, and all threads end."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from bneck.evaluate.data.prefetch import PREFETCH_BATCHES, prefetch

Batch = tuple[int, list[Callable[[], int]]]


def squares(batches: int, of_each: int, taken: list[int] | None = None) -> Iterator[Batch]:
    for number in range(batches):
        if taken is not None:
            taken.append(number)
        yield number, [lambda value=value: value**2 for value in range(number, number + of_each)]  # type: ignore[misc]


@pytest.mark.parametrize("workers", [1, 4])
def test_batches_and_results_come_in_order(workers: int) -> None:
    expected = [(number, [value**2 for value in range(number, number + 3)]) for number in range(10)]
    assert list(prefetch(squares(10, 3), workers)) == expected


@pytest.mark.parametrize("batches", [0, 1, 2, 3])
def test_few_batches_are_all_yielded(batches: int) -> None:
    assert [context for context, _ in prefetch(squares(batches, 2), 2)] == list(range(batches))


def test_an_empty_batch_is_yielded() -> None:
    assert list(prefetch(iter([(7, [])]), 1)) == [(7, [])]


def test_no_more_than_two_batches_are_ahead() -> None:
    taken: list[int] = []
    for context, _ in prefetch(squares(10, 2, taken), 2):
        assert taken[-1] == min(9, context + PREFETCH_BATCHES)


def test_threads_run_concurrently_with_the_caller() -> None:
    done = threading.Event()

    def finish() -> int:
        done.set()
        return 1

    later: list[Batch] = [(0, [lambda: 0]), (1, [finish])]
    results = prefetch(later, 1)
    next(results)
    assert done.wait(5), "the second batch is read though nobody asked for it"
    assert list(results) == [(1, [1])]


def test_an_error_in_a_thread_is_raised_where_the_results_are_used() -> None:
    def fails() -> int:
        raise OSError("disk on fire")

    before = threading.active_count()
    results = prefetch(iter([(0, [lambda: 0]), (1, [fails]), (2, [lambda: 2])]), 2)
    assert next(results) == (0, [0])
    with pytest.raises(OSError, match="disk on fire"):
        next(results)
    assert threading.active_count() == before


def test_an_error_in_what_makes_the_batches_ends_the_threads_too() -> None:
    def batches() -> Iterator[Batch]:
        yield 0, [lambda: 0]
        raise ValueError("no more")

    before = threading.active_count()
    with pytest.raises(ValueError, match="no more"):
        list(prefetch(batches(), 2))
    assert threading.active_count() == before


def test_closing_early_ends_the_threads_and_cancels_pending_work() -> None:
    calls: list[int] = []

    def slow(value: int) -> int:
        time.sleep(0.01)
        calls.append(value)
        return value

    before = threading.active_count()
    results = prefetch(((number, [lambda: slow(0)] * 50) for number in range(3)), 2)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    read = len(calls)
    assert read < 60, "of 100 that waited only those under way were finished"
    time.sleep(0.03)
    assert len(calls) == read
