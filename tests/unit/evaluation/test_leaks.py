"""Columns that predict the label alone are named, others are not."""

import numpy as np
import pytest

from varjepa.evaluation.leaks import leaks


def table(rows: int, seed: int, *, rare: float = 0.3) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    label = (rng.random(rows) < rare).astype(float)
    wrong = rng.random(rows) < 0.005
    return {
        "the same": label, "nearly": np.where(wrong, 1 - label, label), "other words": 7 - 3 * label,
        "number": label * 10 + rng.random(rows), "between": np.abs(rng.normal(size=rows)) * (1 - 2 * label),
        "gap": np.where(label == 1, np.nan, rng.random(rows)), "strong": label + rng.normal(0, 0.4, rows),
        "noise": rng.normal(size=rows), "key": rng.permutation(rows).astype(float),
        "category": rng.integers(9, size=rows) * 1.0, "empty": np.full(rows, np.nan),
    }, label  # fmt: skip


@pytest.mark.parametrize("rare", [0.5, 0.05])
def test_what_is_the_label_in_other_words_is_named(rare: float) -> None:
    (train, label), (held, held_label) = table(4000, 0, rare=rare), table(1000, 1, rare=rare)
    found = leaks(train, held, (label, held_label), classes=2)
    named = {"the same", "other words", "number", "between", "gap"}
    assert named <= found.keys() <= named | {"nearly"}
    assert all(share > 0.95 for name, share in found.items() if name != "nearly")


def test_a_number_that_gives_the_label_away_is_named() -> None:
    rng = np.random.default_rng(0)
    age, noise, label = (rng.normal(size=3000) for _ in range(3))
    columns = {"twice": 2 * label, "cube": label**3, "half": label + age, "noise": noise}
    train, held = (
        {name: values[rows] for name, values in columns.items()} for rows in (slice(2000), slice(2000, None))
    )
    found = leaks(train, held, (label[:2000], label[2000:]), classes=0)
    assert found.keys() == {"twice", "cube"}


def test_noise_is_never_named() -> None:
    """200 columns of noise on small tables of three classes: with unseen rows, none comes near the bound."""
    rng = np.random.default_rng(0)
    for _ in range(10):
        label, held = rng.integers(3, size=60) * 1.0, rng.integers(3, size=20) * 1.0
        columns = {str(k): rng.normal(size=80) for k in range(20)}
        train, others = (
            {name: values[rows] for name, values in columns.items()} for rows in (slice(60), slice(60, 80))
        )
        assert not leaks(train, others, (label, held), classes=3)
    assert not leaks({"a": np.arange(10.0)}, {"a": np.arange(10.0)}, (np.arange(10) % 2.0,) * 2, classes=2)
