"""Why this row: contributions of columns to the prediction and to the uncertainty, by hiding cells.

The model knows missing cells, so a column is taken away by hiding it; heads that read raw cells get what the network
expects in their place (see `varjepa.inference.hidden_cells`). Columns are hidden one after the other in some
orders; a column's contribution is the change that showing it makes, on average over orders: Shapley values by sampling
(Castro, Gomez, Tejada 2009), each order with its reverse. Contributions of a row add up to its value minus the value of
a row of which nothing is known. Orders are the same for all rows, so a row's reasons do not depend on the rows beside
it.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from varjepa.amounts import counted
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.tensors.table import TableTensors
from varjepa.evaluation.arrays import Floats
from varjepa.visible import html_table

ORDERS, STEPS = 6, 24
"""Orders of columns, half of them reverses, and steps in which an order shows its columns: of more columns, several are
shown at once and share their gain."""

ROUNDING = 1e-9
"""Contributions below this share of the numbers that they add up to are errors of rounding, not reasons."""

SHOWN = 5
"""Columns of a row that are named, those of the largest contributions first."""


class Outcome(NamedTuple):
    """What a model says of rows.

    Attributes:
        answers: probabilities [N, C] or values [N, 1]; None without a label.
        uncertainty: [N]; None where the model has none.
    """

    answers: Tensor | None
    uncertainty: Tensor | None

    def split(self, count: int) -> Iterator["Outcome"]:
        """The outcomes of so many equal parts of the rows, in their order."""
        parts = ([None] * count if part is None else part.chunk(count) for part in self)
        yield from (Outcome(*each) for each in zip(*parts, strict=True))


@dataclass(frozen=True)
class Contributions:
    """Contributions to one number per row.

    Attributes:
        base: of a row of which nothing is known, [N].
        value: of the row, [N].
        parts: of each column [N, P]; they add up to `value - base`.
    """

    base: Floats
    value: Floats
    parts: Floats


@dataclass(frozen=True, repr=False)
class Reasons:
    """Reasons of rows.

    Attributes:
        columns: of the table [P].
        prediction: of the probability of the predicted class, or of the value; None without a label.
        uncertainty: of the uncertainty that ships; None where the model has none.
    """

    columns: list[str]
    prediction: Contributions | None
    uncertainty: Contributions | None

    def __repr__(self) -> str:
        """A short line: the arrays of all rows would fill screens."""
        given = next((part for part in (self.prediction, self.uncertainty) if part is not None), None)
        rows = 0 if given is None else len(given.parts)
        return f"Reasons({counted(rows, 'row')}, {counted(len(self.columns), 'column')})"

    def _repr_html_(self) -> str:
        """The columns that matter most for each row, in a notebook."""
        kind = "prediction" if self.prediction is not None else "uncertainty"
        lines = [(row, ", ".join(f"{part['column']} {part[kind]:+.3g}" for part in parts))
                 for row, parts in enumerate(self.top())]  # fmt: skip
        return html_table(f"What columns add to the {kind}", lines, ("row", "column and contribution, largest first"))

    def top(self, count: int = SHOWN) -> pl.Series:
        """The columns that matter most for each row, as a list of `column`, `prediction` and `uncertainty`."""
        kinds = {"prediction": self.prediction, "uncertainty": self.uncertainty}
        fields = {"column": pl.String} | {name: pl.Float64 for name, part in kinds.items() if part is not None}
        parts = {name: part.parts for name, part in kinds.items() if part is not None}
        if not parts:
            return pl.Series("reasons", [], dtype=pl.List(pl.Struct(fields)))
        # By what people ask for first; ties keep the order of the table.
        order = np.argsort(-np.abs(next(iter(parts.values()))), axis=1, kind="stable")[:, :count]
        rows = [
            [{"column": self.columns[j]} | {name: float(values[n, j]) for name, values in parts.items()} for j in picks]
            for n, picks in enumerate(order)
        ]
        return pl.Series("reasons", rows, dtype=pl.List(pl.Struct(fields)))


def column_groups(preprocessor: Preprocessor) -> dict[str, list[int]]:
    """Columns of the table, and the features that are made from each; one-hot columns that were joined are one."""
    groups: dict[str, list[int]] = {}
    for number, name in enumerate(preprocessor.names):
        groups.setdefault(preprocessor.sources.get(name, name), []).append(number)
    return groups


def evaluations(columns: int) -> int:
    """How many times the model looks at each row.

    Examples:
        >>> evaluations(1), evaluations(14), evaluations(784)
        (2, 80, 140)
    """
    return ORDERS * (min(columns, STEPS) - 1) + 2


def explained(
    outcomes: Callable[[TableTensors, Sequence[Collection[int]]], Iterable[Outcome]],
    table: TableTensors,
    groups: dict[str, list[int]],
    *,
    seed: int = 0,
) -> Reasons:
    """Reasons of rows.

    Args:
        outcomes: of rows without some features, by a model, for every choice of features in turn.
        table: the rows.
        groups: features of each column; see `column_groups`.
        seed: of the orders.
    """
    features, drawn = list(groups.values()), orders(len(groups), seed)
    hidden = [_hidden(order, place, features) for order in drawn for place in range(len(order) - 1)]
    said = iter(outcomes(table, [(), range(table.observed.shape[1]), *hidden]))
    whole, nothing = next(said), next(said)
    chosen = None if whole.answers is None else whole.answers.argmax(1)

    def numbers(said: Outcome) -> list[NDArray[np.float64] | None]:
        answer = None if said.answers is None or chosen is None else said.answers.gather(1, chosen[:, None])[:, 0]
        return [None if part is None else part.double().cpu().numpy() for part in (answer, said.uncertainty)]

    ends = numbers(nothing), numbers(whole)
    totals = [np.zeros((table.n_rows, len(features))) for _ in range(2)]
    for order in drawn:
        before = ends[0]
        for place, shown in enumerate(order):
            after = numbers(next(said)) if place + 1 < len(order) else ends[1]
            for total, old, new in zip(totals, before, after, strict=True):
                if old is not None and new is not None:
                    total[:, shown] += ((new - old) / (len(shown) * ORDERS))[:, None]
            before = after
    found = [
        None if base is None or value is None else Contributions(base, value, _without_rounding(base, value, total))
        for base, value, total in zip(*ends, totals, strict=True)
    ]
    return Reasons(list(groups), *found)


def _without_rounding(base: Floats, value: Floats, parts: Floats) -> Floats:
    """Contributions [N, P] that are zero where only rounding keeps them from it: of a constant, every column's is."""
    scale = np.maximum(np.abs(base), np.abs(value))
    return np.where(np.abs(parts) < ROUNDING * scale[:, None], 0.0, parts)


def _hidden(order: Sequence[NDArray[np.int64]], place: int, features: Sequence[list[int]]) -> list[int]:
    """Features that are still hidden after a step of an order."""
    return [feature for later in order[place + 1 :] for column in later for feature in features[column]]


def orders(columns: int, seed: int) -> list[list[NDArray[np.int64]]]:
    """Orders in which columns are shown, in at most `STEPS` steps; every second one reverses the one before."""
    random = np.random.default_rng([seed, 43])
    drawn = [np.array_split(random.permutation(columns), min(columns, STEPS)) for _ in range(ORDERS // 2)]
    return [order for steps in drawn for order in (steps, steps[::-1])]


def mean_sizes(contributions: Contributions) -> Floats:
    """Mean size of each column's contributions over rows [P], for a table as a whole."""
    return np.abs(contributions.parts).mean(0)


def joined(pieces: Sequence[Reasons]) -> Reasons:
    """Reasons of pieces of a table as those of the table."""

    def together(parts: list[Contributions | None]) -> Contributions | None:
        there = [part for part in parts if part is not None]
        if not there:
            return None
        return Contributions(*(np.concatenate([getattr(part, name) for part in there])
                               for name in ("base", "value", "parts")))  # fmt: skip

    prediction, uncertainty = (together([getattr(piece, name) for piece in pieces])
                               for name in ("prediction", "uncertainty"))  # fmt: skip
    return Reasons(pieces[0].columns, prediction, uncertainty)


def to_tensor(values: pl.Series) -> Tensor:
    """Numbers of a column as a tensor."""
    return torch.from_numpy(values.to_numpy().astype(np.float64))
