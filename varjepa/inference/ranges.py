"""Conditions on numbers that were read from files."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from varjepa.errors import ModelError

ROUNDING = 1e-4


def require(sound: bool, fault: str) -> None:  # noqa: FBT001 (an assertion)
    """Checks a condition.

    Raises:
        ValueError: it does not hold; the message names the fault.
    """
    if not sound:
        raise ValueError(fault)


def require_numbers(values: Tensor, what: str) -> Tensor:
    """The values that a network has computed, if they are numbers: weights may be finite and yet too large.

    Raises:
        ModelError: some are not.
    """
    # One sum is far quicker than to look at every value, and not a number if any of them is none.
    if values.is_floating_point() and bool(values.sum().isnan()):
        raise ModelError(f"The model computes {what} that are no numbers.", fix="Its weights are damaged: retrain it.")
    return values


def rises(values: Sequence[float]) -> bool:
    """Whether every number is above the one before."""
    return all(low < high for low, high in pairwise(values))


def ordered(values: Sequence[float]) -> bool:
    """Whether no number is below the one before."""
    return all(low <= high for low, high in pairwise(values))


def is_share(value: float) -> bool:
    """Whether a number is a share of something, up to rounding of a sum of 32-bit floats."""
    return -ROUNDING <= value <= 1 + ROUNDING
