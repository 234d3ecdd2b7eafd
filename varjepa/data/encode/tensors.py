"""Encoded rows as tensors for the model."""

import numpy as np
import polars as pl
import torch

from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.tensors.table import MISSING, TableTensors


def to_tensors(encoded: pl.DataFrame, preprocessor: Preprocessor) -> TableTensors:
    """Turns encoded columns into tensors on the CPU.

    Args:
        encoded: result of `Preprocessor.encode`; other columns are ignored.
        preprocessor: the one that encoded them.
    """
    numeric = stacked(encoded, [f.name for f in preprocessor.numeric], np.float32)
    codes = stacked(encoded, [f.name for f in preprocessor.categorical], np.int64)
    present = ~np.isnan(numeric)  # [N, n_numeric]
    observed = np.concatenate([present, codes != MISSING], axis=1)  # [N, D]
    return TableTensors(
        torch.from_numpy(np.where(present, numeric, np.float32(0))), torch.from_numpy(codes), torch.from_numpy(observed)
    )


def stacked(encoded: pl.DataFrame, names: list[str], dtype: type[np.generic]) -> np.ndarray:
    """Columns side by side, row-major [N, len(names)]; nulls of float columns become NaN."""
    # Filled column by column: `to_numpy` of the frame would hold the cells twice.
    out = np.empty((encoded.height, len(names)), dtype=dtype)
    for position, name in enumerate(names):
        out[:, position] = encoded[name].to_numpy()
    return out
