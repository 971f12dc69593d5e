"""Several processes that train one network together, as `torchrun` starts them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist


def world_size() -> int:
    """How many there are; 1 without `torchrun`."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main_process() -> bool:
    """Whether this process is the one that writes and prints."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """Have this process take part, each on a GPU of its own; on the CPU they talk by gloo."""
    if world_size() == 1:
        yield
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def barrier() -> None:
    """Go on when all have come here."""
    if dist.is_initialized():
        dist.barrier()
