"""What changes from step to step, kept on the device."""

from collections.abc import Callable, Sequence

import torch

BLOCK = 1024
"""Steps whose settings are computed and moved at a time."""


class StepSettings:
    """Numbers that follow from the number of a step, in one place on the device, where recorded steps look for them.

    Args:
        of: the numbers of a step, the same count for every step.
        device: where they are needed.

    Attributes:
        now: float32 [count], those of the step that was set last.
    """

    def __init__(self, of: Callable[[int], Sequence[float]], device: torch.device) -> None:
        self._of, self._device = of, device
        self.now = torch.tensor(of(0), device=device)
        self._first, self._block = 0, self.now[None]

    def set(self, step: int) -> None:
        """Moves on to a step; the device is not waited for."""
        if not self._first <= step < self._first + len(self._block):
            self._first = step
            self._block = torch.tensor([self._of(step + ahead) for ahead in range(BLOCK)]).to(self._device)
        self.now.copy_(self._block[step - self._first])
