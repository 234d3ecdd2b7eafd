"""Measured whole numbers are not taken for identifiers; drawn numbers with gaps are."""

import numpy as np

from varjepa.data.read.identifiers import IDENTIFIER_ROWS, numbers_identify


def verdict(values: np.ndarray) -> bool:
    return numbers_identify(
        "x", present=len(values), distinct=len(np.unique(values)), smallest=values.min(), largest=values.max()
    )


def test_measured_numbers_are_no_identifiers() -> None:
    """5,000 columns of 50 to 400 independent draws, from even to heavy-tailed, over ranges where all may differ.

    The rule's stated chance of a false alarm is one in a million per column, so one among 5,000 has a chance of 0.5%.
    Seed 0. At least a tenth of the columns never repeat, so that the rule has something to refuse.
    """
    random, alarms, distinct = np.random.default_rng(0), 0, 0
    for _ in range(5000):
        rows, span = int(random.integers(IDENTIFIER_ROWS, 400)), 10 ** random.uniform(2, 6)
        values = (random.random(rows) ** random.uniform(1, 3) * span).astype(int)
        alarms += verdict(values)
        distinct += len(np.unique(values)) == rows
    assert alarms == 0
    assert distinct > 500


def test_numbers_without_repetition_are_identifiers_as_far_as_rows_can_tell() -> None:
    """Rows of a running number, drawn at random: 1,000 tables of 300 to 3,000 rows with shares of 10% to 100%.

    With n rows of share s about n s / 2 equal pairs were expected, at least 14 wherever n s >= 30, as here. The range
    of the numbers that were drawn is never wider than that of all, so none may be missed. With 2% of copies the
    evidence is below that of n s / 2 pairs; it stays above 14 where n s >= 150. Seed 1.
    """
    random = np.random.default_rng(1)
    for _ in range(1000):
        rows, share = int(random.integers(300, 3000)), random.uniform(0.1, 1)
        numbers = random.choice(int(rows / share), rows, replace=False)
        assert verdict(numbers)
        if rows * share >= 150:
            assert verdict(np.r_[numbers, random.choice(numbers, rows // 50, replace=False)])
