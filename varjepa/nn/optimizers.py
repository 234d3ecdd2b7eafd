"""Optimizers of torch that do not import its compiler, which takes a second of every process that trains."""

from inspect import unwrap
from typing import TypeVar

import torch

_O = TypeVar("_O", bound=torch.optim.Optimizer)

COMPILED_AROUND = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
"""Methods that torch wraps so that `torch.compile` leaves them out; the first call imports `torch._dynamo`."""


def outside_the_compiler(kind: type[_O]) -> type[_O]:
    """A class whose methods are called themselves: nothing that we compile calls an optimizer."""
    for name in COMPILED_AROUND:
        setattr(kind, name, unwrap(getattr(kind, name)))
    # The wrapper around `step` also turns gradients off.
    kind.step = torch.no_grad()(unwrap(kind.step))  # type: ignore[method-assign]  # of our own subclass
    return kind


@outside_the_compiler
class AdamW(torch.optim.AdamW):
    """AdamW as torch computes it, with the same arguments, numbers and checkpoints."""


@outside_the_compiler
class LBFGS(torch.optim.LBFGS):
    """L-BFGS as torch computes it, with the same arguments and numbers."""
