"""Work that threads do ahead of its use, batch by batch."""

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

    Batches come in order, and so do the results in a batch. What a function raises is raised
    here. The threads end with the iterator, also when it is closed early.

    Args:
        batches: something to hand through, and functions; taken `PREFETCH_BATCHES` early.
        workers: threads.
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
