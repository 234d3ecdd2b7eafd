"""Which rows a model has learned from: it must not be judged on those against a model that has not."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from varjepa.config import RetrainConfig, SplitSection
from varjepa.data.cells import column
from varjepa.tasks.registry.tags import RUN_TAG
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.steps.log import log
from varjepa.tasks.tracking.patience import TrackingLostError
from varjepa.tasks.tracking.store import client_of

if TYPE_CHECKING:
    import polars as pl
    from mlflow import MlflowClient

    from varjepa.evaluation.arrays import Bools
    from varjepa.inference.model import TrainedModel

LEARNED_ROWS = "gate/learned_rows.parquet"
"""Artifact of a version's run: hashes of the features of the rows that it has learned from."""

LEARNED = ("train", "validation", "calibration")
"""Parts that a model learns from: they train it, choose its epoch and measure, or fit its certificate."""

EVERY_PART = (*LEARNED, "test")
"""Those of a model with `data.split.seen: all`, which is trained on the features of its test rows, too."""

MOST_LEARNED = 2_000_000
"""Hashes of more rows are not stored (8 bytes each)."""


def learned_parts(split: SplitSection) -> tuple[str, ...]:
    """The parts that a model with this split learns from."""
    return EVERY_PART if split.seen == "all" else LEARNED


def known_split(model: "TrainedModel") -> bool:
    """Whether the rows that a model has learned from follow from its split alone."""
    return model.config.data.split.by == "hash"


def learned_by_rule(model: "TrainedModel", rows: "pl.DataFrame") -> "Bools | None":
    """Which raw rows [N] a split by hash would give a model to learn from; None if its columns are gone."""
    import polars as pl

    from varjepa.data.read.splits import parts_by_content

    split, names = model.config.data.split, rows.columns
    # All columns that were hashed, of which a column that is new has changed the hash.
    hashed = trained_columns(model) if split.columns == "all" else set(split.columns or names)
    hashed |= {split.column} if split.column else set()
    if not hashed <= set(names):
        return None
    parts = parts_by_content(rows.select(column(name) for name in names if name in hashed), split)
    return None if parts is None else parts.cast(pl.String).is_in(learned_parts(split)).to_numpy()


def learned_by_challenger(prepared: Prepared, model: "TrainedModel", rows: "pl.DataFrame") -> "Bools":
    """Which raw rows [N] have the features of one that a model, of which all rows are at hand, has learned from."""
    import numpy as np

    from varjepa.data.read.row_hash import hashes_in_pieces

    columns = model.preprocessor.columns
    seen = learned_by_rule(model, rows) if known_split(model) else None
    if seen is not None or not set(columns) <= set(rows.columns):  # the model cannot read them, and says so
        return np.zeros(rows.height, dtype=bool) if seen is None else seen
    own = np.concatenate([np.zeros(0, dtype=np.uint64), *hashes_in_pieces(rows.lazy(), columns)])
    seen = np.zeros(rows.height, dtype=bool)
    for piece in hashes_in_pieces(prepared.raw(*learned_parts(prepared.split)), columns):
        seen |= np.isin(own, piece)
    return seen


def learned_by_version(
    version: int, model: "TrainedModel", rows: "pl.DataFrame", config: RetrainConfig
) -> "Bools | None":
    """Which raw rows [N] have the features of one that a registered model has learned from; None if unknown."""
    import numpy as np

    from varjepa.data.read.row_hash import hashes_in_pieces

    if known_split(model):
        return learned_by_rule(model, rows)
    kept = kept_artifact(version, LEARNED_ROWS, config)
    if kept is None or not set(model.preprocessor.columns) <= set(rows.columns):
        return None
    own = np.concatenate([np.zeros(0, dtype=np.uint64), *hashes_in_pieces(rows.lazy(), model.preprocessor.columns)])
    return np.isin(own, kept["hash"].to_numpy())


def write_learned(prepared: Prepared, path: Path) -> None:
    """Writes the hashes of the rows that a model has learned from, unless its split says which, or they are many."""
    import numpy as np
    import polars as pl

    from varjepa.data.encode.preprocessor import Preprocessor
    from varjepa.data.read.row_hash import hashes_in_pieces

    learned = learned_parts(prepared.split)
    if prepared.split.by == "hash" or sum(prepared.parts.get(part, 0) for part in learned) > MOST_LEARNED:
        return
    columns = Preprocessor.read(prepared.preprocessor).columns
    hashes = np.unique(np.concatenate(list(hashes_in_pieces(prepared.raw(*learned), columns))))
    pl.DataFrame({"hash": hashes}).write_parquet(path)


def trained_columns(model: "TrainedModel") -> set[str]:
    """Columns of the table on which a model was trained, as far as they are recorded."""
    data, label = model.config.data, model.preprocessor.label
    clocks = (clock.name for clock in model.preprocessor.clocks)
    left_out = model.preprocessor.left_out
    return {*model.preprocessor.order, *clocks, *left_out, *data.drop, *([label.name] if label else [])}


def has_artifact(client: "MlflowClient", run_id: str, name: str) -> bool:
    """Whether a run has a file."""
    return any(file.path == name for file in client.list_artifacts(run_id, str(Path(name).parent)))


def kept_artifact(version: int, name: str, config: RetrainConfig) -> "pl.DataFrame | None":
    """A Parquet file of the run of a version; None if there is none."""
    import polars as pl

    client = client_of(config.tracking)
    run_id = client.get_model_version(config.registry.name, str(version)).tags.get(RUN_TAG)
    try:
        if run_id is None or not has_artifact(client, run_id, name):
            return None
        with tempfile.TemporaryDirectory() as place:
            return pl.read_parquet(client.download_artifacts(run_id, name, place))
    except TrackingLostError:
        raise
    except Exception as error:  # noqa: BLE001 (a deleted run or file must not fail the gate)
        log.warning("%s of version %d cannot be read: %s", name, version, error)
        return None
