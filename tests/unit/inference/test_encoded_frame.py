"""Rows that are encoded and embedded once for several answers."""

import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal

from tests.unit.inference.test_estimator import TINY
from varjepa.data.read.sim_table import sim_table
from varjepa.data.tensors.table import TableTensors
from varjepa.inference.columns import scored
from varjepa.inference.encoded_frame import EncodedFrame
from varjepa.inference.estimator import VarTJEPA
from varjepa.inference.model import TrainedModel
from varjepa.models.embedding import Embedding

GROUPS = ("embedding", "vector", "uncertainty", "anomaly", "oddity", "reasons")


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    table = sim_table(rows=300, seed=0)[:, :5]
    return VarTJEPA(TINY | {"generator": {"max_epochs": 1}}).fit(table).model_


@pytest.fixture
def rows(model: TrainedModel) -> pl.DataFrame:
    return sim_table(rows=1100, seed=1).select(model.preprocessor.columns)


@pytest.mark.slow
def test_groups_are_the_same_together_and_alone(model: TrainedModel, rows: pl.DataFrame) -> None:
    some = rows[:40]
    together = scored(model, some, GROUPS)
    alone = pl.concat([scored(model, some, (group,)) for group in GROUPS], how="horizontal")
    assert_frame_equal(together, alone.select(together.columns), check_exact=True)
    assert scored(model, some, ()).is_empty()


def test_answers_from_encoded_rows_are_those_from_raw_rows(model: TrainedModel, rows: pl.DataFrame) -> None:
    encoded = model.encoded(rows, keeps=True)
    assert model.encoded(encoded) is encoded
    for _ in range(2):  # the second time from embeddings that were kept
        assert_frame_equal(model.predict(encoded), model.predict(rows), check_exact=True)
    assert (model.vectors(encoded) == model.vectors(rows)).all()
    assert_frame_equal(model.anomalies(encoded), model.anomalies(rows), check_exact=True)


@pytest.mark.parametrize(("keeps", "calls"), [(True, 2), (False, 4)])
def test_an_embedding_that_is_kept_is_computed_once(
    keeps: bool, calls: int, model: TrainedModel, rows: pl.DataFrame
) -> None:
    asked: list[int] = []

    def embed(table: TableTensors) -> Embedding:
        asked.append(table.n_rows)
        return Embedding(torch.zeros(table.n_rows, 1, 1), None)

    encoded = EncodedFrame(rows, model.encode(rows), keeps)
    for _ in range(2):
        for part in (slice(0, 600), slice(600, 1100)):
            assert len(encoded.embedding(part, embed).mean) == part.stop - part.start
    assert len(asked) == calls


@pytest.mark.parametrize("count", [0, 1, 7])
def test_reasons_of_several_looks_in_one_pass_are_those_of_one_look_each(
    count: int, model: TrainedModel, rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = model.reasons(rows[:count])
    monkeypatch.setattr("varjepa.inference.model.TOGETHER", 1)
    alone = model.reasons(rows[:count])
    assert together.uncertainty is not None
    for ours, theirs in zip(vars(together.uncertainty).values(), vars(alone.uncertainty).values(), strict=True):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), rtol=1e-4, atol=1e-5)
