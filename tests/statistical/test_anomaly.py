"""Anomaly scores are logs of p-values: normal rows and cells reach a score as often as it says, or more rarely."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from tests.unit.inference.known_table import known_table
from varjepa.inference.generator.fitting import row_scores
from varjepa.inference.generator.tails import bounded, of_rows, tail, tail_points

LEVELS = (0.5, 0.2, 0.05, 0.01)
TRIALS, REFERENCE, FRESH, FEATURES = 250, 250, 100, 14


def surprises(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Surprises of dependent cells [rows, D] with heavy tails and ties, and which of them are observed.

    A column is observed in 4% to all of the rows, and more rarely where its row is surprising.
    """
    scale = rng.uniform(0.5, 3, FEATURES)
    kept = np.append(rng.uniform(0.04, 1, FEATURES - 4), np.ones(4))
    common = rng.normal(size=(rows, 1))
    values = scale * np.exp(0.7 * common + 0.7 * rng.normal(size=(rows, FEATURES)))
    values[:, :3] = np.round(values[:, :3])  # categories: few distinct surprises
    gone = rng.random((rows, FEATURES)) > kept * np.exp(-0.3 * np.maximum(common, 0))
    return values, ~(gone & (kept < 1))


def shares(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """p-values of fresh rows, of their cells (NaN where missing), and the smallest one of each row's cells."""
    values, observed = surprises(np.random.default_rng([5, seed]), REFERENCE + FRESH)
    (reference, fresh), (known, seen) = (np.split(part, [REFERENCE]) for part in (values, observed))
    raw, cells = np.zeros(fresh.shape), np.full(fresh.shape, np.nan)
    for j in range(FEATURES):
        column = reference[known[:, j], j]
        found = tail(fresh[:, j], tail_points(column), len(column))
        raw[:, j] = found[0] + found[1]
        cells[seen[:, j], j] = np.exp(-bounded(*found))[seen[:, j]]
    rows = row_scores(reference, known)
    p_rows = np.exp(-bounded(*tail(of_rows(raw, seen), tail_points(rows), len(rows))))
    return p_rows, cells, np.nanmin(cells, axis=1)


def test_rows_and_cells_reach_a_score_as_often_as_it_says() -> None:
    """250 tables (seeds 0 to 249) of 250 reference rows and 100 fresh ones, 14 dependent columns, up to 96% missing.

    The rate of a table at a level is one draw; tables are independent. The mean rate of rows, and of the cells of each
    of the 14 columns, must not exceed the level by 4 standard errors: 60 comparisons, a false alarm for 0.2% of seeds.
    Down to 5%, rates of rows must also reach 0.8 of the level: a score that is never large would be true as well.
    """
    rows, cells, largest = ([], [], [])
    for seed in range(TRIALS):
        p_rows, p_cells, smallest = shares(seed)
        rows.append([(p_rows <= level).mean() for level in LEVELS])
        with np.errstate(invalid="ignore"):
            count = np.maximum((~np.isnan(p_cells)).sum(0), 1)
            cells.append([(p_cells <= level).sum(0) / count for level in LEVELS])
        largest.append((smallest <= 0.05).mean())
    for found in (np.array(rows)[:, :, None], np.array(cells)):
        mean, error = found.mean(0), found.std(0) / math.sqrt(TRIALS)
        assert (mean <= np.array(LEVELS)[:, None] + 4 * error).all()
    assert (np.mean(rows, axis=0) > 0.8 * np.array(LEVELS))[:3].all()
    # What the largest oddity alone would promise: 1 in 20, and many times that is what normal rows give.
    assert np.mean(largest) > 0.2


@pytest.mark.parametrize("level", [0.05, 0.01])
def test_normal_rows_of_a_table_reach_a_score_as_often_as_it_says(world: SimpleNamespace, level: float) -> None:
    """6,000 fresh rows (seed 30) against 1,500 reference rows of a table of 6 columns, by a trained generator.

    The rate varies around the level by the reference and by the fresh rows: 4 standard errors of both together, a false
    alarm for 0.03% of seeds (7 columns).
    """
    scores = world.model.anomalies(known_table(6000, 30))
    error = math.sqrt(level * (1 - level) * (1 / 1500 + 1 / 6000))
    for name in scores.columns:
        if name != "odd_columns":
            rate = float((np.exp(-scores[name].to_numpy()) <= level).mean())
            assert rate <= level + 4 * error, name
    rate = float((np.exp(-scores["anomaly"].to_numpy()) <= level).mean())
    assert rate >= level - 4 * error - 2 / 1500
