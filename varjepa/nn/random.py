"""One seeded source of randomness per epoch, handed down explicitly: no global state, so that runs can resume."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

_global_generator = Lock()


@contextmanager
def initial_weights(seed: int) -> Iterator[None]:
    """Torch's global generator, from which layers draw their initial weights, starts at `seed`; put back afterwards.

    The generator is one for all threads of a process, so one thread at a time builds networks.
    """
    with _global_generator, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


class NormalSource(Protocol):
    """Where a reparameterised sample takes its noise from."""

    def normal_like(self, x: Tensor) -> Tensor:
        """Standard normal numbers of the shape, type and device of `x`."""


@dataclass(frozen=True)
class Randomness:
    """Random numbers on a device and on the host.

    Attributes:
        device: draws tensors where the model lives.
        host: draws sizes and counts, so that a GPU never has to be asked for them.
        share: the rows of a batch that are this process's, and how many the batch has; None where all are. What is
            drawn for a row does not depend on who draws it.
    """

    device: torch.Generator
    host: np.random.Generator
    share: tuple[slice, int] | None = None

    @classmethod
    def seeded(cls, *seed: int, device: torch.device | str = "cpu") -> "Randomness":
        """Independent streams for each tuple of non-negative integers, such as (seed, epoch)."""
        sequence = np.random.SeedSequence(seed)
        generator = torch.Generator(device).manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1))
        return cls(generator, np.random.default_rng(sequence.spawn(1)[0]))

    def state(self) -> dict[str, Any]:
        """Where both streams stand: tensors and plain data."""
        return {"device": self.device.get_state(), "host": self.host.bit_generator.state}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a `state`, in place."""
        self.device.set_state(state["device"].cpu())
        self.host.bit_generator.state = state["host"]

    def of_rows(self, rows: slice, total: int) -> "Randomness":
        """The same streams for some rows of a batch of `total`; all processes that share it must draw alike."""
        return replace(self, share=(rows, total))

    def normal_like(self, x: Tensor) -> Tensor:
        """Standard normal numbers of the shape, type and device of `x` [B, ...]."""
        if self.share is None:
            return torch.empty_like(x).normal_(generator=self.device)
        rows, total = self.share
        return x.new_empty(total, *x.shape[1:]).normal_(generator=self.device)[rows]

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
        """One random order of n things per run, int64 [R, n]."""
        return torch.stack([torch.randperm(n, generator=run.device) for run in self.runs])
