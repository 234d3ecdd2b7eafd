"""How often the choice of the head picks a worse one, on tables drawn again and again.

The heads are stand-ins that read their answers from columns of the embedding, so that a table takes milliseconds. They
answer rows that they were fitted on as they answer others, as if these had been left out.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from varjepa.config.heads import FEATURES, HEAD, ProbeSection
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.tensors.table import TableTensors
from varjepa.evaluation.arrays import Floats
from varjepa.evaluation.distributions import binomial_above
from varjepa.inference.heads.candidates import READ, Fitting
from varjepa.inference.heads.choice import choose_head
from varjepa.inference.heads.head import Head, name_of
from varjepa.inference.heads.inputs import HeadRows
from varjepa.inference.heads.labelled import HeadData, all_outputs

KEYS: list[tuple[HEAD, FEATURES]] = [(kind, features) for kind, read in READ.items() for features in read]
"""Heads that the choice is among: the two linear ones, boosted trees, the forest, networks."""

DRAWS, NEW = 100, 20_000
"""Tables per test, and new rows that show how good what ships really is."""

RATE, RISK = 0.05, 1e-4
"""Share of tables at most in which the choice goes wrong; chance at most that a test fails although it does not."""

NO_COLUMNS = Preprocessor(numeric=(), categorical=(), order=(), label=None, left_out={})


@dataclass(frozen=True)
class Reader:
    """A regressor whose answer is a column of the embedding."""

    kind: HEAD
    features: FEATURES
    column: int

    def outputs(self, rows: HeadRows) -> Tensor:
        return rows.flat[:, self.column : self.column + 1].double()

    def tensors(self) -> dict[str, Tensor]:
        return {}

    def facts(self) -> dict[str, object]:
        return {}


def rows_of(rng: np.random.Generator, count: int, losses: Floats, own: float) -> HeadData:
    """Rows, and answers whose errors have these mean squares [K]; a share of them is a head's own, the rest common."""
    labels, common, each = rng.normal(size=count), rng.normal(size=(count, 1)), rng.normal(size=(count, len(losses)))
    errors = np.sqrt(losses) * (np.sqrt(1 - own) * common + np.sqrt(own) * each)  # [N, K]
    empty = torch.zeros(count, 0)
    flat = torch.from_numpy((labels[:, None] + errors).astype(np.float32))
    return HeadData(HeadRows(flat, TableTensors(empty, empty.long(), empty.bool())), torch.from_numpy(labels))


def shipped(seed: int, losses: Floats, own: float, *, train: int, validation: int) -> tuple[Head, float]:
    """The head that is chosen on a table of so many rows, and its loss on new rows over that of the best head."""
    rng = np.random.default_rng([seed, 201])
    parts = [rows_of(rng, count, losses, own) for count in (train, validation)]
    heads = {key: Reader(*key, column) for column, key in enumerate(KEYS)}
    left_out = {name_of(head): all_outputs(head, parts[0].rows) for head in heads.values()}
    fitting = Fitting(*parts, NO_COLUMNS, 0, ProbeSection(), seed, dict(heads), left_out)
    head, new = choose_head(fitting).head, rows_of(rng, NEW, losses, own)
    chosen, best = (
        float(((all_outputs(one, new.rows)[:, 0] - new.labels.numpy()) ** 2).mean())
        for one in (head, heads[KEYS[int(losses.argmin())]])
    )
    return head, chosen / best


def rarely(wrong: list[bool]) -> bool:
    """Whether so many tables may have gone wrong at the stated rate."""
    return binomial_above(sum(wrong) - 1, len(wrong), RATE) > RISK


def test_what_ships_is_hardly_ever_one_percent_worse_than_the_best_head() -> None:
    """By the 1,200 validation rows of a table of 12,000 alone, a fifth of the tables would go wrong."""
    losses = np.array([1.015, 1.015, 1.0, 1.05, 1.05])
    found = [shipped(seed, losses, 0.02, train=7200, validation=1200)[1] for seed in range(DRAWS)]
    assert rarely([ratio > 1.01 for ratio in found])


def test_a_combination_that_is_better_is_hardly_ever_missed_on_few_rows() -> None:
    """Its members' own errors are a tenth, most of which it cancels; 100 validation rows alone would not show it."""
    heads = [shipped(seed, np.ones(len(KEYS)), 0.1, train=600, validation=100)[0] for seed in range(DRAWS)]
    assert rarely([head.kind != "stacked" for head in heads])


def test_heads_that_say_nearly_the_same_hardly_ever_replace_the_simple_ones() -> None:
    heads = [shipped(seed, np.ones(len(KEYS)), 0.001, train=7200, validation=1200)[0] for seed in range(DRAWS)]
    assert rarely([head.kind not in ("linear", "boosted") for head in heads])
