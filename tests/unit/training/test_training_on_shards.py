"""Training on shards: it resumes after a kill, and teaches what memory teaches."""

from pathlib import Path

import pytest
import torch

from tests.small_networks import SMALL
from tests.unit.training.small_runs import killed_at, quiet, undated, weights
from varjepa.config import MaskingSection, ObjectiveSection, TrainingSection
from varjepa.data.encode.encoded import read_packed
from varjepa.data.tensors.shards import Shards
from varjepa.models.new_network import build_network
from varjepa.nn.random import initial_weights
from varjepa.training import loop
from varjepa.training.epoch_rows import ShardedRows
from varjepa.training.loop import Trainer


def trainer(stored, rows: object, checkpoint: Path | None = None, epoch_rows: int | None = None) -> Trainer:
    path, preprocessor = stored
    with initial_weights(0):
        network = build_network(sizes=preprocessor.sizes, model=SMALL)
    training = TrainingSection(
        max_epochs=4 if epoch_rows else 2, epoch_rows=epoch_rows, batch_size=256, lr=3e-3, warmup_epochs=0.5,
        checkpoint_minutes=0,
    )  # fmt: skip
    return Trainer(
        network=network, tables=(rows, read_packed(path, preprocessor, "validation")), objective=ObjectiveSection(),
        masking=MaskingSection(), training=training, checkpoint=checkpoint,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", [((3,), None), ((13, 17), None), ((3, 13), 1500)])
def test_training_on_shards_survives_a_kill(stored, shards: Shards, case, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(loop, "LOOK_STEPS", 2)  # else the short epochs have no checkpoint within them
    kills, epoch_rows = case
    source = ShardedRows(shards, torch.device("cpu"))
    whole = trainer(stored, source, epoch_rows=epoch_rows)
    expected = whole.fit(quiet, quiet)
    for step in kills:
        run = trainer(stored, source, tmp_path / "c.pt", epoch_rows)
        killed_at(run, step, lambda run=run: run.fit(quiet, quiet))
    resumed = trainer(stored, source, tmp_path / "c.pt", epoch_rows)
    found = resumed.fit(quiet, quiet)
    assert torch.equal(weights(whole), weights(resumed))
    assert undated(found.history) == undated(expected.history)


@pytest.mark.slow
def test_shards_teach_what_memory_teaches(stored, shards: Shards) -> None:
    held = trainer(stored, read_packed(stored[0], stored[1], "train")).fit(quiet, quiet)
    read = trainer(stored, ShardedRows(shards, torch.device("cpu"))).fit(quiet, quiet)
    first, last = held.history[0]["validation/elbo"], held.history[-1]["validation/elbo"]
    assert read.history[-1]["validation/elbo"] == pytest.approx(last, abs=0.15 * (last - first))
