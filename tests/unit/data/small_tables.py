"""A small table to add columns to, and its preprocessor."""

import numpy as np
import polars as pl

from varjepa.config import DataSection, PreprocessSection
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.fit.preprocessor_fit import fit

N = 200


def frame(**columns: object) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    base = {"number": rng.normal(size=N), "text": rng.choice(["a", "b", "c"], N)}
    return pl.DataFrame(base | columns)


def fitted(table: pl.DataFrame, data: DataSection | None = None, **settings: object) -> Preprocessor:
    return fit(table.lazy(), data or DataSection(name="sim"), PreprocessSection(**settings))
