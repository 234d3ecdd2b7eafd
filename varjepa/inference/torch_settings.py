"""Settings of torch that a program has changed for itself, and that a model must not notice."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch


@contextmanager
def torch_as_usual(*, gradients: bool = False) -> Iterator[None]:
    """A context in which torch makes numbers of 32 bits, whatever its default type is outside.

    Args:
        gradients: record them, also where they were turned off.
    """
    before = torch.get_default_dtype()
    if before != torch.float32:  # of the whole process: touched only where it must be
        torch.set_default_dtype(torch.float32)
    try:
        with (
            torch.inference_mode(mode=False) if gradients else nullcontext(),
            torch.set_grad_enabled(gradients or torch.is_grad_enabled()),
        ):
            yield
    finally:
        if before != torch.float32:
            torch.set_default_dtype(before)
