"""Initialization of worker processes."""

import multiprocessing
import os
import threading

import torch


def init_worker_process(threads: int = 1) -> None:
    """Limit torch to `threads`, and exit when the parent process ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
