"""Initialization of worker processes."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

import torch

WORKER_MASK = {signal.SIGINT}
"""Signals that are blocked while a worker is started, and so in it: they interrupt the main process alone."""

if sys.platform == "linux":
    WORKER_MASK |= {signal.SIGTERM, signal.SIGHUP}


@contextmanager
def signals_blocked(signals: Collection[signal.Signals] = WORKER_MASK) -> Iterator[None]:
    """Start processes inside in which these signals are blocked."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def start_resource_tracker() -> None:
    """Start multiprocessing's helper process; itself it ignores SIGINT and SIGTERM, but not SIGHUP.

    Once it has died, multiprocessing prints a warning. It ends with the last process of the command.
    """
    with signals_blocked({signal.SIGHUP}):
        resource_tracker.ensure_running()


def init_worker_process(threads: int = 1) -> None:
    """Limit torch to `threads`; a worker process exits when its parent ends or terminates it."""
    if multiprocessing.parent_process() is not None:
        threading.Thread(target=_end_with_parent, daemon=True).start()
        # Without the mask, as in a process of the user's own, SIGTERM has its usual effect.
        if sys.platform == "linux" and signal.pthread_sigmask(signal.SIG_BLOCK, ()) >= WORKER_MASK:
            threading.Thread(target=_end_by_parent, daemon=True).start()
    torch.set_num_threads(threads)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _end_by_parent() -> None:
    """Exit by SIGTERM of the parent; others send it to the whole process group, which the parent handles."""
    if sys.platform == "linux":
        waited_for = WORKER_MASK - {signal.SIGINT}
        while signal.sigwaitinfo(waited_for).si_pid != os.getppid():
            pass
        os._exit(128 + signal.SIGTERM)
