"""Step 9: count rows outside of training as the model's reference for `varjepa drift`."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from varjepa.config import RetrainConfig
from varjepa.data.encode.encoded import read_sample
from varjepa.data.read.splits import CLUSTER, PART
from varjepa.data.tensors.sizes import rows_within
from varjepa.evaluation.drift.dependence import rows_of_a_row
from varjepa.inference.drift_counts import make_profile
from varjepa.inference.row_statistics import principal_directions
from varjepa.inference.storage import load_parts, model_parts, save_profile
from varjepa.tasks.retrain.calibrate import Calibrated
from varjepa.tasks.retrain.embeddings import embedder_of
from varjepa.tasks.retrain.generate import Generated
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.retrain.pretrain import Pretrained
from varjepa.tasks.retrain.probe import Probed
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import Step, reuse

STEP = Step("reference", __name__, settings=("drift.reference_rows",))

COLUMN_ROWS = 500_000
"""Largest number of rows, evenly spaced, in which columns are counted."""

DIRECTION_ROWS = 2000
"""Training rows whose embeddings give the principal directions."""

MOST_CELLS, FEWEST_ROWS = 2**22, 500
"""Cells of the rows that go through the model, so that of wide tables fewer do; but at least so many rows."""

UNSEEN = ("validation", "calibration", "test")
"""Parts that preprocessing has not used."""

UNTOUCHED = ("calibration", "test")
"""Parts that neither training nor the choice of an epoch has used."""


@dataclass(frozen=True)
class Referenced:
    """The drift reference of a model.

    Attributes:
        folder: with its files; None where training has used all rows.
    """

    folder: Path | None


@task(name="reference", task_run_name="reference")
def make_reference(
    prepared: Prepared,
    pretrained: Pretrained,
    *,
    generated: Generated,
    probed: Probed,
    calibrated: Calibrated,
    config: RetrainConfig,
) -> Referenced:
    """Counts the columns of rows outside of training, and the model's statistics of these rows."""
    if config.data.split.seen == "all":
        log.warning("data.split.seen is all: no rows are left for the reference of varjepa drift.")
        return Referenced(None)
    parts = model_parts(
        prepared.preprocessor.parent, pretrained.weights.parent, generated.folder, probed.folder, calibrated.folder
    )
    folder = STEP.folder(config, str(generated.folder), str(probed.folder), str(calibrated.folder))
    return reuse(folder, Referenced, lambda: _reference(parts, prepared, pretrained, config, folder))


def _reference(
    parts: dict[str, Path], prepared: Prepared, pretrained: Pretrained, config: RetrainConfig, folder: Path
) -> Referenced:
    trained = load_parts(config, parts, config.training.device)
    sample = read_sample(prepared.encoded, trained.preprocessor, "train", most=DIRECTION_ROWS, seed=0)
    # Without a label, no other step has embedded the untouched rows.
    labelled = trained.preprocessor.label is not None
    embedder = embedder_of(prepared, pretrained, config, trained.network, "train", *(UNTOUCHED if labelled else ()))
    table = sample.table.to(trained.device)
    directions = principal_directions(trained, table, embedder(table, sample.rows).mean)
    columns = prepared.evenly_spaced(*UNSEEN, most=COLUMN_ROWS).collect(engine="streaming")
    n_features = trained.preprocessor.sizes.n_features
    most = rows_within(MOST_CELLS, n_features, fewest=FEWEST_ROWS, most=config.drift.reference_rows)
    rows = prepared.evenly_spaced(*UNTOUCHED, most=most).collect(engine="streaming")
    profile = make_profile(
        trained, columns, rows, directions, prepared.split, cluster_rows=_cluster_rows(prepared), embedder=embedder
    )  # fmt: skip
    save_profile(folder, profile)
    return Referenced(folder)


def _cluster_rows(prepared: Prepared) -> float | None:
    """Rows in the cluster of a row outside of training, on average over rows; None where no column names clusters."""
    if prepared.split.by != "hash" or prepared.split.column is None:
        return None
    unseen = pl.scan_parquet(prepared.encoded).filter(pl.col(PART).is_in(UNSEEN))
    return rows_of_a_row(unseen.group_by(CLUSTER).len().select("len").collect(engine="streaming")["len"].to_numpy())
