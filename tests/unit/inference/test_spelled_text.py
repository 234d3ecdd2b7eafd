"""The same text means the same value in every way to ask a model: library, file, and the served model's requests."""

import json
import math
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from varjepa.data.encode.tensors import to_tensors
from varjepa.data.read.sources import open_path
from varjepa.errors import DataError
from varjepa.inference.cell_events import cell_events
from varjepa.inference.estimator import VarTJEPA
from varjepa.inference.model import TrainedModel
from varjepa.tasks.registry.served_model import to_polars

SMALL = {"model": {"d_hidden": 8, "n_layers": 1}, "training": {"max_epochs": 1}, "generator": {"n_layers": 0}}
ROWS = 60


def spelled_table() -> pl.DataFrame:
    """Sixty rows in which nothing is spelled plainly."""
    amounts = [f"{1000.5 + 37.25 * k:,.2f}".translate(str.maketrans(",.", ".,")) for k in range(ROWS)]
    days = [date(2015, 1, 1) + timedelta(days=11 * k) for k in range(ROWS)]
    return pl.DataFrame({
        "amount": [f"{amount} €" for amount in amounts], "share": [f"{k % 17} %" for k in range(ROWS)],
        "level": ["refused" if k % 5 == 0 else str(k * k % 31) for k in range(ROWS)],
        "due": [f"{day:%d/%m/%Y}" for day in days], "time": [f"{k % 12 + 1}:{k:02} PM" for k in range(ROWS)],
        "took": [f"{k // 2}:{k:02}:00" for k in range(ROWS)],
        "created": [1_420_070_400 + 3600 * k * k for k in range(ROWS)],
        "kind": [["ab", "cd", "n/a"][k % 3] for k in range(ROWS)], "pair": [["1,5", "2,5"][k % 2] for k in range(ROWS)],
    })  # fmt: skip


def meant_table() -> pl.DataFrame:
    """The same in plain types."""
    return spelled_table().with_columns(
        amount=pl.Series([1000.5 + 37.25 * k for k in range(ROWS)]),
        share=pl.Series([k % 17 / 100 for k in range(ROWS)]),
        level=pl.Series([None if k % 5 == 0 else k * k % 31 for k in range(ROWS)]),
        due=pl.Series([date(2015, 1, 1) + timedelta(days=11 * k) for k in range(ROWS)]),
        time=pl.Series([((k % 12 + 1) % 12 + 12) * 3600 + k * 60 for k in range(ROWS)]),
        took=pl.Series([k // 2 * 3600 + k * 60 for k in range(ROWS)]),
        created=pl.Series([datetime.fromisoformat("2015-01-01") + timedelta(hours=k * k) for k in range(ROWS)]),
        pair=pl.Series([[1.5, 2.5][k % 2] for k in range(ROWS)]),
    )  # fmt: skip


@pytest.fixture(scope="module")
def learned() -> VarTJEPA:
    return VarTJEPA(SMALL).fit(spelled_table())


@pytest.mark.slow
def test_text_is_learned_as_what_it_means(learned: VarTJEPA) -> None:
    kinds = learned.model_.preprocessor.kinds
    assert kinds == dict.fromkeys(["amount", "share", "level", "time", "took"], "numeric") | {
        "due": "date", "created": "date", "kind": "categorical", "pair": "boolean",
    }  # fmt: skip
    formats = {name: section.format for name, section in learned.model_.config.data.columns.items()}
    assert formats == {
        "amount": "1.234,5 €", "share": "1234.5 %", "level": "1234.5", "due": "%d/%m/%Y", "time": "time of day",
        "took": "duration", "created": "epoch seconds", "pair": "1234,5",
    }  # fmt: skip


@pytest.mark.slow
def test_library_file_and_request_read_text_alike(learned: VarTJEPA, tmp_path: Path) -> None:
    learned.save(tmp_path / "model")
    loaded = VarTJEPA.load(tmp_path / "model")
    model, table = loaded.model_, spelled_table()
    wanted = encoded(model, meant_table())
    assert encoded(learned.model_, table).equals(wanted)
    np.testing.assert_array_equal(loaded.transform(table), learned.transform(meant_table()))
    # A few rows, whose own cells do not show how they are spelled.
    assert encoded(model, table[3:5]).equals(wanted[3:5])
    assert encoded(model, meant_table()[3:5]).equals(wanted[3:5])
    # Requests to the served model, in JSON.
    rows = json.loads(json.dumps(table.to_dicts()))
    assert encoded(model, to_polars(pd.DataFrame(rows[3:5]))).equals(wanted[3:5])
    texts = pd.DataFrame([{name: str(cell) for name, cell in row.items()} for row in rows])
    assert encoded(model, to_polars(texts)).equals(wanted)
    # Files.
    for number, part in enumerate((slice(0, ROWS), slice(3, 5))):
        file = tmp_path / f"{number}.csv"
        table[part].write_csv(file)
        read = open_path(str(file), model.config.data, model.preprocessor.text).frame.collect()
        assert encoded(model, read).equals(wanted[part])


def encoded(model: TrainedModel, rows: pl.DataFrame) -> pl.DataFrame:
    """What the network sees of rows."""
    return model.preprocessor.encode(rows.lazy()).collect()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [("amount", "much", "numbers"), ("due", "2015-31-12", "dates"), ("took", "long", "durations"),
     ("level", "7 kg", "numbers")],
)  # fmt: skip
def test_text_that_cannot_be_read_is_named(learned: VarTJEPA, name: str, text: str, expected: str) -> None:
    table = spelled_table().with_columns(pl.Series(name, [text] * ROWS))
    with pytest.raises(DataError, match=f'"{name}" holds text, for example "{text}". Expected {expected}.*, as in tr'):
        learned.transform(table)


def test_usual_gap_words_are_gaps_of_a_plain_column() -> None:
    table = pl.DataFrame(
        {"size": [float(k % 13) for k in range(ROWS)], "due": [date(2015, 1, 1 + k % 28) for k in range(ROWS)]}
    )
    model = VarTJEPA(SMALL).fit(table)
    gaps = pl.DataFrame({"size": [None, 2.0], "due": [None, date(2015, 1, 3)]})
    texts = pl.DataFrame({"size": ["n/a", "2.0"], "due": ["-", "2015-01-03"]})
    np.testing.assert_array_equal(model.transform(texts), model.transform(gaps))
    with pytest.raises(DataError, match="1,234"):
        model.transform(texts.with_columns(size=pl.Series(["1,234", "5"])))


@pytest.mark.parametrize(
    "words", [("yes", "no"), ("Y", "n"), ("T", "f"), ("TRUE", "False"), ("1", "0"), ("on", "off"), ("Ja", "nein")]
)
def test_booleans_may_be_any_of_the_usual_words(words: tuple[str, str]) -> None:
    table = pl.DataFrame({"paid": [k % 3 == 0 for k in range(ROWS)], "size": [k % 7 for k in range(ROWS)]})
    model = VarTJEPA(SMALL).fit(table)
    said = table.with_columns(paid=pl.Series([words[0] if paid else words[1] for paid in table["paid"]]))
    np.testing.assert_array_equal(model.transform(said), model.transform(table))


def test_numbers_that_overflow_count_as_missing() -> None:
    sizes = [k / 2 for k in range(ROWS)]
    table = pl.DataFrame({"size": [*sizes, 1.7e308, -1.7e308, math.inf], "other": [k % 7 for k in range(ROWS + 3)]})
    model = VarTJEPA(SMALL).fit(table)
    feature = model.model_.preprocessor.numeric[0]
    assert (feature.smallest, feature.largest) == (0.0, 29.5)
    assert np.isfinite(model.transform(table)).all()


@pytest.mark.slow
@pytest.mark.parametrize("numeric", ["standard", "quantile"])
def test_windows_of_the_gate_hold_the_cells_as_they_are_encoded(numeric: str) -> None:
    """Ends of windows were read as the text of cells: dates with the day first ended retrains with 437 test rows."""
    told = VarTJEPA({**SMALL, "preprocess": {"numeric": numeric}}).fit(spelled_table()).model_.preprocessor
    events = cell_events(spelled_table(), [told])
    assert events is not None
    found = events.encoded(told, torch.device("cpu"))
    table = to_tensors(told.encode(spelled_table().lazy()).collect(), told)
    for j, feature in enumerate(told.numeric):
        seen = table.observed[:, j] & found.compared[:, j]
        assert seen.any(), feature.name
        codes = table.numeric[seen, j].double()
        assert (found.lower[seen, j] < codes + 1e-5).all(), feature.name
        assert (codes - 1e-5 < found.upper[seen, j]).all(), feature.name
