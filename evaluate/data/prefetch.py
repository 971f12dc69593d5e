"""Work that threads do ahead of its use, batch by batch."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

BATCHES_AHEAD = 2

Told = TypeVar("Told")
Result = TypeVar("Result")


def read_ahead(
    batches: Iterable[tuple[Told, Sequence[Callable[[], Result]]]], workers: int
) -> Iterator[tuple[Told, list[Result]]]:
    """Call the functions of each batch in threads, while the caller works on an earlier batch.

    Batches come in order, and so do the results in a batch. What a function raises is raised
    here. The threads end with the iterator, also when it is closed early.

    Args:
        batches: something to hand through, and functions; taken `BATCHES_AHEAD` early.
        workers: threads.
    """
    readers = ThreadPoolExecutor(workers)
    waiting: deque[tuple[Told, list[Future[Result]]]] = deque()
    try:
        for told, functions in batches:
            waiting.append((told, [readers.submit(function) for function in functions]))
            if len(waiting) > BATCHES_AHEAD:
                yield _finished(*waiting.popleft())
        while waiting:
            yield _finished(*waiting.popleft())
    finally:
        readers.shutdown(cancel_futures=True)


def _finished(told: Told, futures: list[Future[Result]]) -> tuple[Told, list[Result]]:
    return told, [future.result() for future in futures]
