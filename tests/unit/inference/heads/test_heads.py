"""Heads: what they learn, how they are chosen, and that they come back from files."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from varjepa.config import parse_config
from varjepa.config.encoder_sizes import WIDE_FEATURES
from varjepa.config.heads import ProbeSection, UncertaintySection
from varjepa.data.encode.features import LABEL
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.encode.tensors import to_tensors
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.evaluation.probe import LinearProbe
from varjepa.evaluation.uncertainty.calibration import fit_temperature
from varjepa.inference.fitted_uncertainty import fit_uncertainty
from varjepa.inference.heads.candidates import Fitting
from varjepa.inference.heads.choice import GAIN, Chosen, Judged, _best, choose_head
from varjepa.inference.heads.forest import fit_forest
from varjepa.inference.heads.head import Head
from varjepa.inference.heads.inputs import HeadRows, RawColumns, tree_inputs
from varjepa.inference.heads.labelled import HeadData, all_outputs
from varjepa.inference.heads.linear import LinearHead
from varjepa.inference.heads.soundness import HeadSizes, require_head
from varjepa.inference.heads.stacked import stacking_weights
from varjepa.inference.heads.storage import HEAD_FILE, load_head, save_head
from varjepa.inference.heads.unseen import Unseen

EVERY = [
    ("linear", "embedding"), ("linear", "raw"), ("linear", "both"), ("boosted", "raw"), ("boosted", "both"),
    ("forest", "raw"), ("forest", "embedding"), ("mlp", "both"), ("mlp", "raw"), ("mlp", "embedding"),
    ("stacked", "auto"),
]  # fmt: skip


def table(rows: int, seed: int, *, pattern: str) -> pl.DataFrame:
    """Numbers, a category and gaps; the label follows them in a straight line, by an exclusive or, or not at all."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, rows))
    kind = rng.choice(["a", "b", "c"], rows)
    signal = {"line": x + (kind == "a"), "xor": 2.0 * np.sign(x * y), "none": np.zeros(rows)}[pattern]
    value = signal + 0.5 * rng.normal(size=rows)
    frame = pl.DataFrame({"x": x, "y": y, "kind": kind, "value": value, "class": np.where(value > 0, "yes", "no")})
    return frame.with_columns(pl.when(pl.int_range(pl.len()) % 11 == 3).then(None).otherwise("y").alias("y"))


def data_of(frame: pl.DataFrame, preprocessor: Preprocessor) -> HeadData:
    """The rows with an embedding that is no more than noise and one of the numbers."""
    encoded = preprocessor.encode(frame.lazy(), with_label=True).collect()
    tensors, noise = to_tensors(encoded, preprocessor), torch.Generator().manual_seed(frame.height)
    flat = torch.cat([tensors.numeric[:, :1], torch.randn(frame.height, 5, generator=noise)], dim=1)
    return HeadData(HeadRows(flat, tensors), torch.tensor(encoded[LABEL].to_numpy().copy()))


def fitting_of(
    pattern: str, *, label: str = "class", head: str = "auto", features: str = "auto", rows: int = 700
) -> tuple[Fitting, HeadData]:
    """Everything to fit heads on, and test rows."""
    other = "value" if label == "class" else "class"
    config = parse_config({"data": {"name": "table", "label": label, "drop": [other]}})
    frames = [table(count, seed, pattern=pattern) for seed, count in enumerate((rows, rows // 2, 400))]
    preprocessor = fit(frames[0].lazy(), config.data, config.preprocess)
    train, validation, test = (data_of(frame, preprocessor) for frame in frames)
    section = ProbeSection(head=head, features=features, l2=(1e-3,))
    return Fitting(train, validation, preprocessor, 2 if label == "class" else 0, section, 0), test


def sizes_of(fitting: Fitting) -> HeadSizes:
    """Sizes of the embedding, the table and the label of `fitting_of`."""
    return HeadSizes(fitting.train.rows.flat.shape[1], fitting.preprocessor.sizes, fitting.n_classes)


def score(chosen: Chosen, test: HeadData) -> float:
    """Accuracy or R2."""
    outputs, labels = all_outputs(chosen.head, test.rows), test.labels.numpy()
    if outputs.shape[1] > 1:
        return float((outputs.argmax(1) == labels).mean())
    return float(1 - ((outputs[:, 0] - labels) ** 2).mean() / labels.var())


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "features"), EVERY)
@pytest.mark.parametrize("label", ["class", "value"])
def test_every_head_learns_comes_back_and_ignores_the_rows_beside_a_row(
    kind: str, features: str, label: str, tmp_path: Path
) -> None:
    fitting, test = fitting_of("line", label=label, head=kind, features=features)
    chosen = choose_head(fitting)
    assert chosen.head.kind == kind
    assert score(chosen, test) > 0.6
    outputs = all_outputs(chosen.head, test.rows)
    assert outputs.dtype == np.float64
    save_head(tmp_path, chosen.head)
    again = load_head(tmp_path / HEAD_FILE, fitting.preprocessor, torch.device("cpu"))
    np.testing.assert_array_equal(all_outputs(again, test.rows), outputs)
    require_head(again, sizes_of(fitting))
    some = torch.tensor([7, 3, 399])
    np.testing.assert_allclose(all_outputs(again, test.rows.take(some)), outputs[some.numpy()], rtol=1e-5, atol=1e-5)
    assert all_outputs(again, test.rows.take(slice(0, 0))).shape == (0, outputs.shape[1])


@pytest.mark.slow
@pytest.mark.parametrize("label", ["class", "value"])
def test_no_complex_head_ships_where_the_label_is_linear_or_noise(label: str) -> None:
    for pattern, expected in (("line", {"linear"}), ("none", {"linear", "boosted"})):
        fitting, _ = fitting_of(pattern, label=label)
        chosen = choose_head(fitting)
        assert chosen.head.kind in expected, pattern
        assert "rows that it was not fitted on" in chosen.reason  # 350 validation rows are few


def test_another_head_replaces_the_best_so_far_only_if_it_is_better_by_enough() -> None:
    one, zero = torch.ones(1), torch.zeros(1)
    probe = LinearProbe(zero, one, one[None], zero, 1.0)

    def judged(mean: float) -> Judged:
        return Judged(LinearHead(probe), np.array([0.0, 2 * mean]))

    def best(start: Judged, *others: Judged) -> Head:
        return _best(start, others, "")[0]

    first, hardly, better = judged(1.0), judged(1 - 0.9 * GAIN), judged(1 - 1.1 * GAIN)
    assert best(first) is first.head
    assert best(first, hardly) is first.head
    assert best(first, hardly, better) is better.head
    assert best(first, better, judged(1 - 1.9 * GAIN)) is better.head


def test_temperature_and_choice_rest_on_training_rows_that_were_left_out_too(monkeypatch: pytest.MonkeyPatch) -> None:
    fitting, _ = fitting_of("line", rows=100)
    head, unseen = fitting.head("linear", "raw"), Unseen(fitting)
    outputs, validation = unseen.outputs(head), all_outputs(head, fitting.validation.rows)
    np.testing.assert_array_equal(outputs, np.concatenate([fitting.held_out(head), validation]))
    probe = fitting.head("linear", "embedding").probe

    def temperature() -> float:
        return fit_uncertainty(fitting, probe, head, None, section=UncertaintySection(ensemble=1)).temperature

    assert temperature() == fit_temperature(outputs, unseen.labels.astype(np.int64))
    monkeypatch.setattr("varjepa.inference.heads.candidates.MOST", 99)  # so many training rows need not be left out
    assert temperature() == fit_temperature(validation, fitting.validation.labels.numpy().astype(np.int64))


@pytest.mark.slow
def test_another_head_ships_where_no_line_helps() -> None:
    fitting, test = fitting_of("xor")
    chosen = choose_head(fitting)
    assert chosen.head.kind != "linear"
    assert score(chosen, test) > 0.9
    assert set(chosen.losses) == {
        "linear on embedding", "linear on raw", "boosted on raw", "forest on raw", "mlp on both", "stacked"
    }  # fmt: skip


@pytest.mark.slow
def test_without_validation_rows_the_simplest_ships() -> None:
    fitting, _ = fitting_of("line")
    fitting.validation = HeadData(fitting.validation.rows.take(slice(0, 0)), fitting.validation.labels[:0])
    chosen = choose_head(fitting)
    assert (chosen.head.kind, chosen.losses) == ("linear", {})


def test_a_forest_walks_its_trees_as_the_library_that_grew_them() -> None:
    from sklearn.ensemble import ExtraTreesRegressor

    fitting, test = fitting_of("xor", label="value")
    labels = fitting.train.labels
    none = np.zeros(len(labels), dtype=bool)
    head = fit_forest(fitting.train.rows, labels, "raw", None, n_classes=0, held=none, seed=3)
    x, other = (tree_inputs(rows, "raw", None).numpy() for rows in (fitting.train.rows, test.rows))
    forest = ExtraTreesRegressor(len(head.nodes.roots), max_features=0.5, min_samples_leaf=1, random_state=3)
    forest.fit(x, (labels.numpy() - head.center) / head.spread)
    expected = forest.predict(other) * head.spread + head.center
    np.testing.assert_allclose(head.outputs(test.rows)[:, 0].numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("columns", "bends"), [(WIDE_FEATURES - 1, True), (WIDE_FEATURES, False)])
def test_networks_bend_the_numbers_of_tables_that_are_not_wide(columns: int, bends: bool, tmp_path: Path) -> None:
    cells = np.random.default_rng(0).normal(size=(60, columns))
    frame = pl.DataFrame({f"c{j}": cells[:, j] for j in range(columns)} | {"y": np.where(cells[:, 0] > 0, "a", "b")})
    config = parse_config({"data": {"name": "table", "label": "y"}})
    preprocessor = fit(frame.lazy(), config.data, config.preprocess)
    data = data_of(frame, preprocessor)
    head = Fitting(data, data, preprocessor, 2, ProbeSection(), 0).head("mlp", "raw")
    assert head.networks.frequency.shape[1] == (columns if bends else 0)
    save_head(tmp_path, head)
    loaded = load_head(tmp_path / HEAD_FILE, preprocessor, torch.device("cpu"))
    assert torch.equal(loaded.outputs(data.rows), head.outputs(data.rows))


def test_a_linear_model_of_raw_columns_reads_numbers_as_they_are() -> None:
    """A label in proportion to a heavily skewed column, whose normal scores it is far from."""
    rng = np.random.default_rng(0)
    frames = [pl.DataFrame({"x": np.exp(2 * rng.normal(size=1000))}).with_columns(pl.col("x").alias("value"))
              for _ in range(3)]  # fmt: skip
    config = parse_config({"data": {"name": "table", "label": "value", "kinds": {"x": "numeric"}}})
    preprocessor = fit(frames[0].lazy(), config.data, config.preprocess)
    assert preprocessor.numeric[0].transform == "quantile"
    train, validation, test = (data_of(frame, preprocessor) for frame in frames)
    fitting = Fitting(train, validation, preprocessor, 0, ProbeSection(), 0)
    head = fitting.head("linear", "raw")
    inside = test.labels <= preprocessor.numeric[0].largest
    error = (head.outputs(test.rows)[:, 0] - test.labels)[inside]
    assert float(error.square().mean() / test.labels[inside].var()) < 0.01
    warped = RawColumns(preprocessor, warped=True)(test.rows.table)
    assert float(warped[:, 0].abs().max()) < 5


def test_a_linear_model_of_raw_columns_sees_the_bands_of_an_amount_that_is_mostly_zero(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def frame(rows: int) -> pl.DataFrame:
        amount = np.where(rng.random(rows) < 0.7, 0.0, rng.lognormal(8, 1, rows).round())
        likely = (amount > 2000) & (amount < 4000) | (amount > 8000)
        gaps = pl.when(pl.int_range(pl.len()) % 9 == 4).then(None).otherwise("amount").alias("amount")
        labels = np.where(likely, "yes", "no")
        return pl.DataFrame({"amount": amount, "other": rng.normal(size=rows), "y": labels}).with_columns(gaps)

    config = parse_config({"data": {"name": "table", "label": "y"}})
    frames = [frame(800) for _ in range(3)]
    preprocessor = fit(frames[0].lazy(), config.data, config.preprocess)
    train, validation, test = (data_of(each, preprocessor) for each in frames)
    fitting = Fitting(train, validation, preprocessor, 2, ProbeSection(l2=(1e-4,)), 0)
    for features in ("raw", "both"):
        head = fitting.head("linear", features)
        observed = test.rows.table.observed[:, 0]
        assert float((head.outputs(test.rows).argmax(1) == test.labels)[observed].double().mean()) > 0.95
        sizes = HeadSizes(test.rows.flat.shape[1], preprocessor.sizes, 2)
        save_head(tmp_path, head)
        loaded = load_head(tmp_path / HEAD_FILE, preprocessor, torch.device("cpu"))
        require_head(loaded, sizes)
        assert torch.equal(loaded.outputs(test.rows), head.outputs(test.rows))
    columns = RawColumns.readings(preprocessor)[0]
    inputs = columns(test.rows.table)
    assert inputs.shape == (800, columns.width)
    assert not inputs[~observed, 4:].any()  # after two numbers and whether they are observed


def test_stacking_weights_prefer_the_member_that_knows() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=500).astype(float)
    knows = np.log(np.where(labels[:, None] == np.arange(2), 0.9, 0.1))
    guesses = np.log(np.full((500, 2), 0.5)) + rng.normal(size=(500, 2))
    first, second = stacking_weights([knows, guesses - np.logaddexp.reduce(guesses, axis=1, keepdims=True)], labels)
    assert first > 0.8
    assert second < 0.2
    values = [labels[:, None] + 0.1 * rng.normal(size=(500, 1)), rng.normal(size=(500, 1))]
    weights = stacking_weights(values, labels)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] > 0.9
