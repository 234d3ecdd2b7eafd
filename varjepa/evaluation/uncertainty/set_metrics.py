"""How good prediction sets are: coverage of all rows, of classes and of sizes."""

from collections.abc import Mapping, Sequence

import numpy as np

from varjepa.evaluation.arrays import Bools, Floats, Ints

STRATUM_ROWS = 50
"""Sets of a size are a stratum of their own from this many rows on: a smaller one would be judged by chance."""


def covered(sets: Bools, labels: Ints) -> Bools:
    """Whether each row's set holds its class [N]; never for a class that training has not seen.

    Args:
        sets: whether they hold each class [N, C].
        labels: class numbers [N]; C for a class that training has not seen.
    """
    known = labels < sets.shape[1]
    return known & sets[np.arange(len(labels)), np.where(known, labels, 0)]


def set_metrics(sets: Bools, labels: Ints) -> dict[str, float]:
    """Coverage, mean size and size-stratified coverage (sscs) of sets [N, C]."""
    right, sizes = covered(sets, labels), sets.sum(1)
    coverage, size = float(right.mean()), float(sizes.mean())
    return {"coverage": coverage, "size": size, "sscs": size_stratified_coverage(sizes, right)}


def size_stratified_coverage(sizes: Ints, right: Bools) -> float:
    """The size-stratified coverage score: the smallest coverage of the strata of equal set size; larger is better.

    As in MAPIE's score, which the paper reports at a level of 0.9, but a size of fewer than `STRATUM_ROWS` rows is
    joined with the next larger one, and the last one with the one before.

    Args:
        sizes: classes in each row's set [N], at least one row.
        right: whether the set holds the class [N].

    References:
        Angelopoulos et al. 2021, "Uncertainty sets for image classifiers using conformal prediction"; arXiv 2605.28554.

    Examples:
        >>> right = np.repeat([True, False, True], [90, 10, 100])
        >>> size_stratified_coverage(np.repeat([1, 2], 100), right)
        0.9
    """
    counts = np.bincount(sizes)
    hits = np.bincount(sizes, right.astype(np.float64))
    strata: list[tuple[float, float]] = []
    rows, kept = 0.0, 0.0
    for count, hit in zip(counts, hits, strict=True):
        rows, kept = rows + count, kept + hit
        if rows >= STRATUM_ROWS:
            strata.append((rows, kept))
            rows, kept = 0.0, 0.0
    if rows and strata:
        last = strata.pop()
        rows, kept = rows + last[0], kept + last[1]
    if rows:
        strata.append((rows, kept))
    return float(min(kept / rows for rows, kept in strata))


def group_coverage(right: Bools, groups: Mapping[str, Bools]) -> dict[str, dict[str, float]]:
    """Rows and coverage of groups of rows; groups without rows are left out.

    Args:
        right: whether each row is covered [N].
        groups: name -> which rows belong to it [N].
    """
    return {
        name: {"rows": float(rows.sum()), "coverage": float(right[rows].mean())}
        for name, rows in groups.items()
        if rows.any()
    }


def class_groups(labels: Ints, classes: Sequence[str]) -> dict[str, Bools]:
    """The rows of each class [N], by its name."""
    return {name: labels == number for number, name in enumerate(classes)}


def mean_over(values: Sequence[Mapping[str, float]]) -> dict[str, Floats]:
    """The values of each metric over repeated measurements [R]."""
    return {name: np.array([each[name] for each in values]) for name in values[0]}
