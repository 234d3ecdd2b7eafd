"""Parts of dates and embeddings of text: what they hold, that they are kept, and how a fit chooses them."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from varjepa.config import DataSection, PreprocessSection
from varjepa.data.encode import derived
from varjepa.data.encode.derived import TextEmbedding
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.encode.tensors import to_tensors
from varjepa.data.fit import derived_columns
from varjepa.data.fit.partitioned_rows import PartitionedRows
from varjepa.data.fit.preprocessor_fit import fit, fit_rows
from varjepa.data.fit.streamed_rows import StreamedRows
from varjepa.data.read.text_columns import sketch
from varjepa.errors import DataError

N = 400
DATA = DataSection(name="t")
TITLES = ["Mr.", "Mrs.", "Miss", "Dr."]
LAST = ["Smith", "Jones", "Keller", "Brandt", "Horn", "Jensen", "Miller", "Dupont", "Rossi", "Garcia"]


def people(rows: int = N, seed: int = 0) -> tuple[pl.DataFrame, np.ndarray]:
    """A table with names, and the number of each row's title."""
    rng = np.random.default_rng(seed)
    title = rng.integers(len(TITLES), size=rows)
    names = [f"{rng.choice(LAST)}, {TITLES[k]} {rng.choice(LAST)} {rng.integers(10**6)}" for k in title]
    return pl.DataFrame({"name": names, "size": rng.normal(size=rows)}), title


def fitted(frame: pl.DataFrame, **preprocess: object) -> Preprocessor:
    return fit(frame.lazy(), DATA, PreprocessSection(**preprocess))


def test_parts_of_a_date_are_categories_where_they_vary() -> None:
    start = datetime(2024, 1, 1)  # noqa: DTZ001 (a table without time zones)
    frame = pl.DataFrame({
        "moment": [start + timedelta(hours=7 * k) for k in range(N)],
        "noon": [start + timedelta(days=k, hours=12) for k in range(N)],
        "day": [date(2024, 3, 1) + timedelta(days=k % 30) for k in range(N)],
        "noon (month)": np.arange(N) % 7,
    }).with_columns(pl.when(pl.int_range(N) != 3).then("moment").alias("moment"))  # fmt: skip
    preprocessor = fitted(frame)
    made = {name: (part.source, part.part) for part in preprocessor.derived for name in part.names}
    assert made == {
        "moment (month)": ("moment", "month"), "moment (weekday)": ("moment", "weekday"),
        "moment (hour)": ("moment", "hour"), "noon (month) 2": ("noon", "month"),
        "noon (weekday)": ("noon", "weekday"), "day (weekday)": ("day", "weekday"),
    }  # fmt: skip
    assert preprocessor.columns == frame.columns
    words = preprocessor.derive(frame.lazy()).collect()
    assert words["moment (hour)"].to_list() == frame["moment"].dt.hour().to_list()
    assert words["day (weekday)"].to_list() == frame["day"].dt.weekday().to_list()
    # A date that came as text gives the same parts.
    as_text = frame.with_columns(pl.col("moment").dt.strftime("%Y-%m-%dT%H:%M:%S"))
    assert preprocessor.encode(as_text.lazy()).collect().equals(preprocessor.encode(frame.lazy()).collect())
    assert not fitted(frame, date_parts=False).derived


@pytest.mark.slow
def test_names_become_numbers_that_tell_what_they_say() -> None:
    """A linear model reads the title from the embedding of names that it has not seen."""
    frame, title = people()
    preprocessor = fitted(frame)
    assert preprocessor.kinds == {"size": "numeric", "name": "text"}
    assert preprocessor.order == ("size",)
    assert preprocessor.columns == ["size", "name"]

    def numbers(rows: pl.DataFrame) -> np.ndarray:
        return to_tensors(preprocessor.encode(rows.lazy()).collect(), preprocessor).numeric.numpy()

    unseen, right = people(300, seed=1)
    model = LogisticRegression(max_iter=1000).fit(numbers(frame), title)
    assert model.score(numbers(unseen), right) > 0.9  # a quarter by chance
    again = Preprocessor.model_validate_json(preprocessor.model_dump_json())
    assert again.encode(unseen.lazy()).collect().equals(preprocessor.encode(unseen.lazy()).collect())


@pytest.mark.slow
def test_an_embedding_does_not_depend_on_the_other_rows() -> None:
    frame, _ = people()
    preprocessor = fitted(frame)
    whole = preprocessor.encode(frame.lazy()).collect()
    parts = pl.concat([preprocessor.encode(frame[start : start + 7].lazy()).collect() for start in range(0, N, 7)])
    assert parts.equals(whole)
    empty = preprocessor.encode(pl.DataFrame({"name": ["", None, "!"], "size": [0.0, 0.0, 0.0]}).lazy()).collect()
    assert empty["name (text 1)"].is_null().to_list() == [True, True, False]
    assert empty.select(pl.all().is_finite().all()).row(0)


def test_texts_that_come_again_are_embedded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, _ = people(60)
    embedding = next(made for made in fitted(frame).derived if isinstance(made, TextEmbedding))
    asked = list[str]()
    counts = derived.hashed_counts

    def counted(texts: Sequence[str], hashes: int) -> Any:
        asked.extend(texts)
        return counts(texts, hashes)

    monkeypatch.setattr(derived, "hashed_counts", counted)
    monkeypatch.setattr(derived, "FEWEST_LOOKED_UP", 0)  # so that a small table shows it
    derived._embedder.cache_clear()
    expression = embedding.read(pl.String)

    def numbers(names: pl.Series) -> pl.DataFrame:
        return names.to_frame("name").select(expression).unnest("name")

    first = numbers(frame["name"])
    assert sorted(asked) == sorted(frame["name"].unique())
    new = pl.Series(["Mr. Nobody", None])
    again = numbers(pl.concat([frame["name"][:30], new]))
    assert asked[60:] == ["Mr. Nobody"]
    assert again[:30].equals(first[:30])
    assert again.row(31) == (None,) * len(embedding.names)

    # Where texts take too much memory, those of before are forgotten.
    monkeypatch.setattr(derived, "MOST_REMEMBERED", 500)
    assert numbers(pl.Series(["Dr. Nobody"])).equals(numbers(pl.Series(["Dr. Nobody"])))
    assert asked[61:] == ["Dr. Nobody"]
    assert numbers(frame["name"]).equals(first)
    assert len(asked) == 62 + 60


def test_categories_of_which_many_are_rare_are_read_as_text_too() -> None:
    rng = np.random.default_rng(0)
    streets = [f"{rng.choice(LAST)} Street {k}" for k in range(80)]
    often = pl.Series("street", [*rng.choice(["Main Road", "High Road"], N - 160), *streets, *streets])
    frame = pl.DataFrame({"street": often, "word": rng.choice(["a", "b"], N)})
    preprocessor = fitted(frame)
    assert preprocessor.rare == {"street": pytest.approx(160 / N)}
    assert preprocessor.kinds == {"street": "categorical", "word": "categorical"}
    assert set(preprocessor.sources.values()) == {"street"}
    assert preprocessor.order == ("street", "word")
    few = fitted(frame, min_count=1)
    assert not few.derived
    assert not few.rare


def test_texts_of_a_nearly_empty_column_are_read_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evenly spaced rows held next to none of them, and the column was left out: "it has too few different texts"."""
    frame, _ = people()
    rows = pl.DataFrame({"x": np.arange(20 * 60) % 7}).with_columns(
        name=pl.Series([frame["name"][row // 20] if row % 20 == 1 else None for row in range(20 * 60)], dtype=pl.String)
    )
    monkeypatch.setattr(derived_columns, "TEXTS", 60)  # as if the column had far more
    whole = fit_rows(StreamedRows(rows.lazy()), DATA, PreprocessSection())
    assert whole.kinds == {"x": "numeric", "name": "text"}
    parts = [partial(rows[low:high].lazy) for low, high in pairwise([0, 7, 650, 651, rows.height])]
    parted = fit_rows(PartitionedRows(parts), DATA, PreprocessSection())
    assert parted.derived == whole.derived


def test_partitions_choose_and_fit_the_same() -> None:
    frame, _ = people()
    frame = frame.with_columns(day=pl.Series([date(2024, 1, 1) + timedelta(days=k) for k in range(N)]))
    parts = [partial(frame[low:high].lazy) for low, high in pairwise([0, 7, 250, 251, N])]
    whole = fit_rows(StreamedRows(frame.lazy()), DATA, PreprocessSection())
    parted = fit_rows(PartitionedRows(parts), DATA, PreprocessSection())
    assert parted.derived == whole.derived
    assert parted.names == whole.names


def test_text_may_be_left_out() -> None:
    frame, _ = people()
    without = fitted(frame, text_dimensions=0)
    assert without.names == ["size"]
    assert without.left_out == {"name": "preprocess.text_dimensions is 0"}
    with pytest.raises(DataError, match="No feature is left"):
        fitted(frame.select("name"), text_dimensions=0)


def test_a_sketch_is_the_sketch_of_the_sketches_of_parts() -> None:
    words = pl.Series([f"w{k % 3000}" for k in range(5000)])
    parts = pl.Series([word for start in range(0, 5000, 700) for word in sketch(words[start : start + 700])])
    assert sketch(parts) == sketch(words) == sketch(words.shuffle(seed=1))


def test_blank_text_is_missing_as_in_an_opened_table() -> None:
    frame, _ = people()
    preprocessor = fitted(frame)
    cells = preprocessor.encode(frame.head(3).with_columns(name=pl.Series(["", " ", None])).lazy()).collect()
    assert cells["name (text 1)"].null_count() == 3
