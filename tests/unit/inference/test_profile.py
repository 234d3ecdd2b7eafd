"""The reference that travels with a model, and what the model says of single rows."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch

from tests.small_networks import SMALL
from tests.unit.inference.known_table import known_table
from varjepa.config import parse_config
from varjepa.config.operations import DriftSection
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.evaluation.drift.samples import Categories, Numbers
from varjepa.evaluation.drift.tests import find_drift
from varjepa.evaluation.probe import fit_probe
from varjepa.inference.damaged_rows import damaged_rows
from varjepa.inference.drift_counts import _damaged, count_columns, make_profile, subjects_of, unseen_words
from varjepa.inference.drift_reference import Directions
from varjepa.inference.model import TrainedModel
from varjepa.inference.row_statistics import RowValues, principal_directions, row_statistics
from varjepa.inference.storage import load_model, save_model
from varjepa.models.embedding import embed
from varjepa.models.new_network import new_network


@pytest.fixture(scope="module")
def profiled(world: SimpleNamespace) -> TrainedModel:
    directions = principal_directions(world.model, world.model.encode(world.train[:500]))
    held = known_table(1500, 3)
    return replace(
        world.model, profile=make_profile(world.model, held, held, directions, world.model.config.data.split)
    )


def drifted(model: TrainedModel, frame: pl.DataFrame) -> dict[str, list[str]]:
    """Names of what drifted, by group."""
    counts = model.profile.counts
    columns, label = count_columns(model.preprocessor, frame, counts)
    statistics = row_statistics(model, frame, model.profile.directions)
    found = find_drift(subjects_of(counts, columns, (None, label), statistics), DriftSection())
    names = [one.subject for one in found if one.verdict == "drift"]
    return {group: [one.name for one in names if one.group == group] for group in ("column", "model")}


def test_a_profile_survives_the_folder(profiled: TrainedModel, tmp_path: Path) -> None:
    save_model(tmp_path / "model", profiled)
    loaded = load_model(tmp_path / "model", "cpu")
    assert loaded.profile.counts == profiled.profile.counts
    for ours, theirs in zip(loaded.profile.directions, profiled.profile.directions, strict=True):
        torch.testing.assert_close(ours, theirs)
    frame = known_table(200, 4)
    one, two = (row_statistics(model, frame, model.profile.directions) for model in (profiled, loaded))
    assert set(one) == {"elbo", "kl_sy", "surprise", "latent_uncertainty", *(f"latent_{k}" for k in range(1, 9))}
    for name, values in one.items():
        np.testing.assert_allclose(values.values, two[name].values, rtol=1e-5, atol=1e-5)
    save_model(tmp_path / "bare", replace(profiled, profile=None))
    assert load_model(tmp_path / "bare", "cpu").profile is None
    written = json.loads((tmp_path / "model" / "profile.json").read_text())
    kept = [len(sample.get("knots", [])) for sample in (*written["columns"].values(), *written["statistics"].values())]
    assert 0 < max(kept) <= 128  # counts, no rows


def test_rows_do_not_depend_on_the_rows_beside_them(profiled: TrainedModel) -> None:
    frame = known_table(60, 5)
    frame = frame.with_columns(pl.when(pl.int_range(pl.len()) % 7 == 0).then(None).otherwise("price").alias("price"))
    whole = row_statistics(profiled, frame, profiled.profile.directions)
    alone = row_statistics(profiled, frame[17:18], profiled.profile.directions)
    for name, values in whole.items():
        assert np.isfinite(values.values).all()
        np.testing.assert_allclose(values.values[17:18], alone[name].values, rtol=1e-4, atol=1e-4)


def test_columns_are_counted_as_they_are(profiled: TrainedModel) -> None:
    frame = known_table(100, 6)
    odd = frame.with_columns(
        kind=pl.when(pl.int_range(pl.len()) < 10).then(pl.lit("huge")).otherwise("kind"),
        size=pl.when(pl.int_range(pl.len()) < 30).then(None).otherwise("size"),
    )
    columns, label = count_columns(profiled.preprocessor, odd, profiled.profile.counts)
    kind, size = columns["kind"], columns["size"]
    assert isinstance(kind, Categories)
    assert isinstance(size, Numbers)
    assert (kind.other, kind.present, size.missing, size.present) == (10, 100, 30, 70)
    assert size.mean == pytest.approx(odd["size"].mean())
    assert unseen_words(profiled.preprocessor, odd) == {"flag": {}, "kind": {"huge": 10}}
    assert label is None


def test_broken_rows_are_found_by_the_model_alone(profiled: TrainedModel) -> None:
    same = known_table(1500, 7)
    assert drifted(profiled, same) == {"column": [], "model": []}
    rng = np.random.default_rng(0)
    broken = same.select(pl.Series(name, same[name].gather(rng.permutation(same.height))) for name in same.columns)
    found = drifted(profiled, broken)
    assert found["column"] == []  # every column holds the very same values
    assert "surprise" in found["model"]


def test_t_jepa_and_a_probe_of_numbers_have_their_own_statistics(world: SimpleNamespace) -> None:
    config = parse_config({
        "data": {"name": "table", "label": "price"}, "model": SMALL.model_dump() | {"kind": "t_jepa"},
        "generator": {"n_layers": 0},
    })  # fmt: skip
    preprocessor = fit(world.train.lazy(), config.data, config.preprocess)
    torch.manual_seed(0)
    model = TrainedModel(config, preprocessor, new_network(preprocessor.sizes, config).eval(), None)
    table = model.encode(world.train)
    directions = principal_directions(model, table.rows(slice(0, 300)))
    assert set(row_statistics(model, world.train[:50], directions)) == {
        "prediction_error", *(f"latent_{k}" for k in range(1, 9))
    }  # fmt: skip
    labels = torch.from_numpy(world.train["price"].to_numpy().copy()).float()
    probe = fit_probe(embed(model.network, table).mean.flatten(1), labels, n_classes=0, l2=1e-3)
    told = replace(model, probe=probe)
    profile = make_profile(told, known_table(500, 8), known_table(500, 8), directions, told.config.data.split)
    assert {"predicted", "residual"} <= set(profile.counts.statistics)
    assert 0 < profile.counts.quality["rmse"] < float(world.train["price"].std())
    assert isinstance(profile.counts.label, Numbers)


def test_damaged_rows_go_through_the_model_together(world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the model says of each batch is what it says of the batch alone; numbers with noise are floats there."""
    config = parse_config({
        "data": {"name": "table", "label": "kind"}, "model": SMALL.model_dump() | {"kind": "t_jepa"},
        "generator": {"n_layers": 0},
    })  # fmt: skip
    frame = world.train[:400]
    preprocessor = fit(frame.lazy(), config.data, config.preprocess)
    torch.manual_seed(0)
    model = TrainedModel(config, preprocessor, new_network(preprocessor.sizes, config).eval(), None)
    flat, classes = embed(model.network, model.encode(frame)).mean.flatten(1), preprocessor.label.classes
    labels = torch.tensor([classes.index(word) for word in frame["kind"]])
    model = replace(model, probe=fit_probe(flat, labels, n_classes=len(classes), l2=1e-3))
    directions, calls = principal_directions(model, model.encode(frame)), list[int]()

    def counted(model: TrainedModel, frame: pl.DataFrame, directions: Directions) -> dict[str, RowValues]:
        calls.append(frame.height)
        return row_statistics(model, frame, directions)

    # The real statistics, counted.
    monkeypatch.setattr("varjepa.inference.drift_counts.row_statistics", counted)
    batches = _damaged(model, frame, directions)
    assert calls == [9 * 200]
    for seed, batch in enumerate(batches):
        alone = row_statistics(model, damaged_rows(frame[batch.rows], preprocessor.kinds, seed), directions)
        np.testing.assert_allclose(batch.confidence, alone["probability"].values, rtol=1e-4)
        np.testing.assert_array_equal(batch.correct, alone["correct"].values == 1)
        for name, values in batch.statistics.items():
            np.testing.assert_allclose(values, alone[name].values, rtol=1e-4, atol=1e-4)
