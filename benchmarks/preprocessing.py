"""The preprocessing step on a table larger than its memory: fitting, encoding, and a comparison with scikit-learn.

Columns are normal, skewed, whole and rounded numbers with some missing cells, and text with 3 to 5000 distinct values.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from benchmarks.harness import Figure, child, in_turns
from varjepa.config import DataSection, PreprocessSection
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.fit.numeric_features import KNOT_ROWS
from varjepa.data.read.sources import ROW

ROWS = 50_000_000
"""Rows of the large table."""
COMPARED_ROWS = 1_000_000
"""Rows on which scikit-learn is compared."""
BATCH = 500_000
"""Rows made at a time."""
MISSING = 0.03
"""Share of missing cells in columns that have any."""
COMPLETE = ("normal0", "normal3", "price", "visits", "product")
"""Columns without missing cells, besides the label."""
STAGES = ("divide", "fit", "encode")
WORDS = {"colour": 3, "region": 40, "product": 600, "place": 5000}
"""Categorical columns and how many values each has."""
LABEL = "bought"

_DATA = DataSection(path="table.parquet", label=LABEL)
_SETTINGS = PreprocessSection()


def run(rows: int = ROWS, compared_rows: int = COMPARED_ROWS) -> list[Figure]:
    """Creates the tables, measures, deletes them."""
    with TemporaryDirectory() as folder:
        large, small = Path(folder) / "large", Path(folder) / "small"
        make(large, made_batch, rows)
        _, idle, _ = _measure("nothing", large)
        before, _, _ = _measure("copy", large)
        told, peak, fit_peak = _measure("prepare", large)
        after, _, _ = _measure("copy", large)
        make(small, made_batch, compared_rows)
        ratios, _, _ = _measure("compare", small)
    copy = (before["copy"] + after["copy"]) / 2
    millions = f"{rows / 1e6:g} million rows"
    return [
        Figure(f"{millions}: dividing the rows", told["divide"], "s"),
        Figure(f"{millions}: fitting", told["fit"], "s"),
        Figure(f"{millions}: encoding, Parquet to Parquet", told["encode"], "s"),
        Figure("the same over copying the Parquet file", told["encode"] / copy, "x", asked="at most 3"),
        Figure("dividing, fitting and encoding over it", sum(told[stage] for stage in STAGES) / copy, "x"),
        Figure("memory after the imports", idle, "GiB"),
        Figure("peak memory until fitted", fit_peak, "GiB"),
        Figure("peak memory of the step", peak, "GiB"),
        Figure("the same above the imports", peak - idle, "GiB", asked="under 1"),
        Figure(
            f"{compared_rows / 1e6:g} million rows: rows/s of encoding over scikit-learn's, Parquet to Parquet",
            ratios["encode"], "x", ratios["noise"], asked="at least 10",
        ),
        Figure("... the same from memory to memory", ratios["transform"], "x", ratios["noise"], asked="at least 10"),
        Figure("... of copying the Parquet file, the most that there can be", ratios["copy"], "x", ratios["noise"]),
        Figure("... of encoding, seconds", ratios["our encode"], "s"),
        Figure("... of scikit-learn, seconds", ratios["their encode"], "s"),
        Figure("... the same ratio of fitting", ratios["fit"], "x"),
    ]  # fmt: skip


def make(folder: Path, batch: Callable[[int, int], pl.DataFrame], rows: int) -> None:
    """Writes `folder/table.parquet` in the format of a snapshot, in bounded memory.

    Args:
        folder: is made; must not exist.
        batch: makes the rows of (first row, number of rows).
        rows: of the whole table.
    """
    parts = folder / "parts"
    parts.mkdir(parents=True)
    for first in range(0, rows, BATCH):
        frame = batch(first, min(BATCH, rows - first))
        numbers = pl.Series(ROW, np.arange(first, first + frame.height))
        frame.insert_column(0, numbers).write_parquet(parts / f"{first:012}.parquet", compression="uncompressed")
    pl.scan_parquet(parts / "*.parquet").sink_parquet(folder / "table.parquet", maintain_order=True)
    for part in parts.iterdir():
        part.unlink()


def made_batch(first: int, rows: int) -> pl.DataFrame:
    """Rows of the generated table, the same at every call."""
    random = np.random.default_rng(first)
    normal, skewed = random.standard_normal((4, rows)), random.lognormal(size=(2, rows))
    columns: dict[str, pl.Series] = {f"normal{n}": pl.Series(values) for n, values in enumerate(normal)}
    columns |= {f"skewed{n}": pl.Series(values) for n, values in enumerate(skewed)}
    columns["price"] = pl.Series(random.gamma(2.0, 30.0, rows).round(2))
    columns["height"] = pl.Series(random.normal(170.0, 10.0, rows).round(1))
    columns["age"] = pl.Series(random.integers(18, 90, rows))
    columns["visits"] = pl.Series(random.poisson(4.0, rows))
    for name, distinct in WORDS.items():
        columns[name] = pl.Series(words(name)).gather((distinct * random.random(rows) ** 2).astype(np.uint32))
    columns = {
        name: values if name in COMPLETE else values.set(pl.Series(random.random(rows) < MISSING), None)
        for name, values in columns.items()
    }
    return pl.DataFrame(columns | {LABEL: pl.Series(normal[0] + random.standard_normal(rows) > 0)})


def words(name: str) -> list[str]:
    """The values of a categorical column."""
    return [f"{name} {number:04}" for number in range(WORDS[name])]


def _measure(role: str, folder: Path) -> tuple[dict[str, float], float, float]:
    """The output of a separate process for one role, its peak memory, and its peak memory until it had fitted."""
    peak, out = child("-m", "benchmarks.preprocessing", role, str(folder))
    told = json.loads(out.splitlines()[-1])
    return told, peak, told.pop("fit peak", peak)


def _nothing(_folder: Path) -> dict[str, float]:
    import varjepa.tasks.retrain.preprocess  # noqa: F401 (what it needs is the measurement)

    return {}


def _copy(folder: Path) -> dict[str, float]:
    started = time.perf_counter()
    # Compressed as the encoded rows are, lest the ratio is one of compressions.
    table = pl.scan_parquet(folder / "table.parquet")
    table.sink_parquet(folder / "copy.parquet", maintain_order=True, compression="snappy")
    seconds = time.perf_counter() - started
    (folder / "copy.parquet").unlink()
    return {"copy": seconds}


def _prepare(folder: Path) -> dict[str, float]:
    from varjepa.tasks.retrain.preprocess import divide, inspect, learn, write_encoded

    moments = [time.perf_counter()]
    verdicts = inspect(folder / "table.parquet", _DATA)
    marked, _ = divide(folder / "table.parquet", _DATA.split, folder)
    moments.append(time.perf_counter())
    preprocessor = learn(marked, _DATA, _SETTINGS, verdicts.kinds)
    fit_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    moments.append(time.perf_counter())
    write_encoded(marked, preprocessor, folder / "encoded.parquet")
    moments.append(time.perf_counter())
    return dict(zip(STAGES, np.diff(moments).tolist(), strict=True)) | {"fit peak": fit_peak}


def _compare(folder: Path) -> dict[str, float]:
    from varjepa.tasks.retrain.preprocess import divide, inspect, learn, write_encoded

    everything = _DATA.model_copy(update={"split": _DATA.split.model_copy(update={"seen": "all"})})
    kinds = inspect(folder / "table.parquet", everything).kinds
    marked, _ = divide(folder / "table.parquet", everything.split, folder)
    preprocessor = learn(marked, everything, _SETTINGS, kinds)
    fit, encode, transform = _theirs(folder, preprocessor)
    fit()
    table = pl.read_parquet(folder / "table.parquet").lazy()
    calls = {
        "their fit": fit,
        "their encode": encode,
        "their transform": transform,
        "our transform": lambda: preprocessor.encode(table).collect(engine="streaming"),
        "our fit": lambda: learn(marked, everything, _SETTINGS, kinds),
        "our encode": lambda: write_encoded(marked, preprocessor, folder / "encoded.parquet"),
        "copying": lambda: _copy(folder),
    }
    timings = in_turns(calls, repeats=5)
    seconds = {name: timing.median for name, timing in timings.items()}
    return seconds | {
        "encode": seconds["their encode"] / seconds["our encode"],
        "copy": seconds["their encode"] / seconds["copying"],
        "transform": seconds["their transform"] / seconds["our transform"],
        "fit": seconds["their fit"] / seconds["our fit"],
        "noise": max(timing.noise for timing in timings.values()),
    }


def _theirs(
    folder: Path, preprocessor: Preprocessor
) -> tuple[Callable[[], None], Callable[[], None], Callable[[], None]]:
    """The same with pandas and scikit-learn: (fit, encode, transform) that treat each column as ours does.

    The first two start from the file, the last from a frame in memory.
    """
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OrdinalEncoder, QuantileTransformer, StandardScaler

    by_transform: dict[str, list[str]] = {"standard": [], "quantile": []}
    for feature in preprocessor.numeric:
        by_transform[feature.transform].append(feature.name)
    words = [feature.name for feature in preprocessor.categorical]
    quantiles = QuantileTransformer(
        n_quantiles=_SETTINGS.n_quantiles, output_distribution="normal", subsample=KNOT_ROWS
    )  # fmt: skip
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=-1,
        encoded_missing_value=-2,
        min_frequency=_SETTINGS.min_count,
    )
    transformer = ColumnTransformer([
        ("standard", StandardScaler(), by_transform["standard"]),
        ("quantile", quantiles, by_transform["quantile"]),
        ("codes", codes, words),
    ])  # fmt: skip

    def fit() -> None:
        transformer.fit(pd.read_parquet(folder / "table.parquet"))

    def encode() -> None:
        table = pd.read_parquet(folder / "table.parquet")
        encoded = pd.DataFrame(transformer.transform(table).astype(np.float32))
        encoded.columns = [*by_transform["standard"], *by_transform["quantile"], *words]
        encoded.assign(**{ROW: table[ROW], LABEL: table[LABEL].astype(float)}).to_parquet(folder / "theirs.parquet")

    frame = pd.read_parquet(folder / "table.parquet")
    return fit, encode, lambda: transformer.transform(frame)


if __name__ == "__main__":
    roles = {"nothing": _nothing, "copy": _copy, "prepare": _prepare, "compare": _compare}
    print(json.dumps(roles[sys.argv[1]](Path(sys.argv[2]))))
