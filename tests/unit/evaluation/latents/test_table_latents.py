"""Diagnostics of a table's latents."""

import math

import torch

from tests.conftest import random_table, small_network
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
