"""The published figures, and ours beside them."""

import math

import pytest

from varjepa.evaluation.benchmark.published import compare, published_accuracies, published_means


def test_the_published_table_is_whole_and_compared_cell_by_cell() -> None:
    assert len(published_means()) == 10 * 2 * 5
    results = {"A": {f"{latent}/{name}": [0.5, 1.5] for _, latent, name in published_means()}}
    cells = {(cell.latent, cell.diagnostic): cell for cell in compare(results)}
    assert len(cells) == 10
    cell = cells["s_y", "mean_norm"]
    assert (cell.published, cell.ours, cell.runs) == (1.32, 1.0, 2)
    assert cell.difference == pytest.approx((1.0 - 1.32) / 0.5)
    alone = compare({"A": {name: values[:1] for name, values in results["A"].items()}})
    assert all(cell.sd is None and cell.difference is None for cell in alone)
    diverged = compare({"A": {name: [0.5, float("nan")] for name in results["A"]}})
    assert all(math.isnan(cell.ours) and cell.difference is None for cell in diverged)


def test_every_published_cell_is_there() -> None:
    found = published_accuracies()
    full = [key for key in found if key[3] == "accuracy"]
    assert len(full) == 7 * 6 * 3
    assert len(found) == 7 * 6 * (3 + 3)
