"""Data-parallel training: processes that share every batch and add up their gradients (gloo on CPUs, NCCL on GPUs).

The numbers drawn for a row do not depend on how many processes share the batch (see `Randomness.share`), so the loss
curve is that of one process up to rounding.
"""

import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """The processes that train together.

    Attributes:
        rank: number of this process.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process evaluates, reports and writes."""
        return self.rank == 0

    def share(self, rows: int) -> slice:
        """This process's rows of a batch; all of them where there are fewer rows than processes."""
        # No process may be left without rows: it would have no gradient to add. `weight` makes up for the repetition.
        if rows < self.size:
            return slice(0, rows)
        return slice(rows * self.rank // self.size, rows * (self.rank + 1) // self.size)

    def weight(self, rows: int) -> float:
        """Weight of a mean over `share(rows)`, so that the sum over processes is the mean over the batch."""
        share = self.share(rows)
        return (share.stop - share.start) / rows if rows >= self.size else 1 / self.size

    def sum_(self, tensor: Tensor) -> Tensor:
        """Adds up a tensor over the processes, in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def gathered(self, tensor: Tensor) -> Tensor:
        """The tensors of all processes, stacked in their order."""
        # Each process fills its own place, so a sum gathers: gloo and NCCL both have it, in place.
        stacked = tensor.new_zeros(self.size, *tensor.shape)  # [world size, ...]
        stacked[self.rank] = tensor
        return self.sum_(stacked)

    def own(self, stacked: Tensor) -> Tensor:
        """This process's part of a result of `gathered`; from another number of processes, the first gets the sum."""
        if len(stacked) == self.size:
            return stacked[self.rank].clone()
        return stacked.sum(0) if self.leads else torch.zeros_like(stacked[0])

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Adds up the gradients in one message."""
        if self.size == 1:
            return
        # All processes run the same program, so the same parameters have gradients, in the same order.
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = self.sum_(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def wait(self) -> None:
        """Waits until every process has come here."""
        if self.size > 1:
            dist.barrier()

    def broadcast(self, value: T) -> T:
        """The leading process's value, in every process."""
        if self.size == 1:
            return value
        message = [value]
        dist.broadcast_object_list(message, src=0)
        return message[0]


@contextmanager
def joined_world(device: torch.device) -> Iterator[World]:
    """The world that torchrun's environment describes; a single process without it.

    One process of several must end by `leave` afterwards; an error ends it here, with its traceback and exit code 1.

    Args:
        device: of this process; GPUs communicate over NCCL, everything else over gloo.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World()
        return
    # With GPUs both backends: their tensors go over NCCL, tensors of the host over gloo.
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield World(dist.get_rank(), dist.get_world_size())
    except BaseException:  # noqa: BLE001 (printed, and the process ends with it)
        traceback.print_exc()
        leave(1)
    # All leave together: a process that still waits for one that has ended may abort. After an error none waits here.
    dist.barrier()


def leave(code: int = 0) -> NoReturn:
    """Ends a process of a world at once, after its work is done; the group of processes is not destroyed before.

    While gloo is taken down, now and then one of its threads aborts the process, or the process waits for ever (one of
    about 100 pairs of processes on a busy machine).
    """
    # os._exit flushes nothing.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def local_device(device: torch.device) -> torch.device:
    """The GPU of this process among those of its machine; other devices as they are."""
    if device.type == "cuda" and device.index is None and "LOCAL_RANK" in os.environ:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device
