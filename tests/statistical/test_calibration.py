"""The PIT of latents per dimension: chance is what it says, and what a pooled distance hides is seen."""

import numpy as np
from scipy.special import ndtr

from varjepa.evaluation.latents.pit import ks_per_column, pit_distances

PAIRS, ROWS = 48, 120


def parts(seed: int, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Validation and test PIT values [rows, PAIRS], miscalibrated in both alike.

    Dimensions of a row are strongly dependent. A row misses whole features of eight dimensions, as targets are drawn.
    The sizes of masks, which 12 rows at a time share, move all values; they are the same for both parts.
    """
    rng = np.random.default_rng([11, seed])
    common = rng.normal(size=(2 * rows, 3)) @ rng.normal(size=(3, PAIRS)) / 3**0.5
    residuals = 1.3 * common + 0.5 * rng.normal(size=common.shape) + rng.normal(size=PAIRS)
    residuals += np.tile(np.repeat(rng.normal(size=(-(-rows // 12), PAIRS)), 12, axis=0)[:rows], (2, 1))
    residuals[np.repeat(rng.random((2 * rows, PAIRS // 8)) < 0.5, 8, axis=1)] = np.nan
    values = ndtr(residuals)
    return values[:rows], values[rows:]


def test_distances_exceed_those_by_chance_in_one_of_twenty_cases() -> None:
    """100 pairs of equal parts of 120 rows (seeds 0 to 99), 48 dependent dimensions, half of the cells missing.

    The largest recalibrated distance, and the median, exceed their 95% quantile by chance in 5% of cases, a binomial
    count of mean 5. More than 16 are a false alarm for 1 in 50,000 seeds, for each of the two.
    """
    above = np.zeros(2, dtype=int)
    for seed in range(100):
        found = pit_distances(*parts(seed), seed=seed)
        median, worst = np.median(found.recalibrated), found.recalibrated.max()
        above += (worst > found.worst_by_chance, median > found.median_by_chance)
    assert (above <= 16).all()


def test_one_pooled_map_passes_where_no_dimension_is_calibrated() -> None:
    """1,000 rows a part (seed 0): the fault that a pooled distance hides, and that distances per dimension show.

    Given the seed nothing is left to chance; the bounds are far from what is found (0.01, 0.3, and the test at 95%).
    """
    validation, test = parts(0, 1000)
    known, pooled = (part[np.isfinite(part)] for part in (validation, test))
    shares = np.searchsorted(np.sort(known), pooled, side="right") / len(known)
    assert ks_per_column(shares[:, None])[0] < 0.03
    mapped = np.full_like(test, np.nan)
    mapped[np.isfinite(test)] = shares
    assert np.median(ks_per_column(mapped)) > 0.15
    found = pit_distances(validation, test, seed=0)
    assert np.median(found.trained) > 0.15
    assert found.recalibrated.max() < 1.2 * found.worst_by_chance
    assert np.median(found.recalibrated) < 0.06


def test_one_dimension_that_moves_between_the_parts_is_seen() -> None:
    """1,000 rows a part (seed 1), the values of one of 48 dimensions squared in the test part; a fixed case."""
    validation, test = parts(1, 1000)
    shifted = test.copy()
    shifted[:, 7] = shifted[:, 7] ** 2
    found = pit_distances(validation, shifted, seed=0)
    assert found.recalibrated.argmax() == 7
    assert found.recalibrated[7] > found.worst_by_chance
