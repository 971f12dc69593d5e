"""Compute batches in threads, ahead of their use."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

PREFETCH_BATCHES = 2

Context = TypeVar("Context")
Result = TypeVar("Result")


def prefetch(
    batches: Iterable[tuple[Context, Sequence[Callable[[], Result]]]], workers: int
) -> Iterator[tuple[Context, list[Result]]]:
    """Call the functions of each batch in threads, while the caller works on an earlier batch.

    Batches and the results in a batch come in order. Exceptions of a function are raised here. The threads
    end with the iterator, also if it is closed early.

    Args:
        batches: pairs of a value to pass through and functions; consumed `PREFETCH_BATCHES` ahead.
        workers: number of threads.
    """
    executor = ThreadPoolExecutor(workers)
    pending: deque[tuple[Context, list[Future[Result]]]] = deque()
    try:
        for context, functions in batches:
            pending.append((context, [executor.submit(function) for function in functions]))
            if len(pending) > PREFETCH_BATCHES:
                yield _collect(*pending.popleft())
        while pending:
            yield _collect(*pending.popleft())
    finally:
        executor.shutdown(cancel_futures=True)


def _collect(context: Context, futures: list[Future[Result]]) -> tuple[Context, list[Result]]:
    return context, [future.result() for future in futures]
