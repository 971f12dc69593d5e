"""Initialization of worker processes."""

import multiprocessing
import os
import signal
import sys
import threading

import torch

WORKER_MASK = {signal.SIGINT}
"""Signals that are blocked while a worker is started, and so in it: they interrupt the main process alone."""

if sys.platform == "linux":
    WORKER_MASK |= {signal.SIGTERM, signal.SIGHUP}


def init_worker_process(threads: int = 1) -> None:
    """Limit torch to `threads`, and exit when the parent process ends or terminates this one."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if sys.platform == "linux":
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
