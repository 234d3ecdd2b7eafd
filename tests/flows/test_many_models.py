"""A registry of 250 models, and versions whose runs or files somebody has removed."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flows.conftest import Answer

MODEL = Path(__file__).parent / "registered_by_40547f5" / "t_jepa" / "model"
MANY, LAST = 250, "model-249"


@pytest.fixture
def crowded(varjepa: Callable[..., Answer], tmp_path: Path) -> Callable[..., Answer]:
    """A store with 250 models of a version each, and a champion of the last."""
    from mlflow import MlflowClient

    database = tmp_path / "home" / "mlruns" / "mlflow.db"
    model = shutil.copytree(MODEL, tmp_path / "model")
    client = MlflowClient(f"sqlite:///{database}")
    client.create_registered_model(LAST)
    client.create_model_version(LAST, str(model))
    client.set_registered_model_alias(LAST, "champion", "1")
    client.create_model_version(LAST, str(model))
    with sqlite3.connect(database) as connection:  # quicker than 249 requests
        for table in ("registered_models", "model_versions"):
            _multiply(connection, table)
    return varjepa


def _multiply(connection: sqlite3.Connection, table: str) -> None:
    """Copies the rows of the last model to the names of all others."""
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] != "name"]
    quoted = ", ".join(f'"{name}"' for name in columns)
    for number in range(MANY - 1):
        connection.execute(
            f"INSERT INTO {table} (name, {quoted}) SELECT ?, {quoted} FROM {table} WHERE name = ?",
            (f"model-{number:03d}", LAST),
        )


def test_the_last_of_250_models_is_found(crowded: Callable[..., Answer], tmp_path: Path) -> None:
    listed = crowded("models", "--json")
    assert listed.code == 0, listed.err
    assert len({entry["name"] for entry in listed.json["models"]}) == MANY
    alone = crowded("models", LAST, "--json")
    assert [(entry["version"], entry["aliases"]) for entry in alone.json["models"]] == [(2, []), (1, ["champion"])]
    rows = MODEL.parents[1] / "rows.csv"
    scored = crowded("score", f"models:/{LAST}@champion", rows, "out.parquet", "--json")
    assert scored.code == 0, scored.err
    moved = crowded("promote", f"models:/{LAST}/2", "--json")
    assert (moved.code, moved.json["before"]) == (0, 1), moved.err
    back = crowded("rollback", LAST, "--json")
    assert (back.code, back.json["version"]) == (0, 1), back.err
    unknown = crowded("models", "model-24x", "--json")
    assert (unknown.code, "Did you mean" in unknown.json["error"]) == (2, True)


def test_a_version_without_its_run_is_listed_without_figures(varjepa: Callable[..., Answer], tmp_path: Path) -> None:
    """As after `mlflow gc`."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/home/mlruns/mlflow.db")
    client.create_registered_model("people")
    model = str(shutil.copytree(MODEL, tmp_path / "model"))
    client.create_model_version("people", model, tags={"varjepa.run_id": "0" * 32})
    listed = varjepa("models", "--json")
    assert listed.code == 0, listed.err
    (entry,) = listed.json["models"]
    assert (entry["version"], entry["quality"], entry["run_id"]) == (1, None, "0" * 32)
    client.delete_model_version("people", "1")
    gone = varjepa("verify", "models:/people/1", "--json")
    assert (gone.code, "All of its versions are deleted." in gone.json["error"]) == (2, True)
