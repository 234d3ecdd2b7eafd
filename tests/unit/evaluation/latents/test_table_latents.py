"""Diagnostics of a table's latents."""

import math

import pytest
import torch

from tests.small_networks import random_table, small_network
from varjepa.data.tensors.table import TableSizes
from varjepa.evaluation.latents.aggregate import sampling_floors
from varjepa.evaluation.latents.table_latents import table_diagnostics
from varjepa.nn.random import Randomness


def test_latents_of_a_table_are_measured_where_they_are_observed() -> None:
    network, table = small_network(), random_table(300, missing=0.3)
    found = table_diagnostics(network, table, Randomness.seeded(0))
    assert set(found) == {
        f"{latent}_{name}{floor}"
        for latent in ("s_x", "z")
        for name in sampling_floors(1, 1)
        for floor in ("", "_floor")
    }
    assert all(math.isfinite(value) for value in found.values())
    # A feature that is never observed has no latent; whatever stands in its cells changes nothing.
    hidden = table._replace(observed=table.observed.index_fill(1, torch.tensor([0]), value=False))
    other = hidden._replace(numeric=hidden.numeric.index_fill(1, torch.tensor([0]), 7.0))
    again = [table_diagnostics(network, part, Randomness.seeded(0)) for part in (hidden, other)]
    assert again[0] == again[1]
    assert table_diagnostics(network, table.rows(slice(0, 10)), Randomness.seeded(0)) == {}


def test_of_many_features_some_are_looked_at_and_their_mean_is_that_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = TableSizes(147, [4, 6, 3])
    network, table = small_network(sizes=sizes), random_table(200, missing=0.0, sizes=sizes)
    some = table_diagnostics(network, table, Randomness.seeded(0))
    # All of them, in parts of a few rows.
    monkeypatch.setattr("varjepa.evaluation.latents.table_latents.MOST_FEATURES", 150)
    monkeypatch.setattr("varjepa.evaluation.latents.table_latents.BATCH_CELLS", 150 * 30)
    every = table_diagnostics(network, table, Randomness.seeded(0))
    for name in ("s_x_cov_frobenius", "s_x_rankme"):
        assert some[name] == pytest.approx(every[name], rel=0.05)
        assert some[name] != every[name]
