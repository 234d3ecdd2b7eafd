"""Similar rows, near duplicates and outliers through the command line."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from tests.flows.conftest import Answer, caller, person_table
from tests.model_folders import without_manifest
from varjepa.inference.storage import load_model

pytestmark = pytest.mark.slow  # starts a server


@pytest.fixture
def call(
    handed_over: SimpleNamespace, migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Answer]:
    """The command line in a folder with a copy of the model and two tables."""
    shutil.copytree(handed_over.model, tmp_path / "model")
    person_table().write_csv(tmp_path / "people.csv")
    person_table().slice(100, 30).drop("rich").write_parquet(tmp_path / "some.parquet")
    monkeypatch.chdir(tmp_path)
    return caller(tmp_path, migrated, monkeypatch)


def test_similar_rows_with_an_index_that_is_kept(call: Callable[..., Answer], tmp_path: Path) -> None:
    words = ("similar", "model", "people.csv", "some.parquet", "near.parquet", "--k", "3", "--keep", "customer_id,row")
    refused = call(*words, "--json")
    assert refused.code == 2
    assert '--keep names "row", which is not a column' in refused.err
    words = (*words[:-1], "customer_id")
    first = call(*words, "--json")
    assert first.code == 0, first.err
    assert (first.json["queries"], first.json["same"]) == (30, 30)
    assert "The nearest row of 30 rows is an equal one" in first.err
    assert first.json["table_rows"] == 400
    assert not first.json["reused"]  # the refused command has made none
    found = pl.read_parquet("near.parquet")
    assert found.columns == ["query", "rank", "row", "distance", "customer_id"]
    assert found.height == 90
    nearest = found.filter(pl.col("rank") == 1)
    assert nearest["row"].to_list() == list(range(100, 130))
    assert nearest["customer_id"].to_list() == list(range(101, 131))
    assert nearest["distance"].max() < 1e-3
    # The library says the same, and the index is used again until the table changes.
    model = load_model(Path("model"), "cpu")
    alone = model.similar(person_table(), pl.read_parquet("some.parquet"), 3)
    assert alone["row"].to_list() == found["row"].to_list()
    others = call(*words[:4], "other.csv", "--k", "3", "--leave-same", "--json")
    assert (others.json["reused"], others.json["same"]) == (True, 0)
    assert "--leave-same" not in others.err
    assert pl.read_csv("other.csv")["distance"].min() > 1e-3
    person_table(300).write_csv(tmp_path / "people.csv")
    again = call(*words[:4], "third.csv", "--json")
    assert not again.json["reused"]
    assert again.json["table_rows"] == 300


def test_rows_of_a_database_keep_their_columns_in_whatever_order_they_come(
    call: Callable[..., Answer], tmp_path: Path
) -> None:
    """The fingerprint of a query leaves the order out, and an index gives numbers of rows."""
    people = person_table(60)
    people = pl.concat([people, people[:1].with_columns(customer_id=pl.lit(999, people.schema["customer_id"]))])
    words = ("duplicates", "model", "sqlite:///people.db#people", "--within", "1e-3", "--keep", "customer_id", "--json")
    for at, rows in enumerate((people, pl.concat([people[7:], people[:7]]))):
        with closing(sqlite3.connect(tmp_path / "people.db")) as connection:
            connection.execute("DROP TABLE IF EXISTS people")
            names, places = '", "'.join(rows.columns), ", ".join("?" * rows.width)
            connection.execute(f'CREATE TABLE people ("{names}")')
            connection.executemany(f"INSERT INTO people VALUES ({places})", rows.rows())
            connection.commit()
        answer = call(*words[:3], f"{at}.parquet", *words[3:])
        assert (answer.code, answer.json["reused"]) == (0, False), answer.err
        pairs = pl.read_parquet(f"{at}.parquet").select("customer_id", "other.customer_id").rows()
        assert {people["customer_id"][0], 999} in map(set, pairs)


def test_a_folder_for_the_index(call: Callable[..., Answer], tmp_path: Path) -> None:
    words = ("similar", "model", "people.csv", "some.parquet", "out.csv", "--index", "kept", "--force", "--json")
    assert not call(*words).json["reused"]
    assert call(*words).json["reused"]
    changed = call(*words, "--size", "8")
    assert not changed.json["reused"]
    assert "another size: it is made again" in changed.err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    refused = call(*words[:6], "mine", "--force")
    assert refused.code == 2
    assert "mine is not the folder of an index" in refused.err
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


def test_duplicates_and_outliers(call: Callable[..., Answer], tmp_path: Path) -> None:
    table = person_table().drop("rich")
    pl.concat([table, table.slice(7, 2)]).write_csv(tmp_path / "copies.csv")
    done = call("duplicates", "model", "copies.csv", "pairs.csv", "--within", "0.001", "--keep", "age", "--json")
    assert done.code == 0, done.err
    pairs = pl.read_csv("pairs.csv")
    assert pairs.columns == ["row", "other", "distance", "age", "other.age"]
    assert {(7, 400), (8, 401)} <= set(pairs.select("row", "other").rows())
    done = call("outliers", "model", "copies.csv", "far.csv", "--top", "20", "--json")
    assert done.code == 0, done.err
    assert done.json["reused"]
    far = pl.read_csv("far.csv")
    assert far.height == 20
    alone = load_model(Path("model"), "cpu").outliers(pl.concat([table, table.slice(7, 2)]), 20)
    assert far["row"].to_list() == alone["row"].to_list()
    assert (np.diff(far["distance"]) <= 0).all()


def test_a_model_of_before_says_what_to_do(call: Callable[..., Answer], tmp_path: Path) -> None:
    without_manifest(tmp_path / "model")
    (tmp_path / "model" / "vectors.safetensors").unlink()
    refused = call("similar", "model", "people.csv", "some.parquet", "out.csv")
    assert refused.code == 2
    assert "no compact vectors" in refused.err


def test_vectors_are_scored(call: Callable[..., Answer]) -> None:
    done = call("score", "model", "some.parquet", "scores.parquet", "--columns", "vector,prediction", "--json")
    assert done.code == 0, done.err
    scores = pl.read_parquet("scores.parquet")
    assert scores["vector"].dtype == pl.Array(pl.Float32, 64)
    model = load_model(Path("model"), "cpu")
    np.testing.assert_allclose(scores["vector"].to_numpy(), model.vectors(pl.read_parquet("some.parquet")), atol=1e-5)
    assert "prediction" in scores.columns
    text = call("score", "model", "some.parquet", "scores.csv", "--columns", "vector,prediction", "--json")
    assert text.code == 0
    assert "vector is left out" in text.err


def test_reasons_are_scored(call: Callable[..., Answer]) -> None:
    pl.read_parquet("some.parquet").head(6).write_parquet("few.parquet")
    for out in ("reasons.parquet", "reasons.csv"):
        done = call("score", "model", "few.parquet", out, "--columns", "prediction,reasons", "--json")
        assert done.code == 0, done.err
    reasons = pl.read_parquet("reasons.parquet")["reasons"]
    assert reasons.dtype == pl.List(
        pl.Struct({"column": pl.String, "prediction": pl.Float64, "uncertainty": pl.Float64})
    )
    texts = [json.loads(text) for text in pl.read_csv("reasons.csv")["reasons"]]
    assert [[part["column"] for part in row] for row in texts] == [
        [part["column"] for part in row] for row in reasons.to_list()
    ]
    parts = load_model(Path("model"), "cpu").reasons(pl.read_parquet("few.parquet")).prediction
    np.testing.assert_allclose(parts.parts.sum(1), parts.value - parts.base, atol=1e-6)
