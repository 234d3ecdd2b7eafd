"""Numbers that change from step to step, kept on the device."""

from collections.abc import Callable, Sequence

import torch

BLOCK = 1024
"""Steps whose settings are computed and copied to the device at a time."""


class StepSettings:
    """Numbers that depend on the step alone, at a fixed place on the device, where recorded steps read them.

    Args:
        numbers_of: gives the numbers of a step, the same count for every step.
        device: of `now`.

    Attributes:
        now: float32 [count], the numbers of the current step.
    """

    def __init__(self, numbers_of: Callable[[int], Sequence[float]], device: torch.device) -> None:
        self._numbers_of, self._device = numbers_of, device
        self.now = torch.tensor(numbers_of(0), device=device)
        self._first, self._block = 0, self.now[None]

    def set(self, step: int) -> None:
        """Moves to a step without waiting for the device."""
        if not self._first <= step < self._first + len(self._block):
            self._first = step
            self._block = torch.tensor([self._numbers_of(step + ahead) for ahead in range(BLOCK)]).to(self._device)
        # Copied into `now` instead of replacing it: a CUDA graph keeps reading the address that it recorded.
        self.now.copy_(self._block[step - self._first])
