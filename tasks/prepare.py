"""Step 3: divide the rows, learn the preprocessing from the training part, encode everything."""

from dataclasses import dataclass
from pathlib import Path

from prefect import task

from tasks.steps import log, reuse, step_folder, write_text
from varjepa.config import DataSection, PreprocessSection


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
    import polars as pl

    from varjepa.data.preprocess import fit
    from varjepa.data.sources import ROW
    from varjepa.data.splits import PART, assign_parts

    frame = pl.scan_parquet(clean)
    columns = [name for name in frame.collect_schema().names() if name != ROW]
    parts = assign_parts(frame, data.split)
    marked = pl.concat([frame, parts.to_frame().lazy()], how="horizontal")
    seen = marked if data.split.seen == "all" else marked.filter(pl.col(PART) == "train")
    preprocessor = fit(seen.select(columns), data, settings)
    encoded = preprocessor.encode(marked, keep=(ROW, PART), with_label=True)
    encoded.sink_parquet(folder / "encoded.parquet", maintain_order=True)
    write_text(folder / "preprocessor.json", preprocessor.model_dump_json(indent=1))
    counts = dict(parts.value_counts().iter_rows())
    return Prepared(
        clean, folder / "encoded.parquet", folder / "preprocessor.json", preprocessor.sizes.n_features, counts,
        preprocessor.left_out, preprocessor.joined,
    )  # fmt: skip
