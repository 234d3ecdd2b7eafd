"""Tables larger than memory: every row once per pass, in batches like uniform draws, and the same after a kill."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch

from tasks.retrain.encoded_rows import EncodedRows
from tasks.retrain.preprocess import divide, learn, write_encoded
from tests.conftest import SMALL
from tests.unit.training.test_training import killed_at, quiet, undated, weights
from varjepa.config import DataSection, MaskingSection, ObjectiveSection, PreprocessSection, TrainingSection
from varjepa.data.encode import encoded
from varjepa.data.encode.encoded import Part, packed_chunks, read_packed, read_part, read_sample
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.read.sources import ROW
from varjepa.data.tensors.shards import INDEX, Shards, write_shards
from varjepa.errors import VarjepaError
from varjepa.models.new_network import build_network
from varjepa.nn.random import Randomness, initial_weights
from varjepa.training import loop
from varjepa.training.distributed import World
from varjepa.training.epoch_rows import Epochs, HeldRows, ShardedRows
from varjepa.training.loop import Trainer

ROWS, COUNT, BATCH = 6000, 7, 64


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Preprocessor]:
    """An encoded table in the worst order, sorted by its label; `place` tells the row, gaps are everywhere."""
    random, folder = np.random.default_rng(0), tmp_path_factory.mktemp("stored")
    place = np.arange(ROWS, dtype=float)
    gap = pl.Series(random.random(ROWS) < 0.1)
    label = pl.Series(np.where(place < ROWS / 2, "low", "high")).set(pl.Series(random.random(ROWS) < 0.2), None)
    words = pl.Series(np.array([f"w{n}" for n in range(300)])[(place / 20).astype(int)])
    table = pl.DataFrame({ROW: np.arange(ROWS), "place": place / 2, "other": place + random.normal(0, 900, ROWS),
                          "word": words, "label": label})  # fmt: skip
    table = table.with_columns(pl.when(~gap).then("other").alias("other"), pl.when(~gap).then("word").alias("word"))
    table.write_parquet(folder / "clean.parquet")
    data = DataSection(path="t", label="label")
    marked, _ = divide(folder / "clean.parquet", data)
    preprocessor = learn(marked, data, PreprocessSection(min_count=2))
    write_encoded(marked, preprocessor, folder / "encoded.parquet")
    return folder / "encoded.parquet", preprocessor


@pytest.fixture
def shards(stored: tuple[Path, Preprocessor], tmp_path: Path) -> Shards:
    return thrown(stored, tmp_path / "shards")


def thrown(stored: tuple[Path, Preprocessor], folder: Path) -> Shards:
    path, preprocessor = stored
    return write_shards(
        packed_chunks(path, preprocessor, "train"), folder, sizes=preprocessor.sizes, count=COUNT, seed=1
    )


def same(first: Part, second: Part) -> None:
    assert np.array_equal(first.rows, second.rows)
    assert torch.equal(first.labels.nan_to_num(-1), second.labels.nan_to_num(-1))
    assert all(torch.equal(one, other) for one, other in zip(first.table, second.table, strict=True))


def places(source: ShardedRows, seed: int, first: int = 0) -> list[torch.Tensor]:
    """Place of the rows of each batch."""
    return [batch.numeric[:, 0] for batch in source.batches(BATCH, Randomness.seeded(seed), first)]


def test_packed_rows_and_samples_are_those_of_the_whole_part(stored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded, "CHUNK", 700)
    path, preprocessor = stored
    for parts in (("train",), ("train", "test")):
        whole, packed = read_part(path, preprocessor, *parts), read_packed(path, preprocessor, *parts)
        assert packed.codes.dtype == torch.int16
        back = packed.rows(slice(None))
        assert all(torch.equal(one, other) for one, other in zip(whole.table, back, strict=True))
        assert [part.dtype for part in back] == [part.dtype for part in whole.table]
        for most in (100, 10**6):
            for labelled, rows in ((False, whole), (True, whole.labelled())):
                found = read_sample(path, preprocessor, *parts, most=most, seed=3, labelled=labelled)
                same(found, rows.take(torch.from_numpy(encoded.sampled(len(rows.labels), most, 3))))
    monkeypatch.setattr(encoded, "PERMUTED", 10)
    sample = read_sample(path, preprocessor, "train", most=400, seed=3)
    assert len(np.unique(sample.rows)) == 400
    assert (np.diff(sample.rows) > 0).all()
    assert abs(sample.rows.mean() / ROWS - 0.5) < 5 * 0.29 / 20  # five standard errors


def test_a_pass_visits_every_row_once_and_goes_on_anywhere(stored, shards: Shards) -> None:
    path, preprocessor = stored
    source = ShardedRows(shards, torch.device("cpu"))
    batches = places(source, 0)
    assert [len(batch) for batch in batches[:-1]] == [BATCH] * (source.n_rows // BATCH)
    expected = read_packed(path, preprocessor, "train").numeric[:, 0]
    assert torch.equal(torch.cat(batches).sort().values, expected.sort().values)
    assert not torch.equal(torch.cat(batches), torch.cat(places(source, 1)))
    for first in (1, 20, len(batches) - 1, len(batches)):
        rest = places(source, 0, first)
        assert len(rest) == len(batches) - first
        assert all(torch.equal(one, other) for one, other in zip(rest, batches[first:], strict=True))


@pytest.mark.parametrize("most", [1, 700, 1000, ROWS])
@pytest.mark.parametrize("held", [True, False])
def test_epochs_that_share_a_pass_see_every_row_once(stored, shards: Shards, most: int, held: bool) -> None:
    table = read_packed(*stored, "train")
    source = HeldRows(table) if held else ShardedRows(shards, torch.device("cpu"))
    epochs = Epochs(source, batch_size=BATCH, most=most, seed=0)

    def seen(epoch: int, first: int = 0) -> torch.Tensor:
        batches = epochs.batches(epoch, Randomness.seeded(0, epoch), first)
        return torch.cat([batch.numeric[:, 0] for batch in batches])

    both = [[seen(number * epochs.per_pass + share) for share in range(epochs.per_pass)] for number in (0, 1)]
    for rows in both:
        assert torch.equal(torch.cat(rows).sort().values, table.numeric[:, 0].sort().values)
    assert not torch.equal(torch.cat(both[0]), torch.cat(both[1]))
    for epoch, rows in enumerate(both[0] + both[1]):
        assert len(rows) == epochs.rows(epoch) <= max(most, BATCH)
        assert len(rows) <= BATCH or torch.equal(seen(epoch, 1), rows[BATCH:])


def test_batches_of_a_sorted_table_look_like_uniform_draws(shards: Shards) -> None:
    """Mean and spread of the place of a batch's rows, and its share of the first tenth, over 40 passes."""
    source = ShardedRows(shards, torch.device("cpu"))
    drawn = torch.stack([batch for seed in range(40) for batch in places(source, seed)[:-1]]).double()
    ranks = drawn.flatten().argsort().argsort().view(drawn.shape) / drawn.numel()  # uniform in [0, 1)
    n = len(drawn)
    for values, expected in ((ranks, 1 / 12), ((ranks < 0.1).double(), 0.09)):
        # The variance of batch means over that of independent draws is chi-square / n: four standard deviations.
        ratio = float(values.mean(1).var() / (expected / BATCH))
        assert abs(ratio - 1) < 4 * (2 / n) ** 0.5 + BATCH / source.n_rows
    order = torch.arange(n * BATCH, dtype=torch.float64).view(n, BATCH) % (source.n_rows // BATCH * BATCH)
    correlation = torch.corrcoef(torch.stack([order.flatten(), ranks.flatten()]))[0, 1]
    assert abs(float(correlation)) < 4 / (n * BATCH) ** 0.5


def test_shards_do_not_depend_on_how_they_were_read_or_interrupted(stored, shards: Shards, tmp_path, monkeypatch):
    monkeypatch.setattr(encoded, "CHUNK", 300)
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "0000.numeric").write_bytes(b"left by a run that was killed")
    again = thrown(stored, tmp_path / "again")
    assert (again.rows, (again.folder / INDEX).is_file()) == (shards.rows, True)
    for number in range(COUNT):
        mine, theirs = shards.read(number), again.read(number)
        assert torch.equal(mine.codes, theirs.codes)
        assert torch.equal(mine.numeric.nan_to_num(99), theirs.numeric.nan_to_num(99))


def test_what_does_not_fit_into_memory_is_read_from_shards(stored, tmp_path: Path, monkeypatch) -> None:
    path, preprocessor = stored
    folder, device = tmp_path / "shards", torch.device("cpu")
    held = EncodedRows(path, preprocessor, TrainingSection(), device).source(["train"], folder, World())
    assert isinstance(held, HeldRows)
    assert not folder.exists()
    rows = EncodedRows(path, preprocessor, TrainingSection(memory=2e-5), device)  # 21 kB, 10 bytes a row
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
        with pytest.raises(VarjepaError, match=r"Make room, or raise training\.memory"):
            rows.source(["train"], folder, World())
    found = rows.source(["train"], folder, World())
    assert isinstance(found, ShardedRows)
    assert found.n_rows == held.n_rows
    assert 4 * max(found.shards.rows) * 10 < 1.3 * 2e-5 * 2**30  # drawn sizes vary


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


def test_shards_teach_what_memory_teaches(stored, shards: Shards) -> None:
    held = trainer(stored, read_packed(stored[0], stored[1], "train")).fit(quiet, quiet)
    read = trainer(stored, ShardedRows(shards, torch.device("cpu"))).fit(quiet, quiet)
    first, last = held.history[0]["validation/elbo"], held.history[-1]["validation/elbo"]
    assert read.history[-1]["validation/elbo"] == pytest.approx(last, abs=0.15 * (last - first))
