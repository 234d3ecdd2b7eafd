"""Rows that share what is hashed are a cluster: in the encoded rows, their samples, and raw rows."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from varjepa.config import DataSection, PreprocessSection, SplitSection
from varjepa.data.encode.encoded import Part, read_part, read_sample
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.data.read.clusters import row_clusters
from varjepa.data.read.sources import ROW
from varjepa.tasks.retrain.preprocess import divide, learn, write_encoded

N = 600
BY_CUSTOMER = SplitSection(by="hash", column="customer")


def table() -> pl.DataFrame:
    """Rows of 100 customers; every tenth row is of no customer."""
    random = np.random.default_rng(0)
    customers = pl.Series("customer", random.integers(100, size=N)).scatter(range(0, N, 10), None)
    return pl.DataFrame({ROW: np.arange(N), "size": random.normal(size=N), "customer": customers,
                         "label": random.integers(2, size=N)})  # fmt: skip


def encoded(folder: Path, split: SplitSection, *, labelled: bool = False) -> Part:
    """All rows, out of the encoded file."""
    data = DataSection(path="t", label="label", split=split)
    table().write_parquet(folder / "clean.parquet")
    marked, _ = divide(folder / "clean.parquet", data.split, folder)
    preprocessor, parts = learn(marked, data, PreprocessSection(), ()), ("train", "validation", "calibration", "test")
    write_encoded(marked, preprocessor, folder / "encoded.parquet")
    whole = read_part(folder / "encoded.parquet", preprocessor, *parts)
    sample = read_sample(folder / "encoded.parquet", preprocessor, *parts, most=200, seed=1, learnable=labelled)
    picks = torch.tensor(sample.rows)
    if whole.clusters is not None and sample.clusters is not None:
        assert sample.clusters.tolist() == whole.take(picks).clusters.tolist()
    return whole


def test_rows_of_a_customer_are_a_cluster_and_a_row_of_none_is_its_own(tmp_path: Path) -> None:
    part = encoded(tmp_path, BY_CUSTOMER, labelled=True)
    assert part.clusters is not None
    assert part.clusters.dtype == np.uint64
    rows = table().with_columns(cluster=pl.Series(part.clusters))
    known = rows.filter(pl.col("customer").is_not_null())
    assert known["cluster"].n_unique() == known["customer"].n_unique() == known.select("cluster", "customer").n_unique()
    assert rows.filter(pl.col("customer").is_null())["cluster"].is_unique().all()
    assert row_clusters(table().drop(ROW), BY_CUSTOMER).tolist() == part.clusters.tolist()
    assert part.labelled().clusters.tolist() == part.clusters.tolist()
    assert part.to(torch.device("cpu")).clusters is part.clusters


@pytest.mark.parametrize("split", [SplitSection(), SplitSection(by="time", column="size")])
def test_other_splits_know_of_no_clusters(tmp_path: Path, split: SplitSection) -> None:
    assert encoded(tmp_path, split).clusters is None
    assert row_clusters(table(), split) is None


def test_the_column_of_the_clusters_is_no_feature() -> None:
    """Other parts have other customers: what training learned of a number would say nothing of them."""
    frame = pl.DataFrame({"customer": [f"c{k % 40}" for k in range(400)], "x": np.arange(400) % 17 / 3})
    data = DataSection(name="table", split=SplitSection(by="hash", column="customer"))
    preprocessor = fit(frame.lazy(), data, PreprocessSection())
    assert preprocessor.names == ["x"]
    assert "stay in one part" in preprocessor.left_out["customer"]
    dropped = fit(frame.lazy(), data.model_copy(update={"drop": ("customer",)}), PreprocessSection())
    assert (dropped.names, dropped.left_out) == (["x"], {})
