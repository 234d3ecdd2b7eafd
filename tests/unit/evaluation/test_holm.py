"""Holm's correction against its definition."""

import numpy as np
import pytest

from varjepa.evaluation.holm import holm


def test_holm_keeps_order_and_is_stricter_than_no_correction() -> None:
    p = np.random.default_rng(9).random(50) ** 3
    adjusted = np.array(holm(p.tolist()))
    assert (adjusted >= p).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
    assert adjusted.min() == pytest.approx(50 * p.min())
