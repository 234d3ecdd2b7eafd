"""A model as good as the two baselines on raw columns is rarely called worse than the better one of them."""

import numpy as np
import polars as pl
from scipy.stats import binom

from varjepa.inference.probing import GROUPS, SIGNIFICANT, against_raw

DRAWS, ROWS, ACCURACY = 2000, 2000, 0.8
COMPARED = ("head", "raw", "boosted")


def drawn(rng: np.random.Generator, accuracies: tuple[float, ...]) -> tuple[pl.DataFrame, dict[str, float]]:
    """Answers of three models to the same rows, whose errors do not depend on each other, and their accuracies."""
    labels = rng.integers(0, 2, ROWS)
    columns: dict[str, np.ndarray] = {"label": labels.astype(np.float64)}
    metrics: dict[str, float] = {}
    for group, accuracy in zip(COMPARED, accuracies, strict=True):
        right = rng.random(ROWS) < accuracy
        named = np.where(right, labels, 1 - labels)
        columns |= {f"{GROUPS[group]}{number}": (named == number).astype(np.float64) for number in (0, 1)}
        metrics[f"{group}/accuracy"] = float(right.mean())
    return pl.DataFrame(columns), metrics


def test_equal_models_are_rarely_called_worse() -> None:
    """The better of two baselines on the test rows is ahead by luck; it was "beyond chance" in 8% of the draws.

    The bound is the 0.9999 quantile of the count at the stated 5%: a false alarm of this test has a chance of 1e-4.
    """
    rng = np.random.default_rng(5)
    called = sum("beyond chance" in against_raw(*drawn(rng, (ACCURACY,) * 3)) for _ in range(DRAWS))
    assert called <= binom.ppf(0.9999, DRAWS, SIGNIFICANT)


def test_a_worse_model_is_found() -> None:
    rng = np.random.default_rng(6)
    found = sum("beyond chance" in against_raw(*drawn(rng, (0.7, 0.8, 0.85))) for _ in range(50))
    assert found == 50  # a difference of 0.15 is twelve standard errors
