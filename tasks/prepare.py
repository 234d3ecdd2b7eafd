"""Step 3: divide the rows, learn the preprocessing from the training part, encode everything."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task

from tasks.steps import log, reuse, step_folder, write_text
from varjepa.config import DataSection, PreprocessSection

if TYPE_CHECKING:
    from polars import LazyFrame

    from varjepa.data.preprocess import Preprocessor


@dataclass(frozen=True)
class Prepared:
    """Encoded rows.

    Attributes:
        clean: Parquet file with the same rows as they came.
        encoded: Parquet file with row number, part, features and label.
        preprocessor: JSON file.
        features: number of features.
        parts: rows per part.
        left_out: columns that are no features, and why.
        joined: features that are made from several columns, and those.
    """

    clean: Path
    encoded: Path
    preprocessor: Path
    features: int
    parts: dict[str, int]
    left_out: dict[str, str]
    joined: dict[str, tuple[str, ...]]

    def raw(self, *parts: str) -> "LazyFrame":
        """The rows of some parts as they came, in their order, unread."""
        import polars as pl

        from varjepa.data.splits import PART

        # Both files hold the same rows in the same order; to join them by number would hold all numbers in memory.
        marks = pl.scan_parquet(self.encoded).select(PART)
        both = pl.concat([pl.scan_parquet(self.clean), marks], how="horizontal")
        return both.filter(pl.col(PART).is_in(parts)).drop(PART)


@task(name="preprocess", task_run_name="preprocess")
def preprocess(clean: Path, data: DataSection, settings: PreprocessSection) -> Prepared:
    """Splits, fits on the training rows and encodes all rows.

    Raises:
        DataError: too few rows, unknown columns, or nothing to learn from.
    """
    folder = step_folder(
        "preprocess", str(clean), data.model_dump(mode="json"), settings.model_dump(mode="json"), code=__name__
    )
    prepared = reuse(folder, Prepared, lambda: _preprocess(clean, data, settings, folder))
    for name, reason in prepared.left_out.items():
        log.warning('The column "%s" is left out: %s.', name, reason)
    for name, columns in prepared.joined.items():
        log.info('%d columns from "%s" to "%s" are one feature, "%s"', len(columns), columns[0], columns[-1], name)
    return prepared


def _preprocess(clean: Path, data: DataSection, settings: PreprocessSection, folder: Path) -> Prepared:
    marked, counts = divide(clean, data)
    preprocessor = learn(marked, data, settings)
    write_encoded(marked, preprocessor, folder / "encoded.parquet")
    write_text(folder / "preprocessor.json", preprocessor.model_dump_json(indent=1))
    return Prepared(
        clean, folder / "encoded.parquet", folder / "preprocessor.json", preprocessor.sizes.n_features, counts,
        preprocessor.left_out, preprocessor.joined,
    )  # fmt: skip


def divide(clean: Path, data: DataSection) -> tuple["LazyFrame", dict[str, int]]:
    """The rows with the part of each as one more column, unread, and the number of rows per part."""
    import polars as pl

    from varjepa.data.splits import assign_parts

    frame = pl.scan_parquet(clean)
    parts = assign_parts(frame, data.split)
    marked = pl.concat([frame, parts.to_frame().lazy()], how="horizontal")
    return marked, dict(parts.value_counts().iter_rows())


def learn(marked: "LazyFrame", data: DataSection, settings: PreprocessSection) -> "Preprocessor":
    """Fits on the rows that preprocessing may look at."""
    import polars as pl

    from varjepa.data.fit import fit
    from varjepa.data.sources import ROW
    from varjepa.data.splits import PART

    seen = marked if data.split.seen == "all" else marked.filter(pl.col(PART) == "train")
    return fit(seen.drop(ROW, PART), data, settings)


def write_encoded(marked: "LazyFrame", preprocessor: "Preprocessor", path: Path) -> None:
    """Encodes all rows into a Parquet file, in bounded memory."""
    from varjepa.data.sources import ROW
    from varjepa.data.splits import PART

    encoded = preprocessor.encode(marked, keep=(ROW, PART), with_label=True)
    # Floats of 32 bits hardly get smaller, and slower compression takes longer than all the rest.
    encoded.sink_parquet(path, maintain_order=True, compression="snappy")
