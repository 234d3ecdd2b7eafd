"""One seeded source of randomness per epoch, passed explicitly: no global state, so that runs can resume."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from threading import Lock
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T")

_global_generator = Lock()


@contextmanager
def initial_weights(seed: int) -> Iterator[None]:
    """Seeds torch's global generator, from which layers draw their initial weights, and restores it afterwards.

    All threads of a process share this generator, so one thread at a time builds networks.
    """
    # devices=[]: only the CPU's generator is saved and restored; networks are built there and moved.
    with _global_generator, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


class NormalSource(Protocol):
    """Source of the noise of a reparameterised sample."""

    def normal_like(self, x: Tensor) -> Tensor:
        """Standard normal numbers of the shape, type and device of `x`."""


class BatchDraws:
    """What is drawn for a whole batch, once, for all of its parts that this process computes.

    Every part asks for the same draws in the same order, in whatever order the parts are computed; threads may compute
    several at a time. A draw is kept until each part has taken it.

    Args:
        parts: of the batch.
    """

    def __init__(self, parts: int) -> None:
        self._parts, self._lock = parts, Lock()
        self._kept: dict[int, Any] = {}  # number of a draw -> it
        self._taken: list[int] = []  # of each draw so far, the parts that have it

    def take(self, number: int, draw: Callable[[], T]) -> T:
        """Draw of this number, by `draw` if this part is the first to ask."""
        with self._lock:
            if number == len(self._taken):
                self._kept[number] = draw()
                self._taken.append(0)
            self._taken[number] += 1
            last = self._taken[number] == self._parts
            drawn: T = self._kept.pop(number) if last else self._kept[number]
            return drawn


@dataclass(frozen=True)
class Share:
    """The part of a batch that some numbers are drawn for.

    Attributes:
        rows: of the batch.
        total: rows that the batch has.
        draws: of the whole batch.
        numbers: of the draws of this part, from 0.
    """

    rows: slice
    total: int
    draws: BatchDraws
    numbers: Iterator[int] = field(default_factory=count)

    def drawn(self, draw: Callable[[], T]) -> T:
        """The next draw for the whole batch: the stream advances alike in every process that shares it."""
        return self.draws.take(next(self.numbers), draw)


@dataclass(frozen=True)
class Randomness:
    """Random numbers on a device and on the host.

    Attributes:
        device: draws tensors where the model lives.
        host: draws sizes and counts, which the host can then use without waiting for a GPU.
        share: the rows of a batch that numbers are for; None for all. Numbers drawn for a row do not depend on the part
            of the batch that it is in, or the process that computes it.
    """

    device: torch.Generator
    host: np.random.Generator
    share: Share | None = None

    @classmethod
    def seeded(cls, *seed: int, device: torch.device | str = "cpu") -> "Randomness":
        """Independent streams for each tuple of non-negative integers, such as (seed, epoch)."""
        sequence = np.random.SeedSequence(seed)
        # The shift leaves 63 bits: what fits a signed integer is a valid seed on every device.
        generator = torch.Generator(device).manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1))
        # A spawned child, so that the host's stream is independent of the device's.
        return cls(generator, np.random.default_rng(sequence.spawn(1)[0]))

    def state(self) -> dict[str, Any]:
        """State of both streams: tensors and plain data."""
        return {"device": self.device.get_state(), "host": self.host.bit_generator.state}

    def restore(self, state: dict[str, Any]) -> None:
        """Continues from a `state`, in place."""
        self.device.set_state(state["device"].cpu())  # states lie on the CPU, but a checkpoint may load onto a GPU
        self.host.bit_generator.state = state["host"]

    def of_parts(self, parts: Sequence[slice], total: int) -> "list[Randomness]":
        """The same streams for parts of a batch of `total` rows; all processes that share it must draw alike.

        They go on behind the numbers of the batch once all parts are computed.
        """
        draws = BatchDraws(len(parts))
        return [replace(self, share=Share(rows, total, draws)) for rows in parts]

    def normal_like(self, x: Tensor) -> Tensor:
        """Standard normal numbers of the shape, type and device of `x` [B, ...]."""
        if self.share is None:
            return torch.empty_like(x).normal_(generator=self.device)
        shape = (self.share.total, *x.shape[1:])
        return self.share.drawn(lambda: x.new_empty(shape).normal_(generator=self.device))[self.share.rows]

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1) on the device."""
        return torch.rand(shape, generator=self.device, device=self.device.device)


@dataclass(frozen=True)
class StackedRandomness:
    """One `Randomness` per run of a stack: what run r draws does not depend on the runs beside it.

    Attributes:
        runs: R independent streams.
    """

    runs: tuple[Randomness, ...]

    @classmethod
    def seeded(cls, seeds: Sequence[int], *more: int) -> "StackedRandomness":
        """Streams (seed, *more) of every seed."""
        return cls(tuple(Randomness.seeded(seed, *more) for seed in seeds))

    def normal_like(self, x: Tensor) -> Tensor:
        """Standard normal numbers of the shape and type of `x` [R, ...]."""
        return torch.stack([run.normal_like(part) for run, part in zip(self.runs, x, strict=True)])

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1), [R, *shape]."""
        return torch.stack([run.uniform(*shape) for run in self.runs])

    def orders(self, n: int) -> Tensor:
        """One random order of 0 to n - 1 per run, int64 [R, n]."""
        return torch.stack([torch.randperm(n, generator=run.device) for run in self.runs])
