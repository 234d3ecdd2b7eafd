"""One seeded source of randomness per epoch, handed down explicitly: no global state, so that runs can resume."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Randomness:
    """Random numbers on a device and on the host.

    Attributes:
        device: draws tensors where the model lives.
        host: draws sizes and counts, so that a GPU never has to be asked for them.
    """

    device: torch.Generator
    host: np.random.Generator

    @classmethod
    def seeded(cls, *seed: int, device: torch.device | str = "cpu") -> "Randomness":
        """Independent streams for each tuple of non-negative integers, such as (seed, epoch)."""
        sequence = np.random.SeedSequence(seed)
        generator = torch.Generator(device).manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1))
        return cls(generator, np.random.default_rng(sequence.spawn(1)[0]))

    def normal_like(self, x: Tensor) -> Tensor:
        """Standard normal numbers of the shape, type and device of `x`."""
        return torch.empty_like(x).normal_(generator=self.device)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1) on the device."""
        return torch.rand(shape, generator=self.device, device=self.device.device)
