"""From a table in a store to a registered model, and its scores back into the same store."""

import json
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from tests.flows.conftest import SMALL, person_table
from tests.store_servers import BUCKET, S3
from varjepa.config import load_config
from varjepa.tasks.retrain.ingest import ingest


def small_job(home: Path, name: str) -> Path:
    """The config that `init` wrote, with a network that trains in seconds."""
    file = home / name
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | SMALL | {"probe": {"head": "linear"}}))
    return file


def test_a_bucket(varjepa, s3: S3, tmp_path: Path) -> None:
    home = tmp_path / "home"
    table = person_table(300)
    for part in range(3):
        s3.put_parquet(f"people/part-{part}.parquet", table[part * 100 : part * 100 + 100])
    place, out = f"s3://{BUCKET}/people/", f"s3://{BUCKET}/out/people-scores.parquet"
    assert varjepa("init", place, "--label", "rich").code == 0
    job = small_job(home, "people.yaml")
    assert yaml.safe_load(job.read_text())["data"]["path"] == place
    first = varjepa("retrain", job, "--json")
    assert first.code == 0, first.err
    config = load_config(job)
    (snapshot,) = Path("mlruns/work").glob("ingest-*/snapshot.parquet")
    assert ingest.fn(config).path == snapshot.relative_to(".")  # as it was, without reading the rows again
    scored = varjepa("score", "models:/people/1", place, out, "--keep", "customer_id", "--json")
    assert scored.json["out"] == out
    back = pl.read_parquet(s3.get("out/people-scores.parquet"))
    assert back["customer_id"].to_list() == table["customer_id"].to_list()
    assert "embedding" in back.columns
    again = varjepa("score", "models:/people/1", place, out)
    assert again.code == 2
    assert "already exists" in again.err
    s3.put_parquet("people/part-3.parquet", table[:50])
    assert ingest.fn(config).rows == 350


@pytest.fixture
def customers(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A table of customers in a database that the variable SHOP names; yields the password."""
    import adbc_driver_postgresql.dbapi

    with closing(adbc_driver_postgresql.dbapi.connect(postgres_server)) as connection:
        cursor = connection.cursor()
        cursor.adbc_ingest("customers", person_table(300).to_arrow(compat_level=pl.CompatLevel.oldest()), "replace")
        cursor.close()
        connection.commit()
    monkeypatch.setenv("SHOP", postgres_server)
    return postgres_server.partition("varjepa:")[2].partition("@")[0]


def test_a_database(varjepa, customers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, query = tmp_path / "home", "SELECT * FROM customers WHERE since <= :day"
    started = varjepa("init", "${SHOP}", "--query", query, "--parameter", "day={{ run_date }}", "--label", "rich",
                      "--out", "shop.yaml")  # fmt: skip
    assert started.code == 0, started.err
    job = small_job(home, "shop.yaml")
    data = yaml.safe_load(job.read_text())["data"]
    assert (data["path"], data["query"], data["parameters"]) == ("${SHOP}", query, {"day": "{{ run_date }}"})
    first = varjepa("retrain", job, "--json")
    assert first.code == 0, first.err
    assert first.json["data"]["rows"] == 300

    # A schedule sees that the rows are the same, although the day of the run is another one.
    from varjepa.flows.schedule import scheduled_retrain

    monkeypatch.setattr("varjepa.tasks.sources.run_day.planned_day", lambda zone=None: date(2999, 1, 1))
    monkeypatch.chdir(home)
    state = scheduled_retrain(load_config(job), return_state=True)
    assert state.name == "Skipped", state
    assert "2999-01-01" in json.dumps(parameters_of(home))

    scored = varjepa("score", "models:/shop/1", "${SHOP}#customers", "${SHOP}#scores", "--keep", "customer_id")
    assert scored.code == 0, scored.err
    assert varjepa("sample", "models:/shop/1", 20, "${SHOP}#scores").code == 2
    assert varjepa("sample", "models:/shop/1", 20, "${SHOP}#new_people", "--json").json["rows"] == 20
    assert varjepa("impute", "models:/shop/1", "${SHOP}", "${SHOP}#filled", "--query",
                   "SELECT * FROM customers LIMIT 30", "--json").json["rows"] == 30  # fmt: skip
    drifted = varjepa("drift", "models:/shop/1", "${SHOP}#customers", "--json")
    assert drifted.code == 0, drifted.err
    assert rows_of("scores") == 300
    assert_no_file_holds(home, customers)


def rows_of(table: str) -> int:
    from varjepa.tasks.sources.address import require_place
    from varjepa.tasks.sources.open_table import opened_table

    with opened_table(require_place(f"${{SHOP}}#{table}", {})) as source:
        return int(source.frame.select(pl.len()).collect().item())


def parameters_of(home: Path) -> dict[str, Any]:
    """The parameters of the newest run."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home}/mlruns/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name != 'Default'")
    return client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])[0].data.params


def assert_no_file_holds(home: Path, password: str) -> None:
    files = [file for file in home.rglob("*") if file.is_file()]
    assert len(files) > 20
    assert [file for file in files if password.encode() in file.read_bytes()] == []


@pytest.mark.parametrize(("arguments", "words"), [
    (["init", "postgresql://me:sesame@host/db#t"], "holds a password"),
    (["drift", "models:/none/1", "postgresql://me:sesame@host/db#t"], "holds a password"),
    (["init", "${NO_SUCH_PLACE}"], "NO_SUCH_PLACE, which is not set"),
    (["init", "postgresql://me@127.0.0.1:9/db#t"], "does not answer"),
    (["init", "postgresql://me@127.0.0.1:9/db"], "needs either data.query or a table"),
    (["init", "people.csv", "--query", "SELECT 1"], "needs the URI of a database"),
    (["init", "sqlite:///x.db", "--query", "SELECT :a", "--parameter", "a"], "is not a name and a value"),
])  # fmt: skip
def test_mistakes_end_with_words_and_code_2(varjepa, arguments: list[str], words: str) -> None:
    answer = varjepa(*arguments)
    assert answer.code == 2
    assert words in answer.err
    assert "sesame" not in answer.err
