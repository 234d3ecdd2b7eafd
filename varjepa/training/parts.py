"""A batch in parts: as many rows at a time as memory allows, and the rows of each thread."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from varjepa.data.tensors.table import TableTensors
from varjepa.models.masks import Masks
from varjepa.nn.random import Randomness
from varjepa.side_by_side import parts_at_once, side_by_side
from varjepa.training.activations import split_evenly

T = TypeVar("T")
R = TypeVar("R")

Gradients = Sequence[Tensor | None]
"""One per trained parameter; None where the result does not depend on it."""


class Part(NamedTuple):
    """Some rows of a batch.

    Attributes:
        table: their cells.
        masks: of these rows.
        random: draws for these rows what it would draw for them in the whole batch.
        weight: of a mean over these rows, so that the sum over parts and processes is the mean over the batch.
    """

    table: TableTensors
    masks: Masks
    random: Randomness
    weight: float


def parts_of(table: TableTensors, masks: Masks, random: Randomness, rows: Sequence[slice], weight: float) -> list[Part]:
    """Parts of a batch that has `masks`; `random` goes on behind the numbers of the batch once all are computed.

    Args:
        table: the whole batch.
        masks: of the whole batch.
        random: of the batch.
        rows: of each part; together those of this process.
        weight: of a mean over `rows`.
    """
    if list(rows) == [slice(0, table.n_rows)]:
        return [Part(table, masks, random, weight)]
    own = rows[-1].stop - rows[0].start
    return [
        Part(table.rows(part), masks.rows(part), drawing, weight * ((part.stop - part.start) / own))
        for part, drawing in zip(rows, random.of_parts(rows, table.n_rows), strict=True)
    ]


class Division(NamedTuple):
    """How to divide rows.

    Attributes:
        rows: of each part, in order.
        at_once: parts computed at a time.
    """

    rows: list[slice]
    at_once: int

    @classmethod
    def of(cls, rows: slice, numbers_per_row: int, most: int, device: torch.device) -> "Division":
        """Divides rows among threads and by memory.

        Args:
            rows: at least one.
            numbers_per_row: numbers in the tokens of a row.
            most: rows that memory holds at a time, at least 1.
            device: of the rows.
        """
        count = rows.stop - rows.start
        at_once = min(parts_at_once(count * numbers_per_row, device), most)
        return cls(list(split_evenly(rows, min(most // at_once, -(-count // at_once)))), at_once)

    def compute(self, compute: Callable[[T], R], parts: Sequence[T]) -> Iterator[R]:
        """Results of the parts, in order."""
        for first in range(0, len(parts), self.at_once):
            yield from side_by_side(compute, parts[first : first + self.at_once])


def trained(network: nn.Module) -> list[nn.Parameter]:
    """Parameters that learn by gradients; a moving average does not."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def gradients_of(loss: Tensor, network: nn.Module) -> Gradients:
    """Gradients of a scalar, one per `trained` parameter. The parameters keep theirs, so threads can share them."""
    return torch.autograd.grad(loss, trained(network), allow_unused=True)


def add_gradients(network: nn.Module, gradients: Gradients) -> None:
    """Adds the result of `gradients_of` to the gradients that lie in the parameters."""
    for parameter, gradient in zip(trained(network), gradients, strict=True):
        if gradient is None:
            continue
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)  # in the parameter's own layout, whatever that of the gradient
        parameter.grad += gradient
