"""Equal models tie as often as stated."""

import numpy as np

from varjepa.evaluation.uncertainty.paired_bootstrap import paired_bootstrap


def test_equal_models_tie_about_as_often_as_stated() -> None:
    rng = np.random.default_rng(2)
    pairs = [rng.random((2, 1, 300)) < 0.8 for _ in range(400)]
    ties = sum(paired_bootstrap(a, b, higher_is_better=True, level=0.9, resamples=500).outcome == "tie"
               for a, b in pairs)  # fmt: skip
    # 4 standard errors of 400 draws at 0.9 are 0.06.
    assert abs(ties / 400 - 0.9) < 0.06
