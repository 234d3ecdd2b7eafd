"""Tables with a known ambiguity per row: SIM, and any table blended with noise (arXiv 2603.20111, section 4.2, C.1)."""

import numpy as np
import polars as pl

N_NUMERIC, N_CATEGORICAL, N_CLASSES, N_BINS = 28, 4, 3, 5
SEPARATION = 0.66
"""Scale of the class prototypes against unit noise. It is not published. With this value six predictors on raw features
have about the published mean accuracy, 0.87."""


def sim_table(*, rows: int = 10_000, seed: int = 0) -> pl.DataFrame:
    """Generates SIM: three Gaussian classes, blended toward each other in proportion to a known ambiguity.

    Args:
        rows: number of rows, >= 1.
        seed: of all random numbers.

    Returns:
        Columns `x0`..`x27` (numeric), `c0`..`c3` (categorical), `label` (a, b, c) and `ambiguity` in [0, 1], which is
        for evaluation and must not be a feature.
    """
    rng = np.random.default_rng([seed, 28])
    prototypes = SEPARATION * rng.standard_normal((N_CLASSES, N_NUMERIC))
    label = rng.integers(N_CLASSES, size=rows)
    other = (label + rng.integers(1, N_CLASSES, size=rows)) % N_CLASSES
    ambiguity = rng.random(rows) ** 2
    # Each row blends the prototype of its class with that of another class. [rows, 28]
    values = prototypes[label] + rng.standard_normal((rows, N_NUMERIC))
    values = _blend(values, prototypes[other], 0.5 * ambiguity[:, None])
    # Half of the columns are blended a second time.
    again = rng.permutation(N_NUMERIC)[: N_NUMERIC // 2]
    values[:, again] = _blend(values[:, again], prototypes[other][:, again], 0.5 * ambiguity[:, None])
    # The four columns that separate the classes best get extra noise on ambiguous rows.
    informative = np.argsort(prototypes.std(axis=0))[-4:]
    values[:, informative] += ambiguity[:, None] * rng.standard_normal((rows, len(informative)))
    columns = {f"x{j}": values[:, j] for j in range(N_NUMERIC)}
    for j in range(N_CATEGORICAL):
        # Categories are quantile bins of a numeric column; on ambiguous rows some are replaced at random.
        bins = _flip(_quantile_bins(values[:, j]), 0.5 * ambiguity, rng)
        columns[f"c{j}"] = np.array(list("vwxyz"))[bins]
    return pl.DataFrame(columns | {"label": np.array(list("abc"))[label], "ambiguity": ambiguity})


def blended_with_noise(frame: pl.DataFrame, *, share: float, seed: int, label: str | None) -> pl.DataFrame:
    """Blends every row with uniform noise over the range of all numeric columns, as the paper corrupts MNIST.

    Args:
        frame: rows; missing cells stay missing.
        share: row i becomes (1 - a_i) row + a_i noise, with a_i = share * u_i, u_i ~ U(0, 1).
        seed: of all random numbers.
        label: column that is not changed.

    Returns:
        The rows with a column `ambiguity`, u_i.

    Examples:
        >>> table = pl.DataFrame({"x": [0.0, 1.0], "y": [1, 0]})
        >>> blended_with_noise(table, share=0.0, seed=0, label="y")["x"].to_list()
        [0.0, 1.0]
    """
    rng = np.random.default_rng([seed, 75])
    names = [name for name, dtype in frame.schema.items() if dtype.is_numeric() and name != label]
    values = frame.select(pl.col(names).cast(pl.Float32)).to_numpy()
    ambiguity = rng.random(frame.height)
    noise = rng.uniform(np.nanmin(values), np.nanmax(values), values.shape)
    mixed = _blend(values, noise, share * ambiguity[:, None]).astype(np.float32)
    columns = {name: pl.Series(mixed[:, j], nan_to_null=True) for j, name in enumerate(names)}
    return frame.with_columns(**columns, ambiguity=pl.Series(ambiguity))


def _blend(values: np.ndarray, toward: np.ndarray, share: np.ndarray) -> np.ndarray:
    return (1 - share) * values + share * toward


def _quantile_bins(values: np.ndarray) -> np.ndarray:
    edges = np.quantile(values, np.linspace(0, 1, N_BINS + 1)[1:-1])
    return np.searchsorted(edges, values)


def _flip(bins: np.ndarray, probability: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    flipped = rng.random(len(bins)) < probability
    return np.where(flipped, rng.integers(N_BINS, size=len(bins)), bins)
