"""How often the interval over draws of labels and test rows holds the truth."""

import numpy as np

from varjepa.evaluation.label_curves import mean_difference

STUDIES = 1500


def test_intervals_hold_the_mean_in_95_of_100_studies() -> None:
    """Five draws, 300 rows, effects of both and noise. 1,500 studies: the coverage is known to 0.6 points."""
    rng = np.random.default_rng(0)
    for draw_sd, row_sd in ((0.02, 0.02), (0.0, 0.3), (0.05, 0.3), (0.002, 0.05)):
        held = 0
        for _ in range(STUDIES):
            draws, rows = rng.normal(0, draw_sd, (5, 1)), rng.normal(0, row_sd, (1, 300))
            low, high = mean_difference(0.1 + draws + rows + rng.normal(0, 0.1, (5, 300)))[1:3]
            held += low <= 0.1 <= high
        # Conservative where draws differ little, as the noise of a row counts in both parts.
        assert 0.94 <= held / STUDIES <= 0.995, (draw_sd, row_sd, held / STUDIES)
