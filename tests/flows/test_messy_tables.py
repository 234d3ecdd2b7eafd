"""Tables as people have them go from `init` to a registered model, and are scored, with nothing edited in between."""

from pathlib import Path

import polars as pl
import pytest
import yaml

from benchmarks.messy_tables import MESSY_TABLES
from tests.flows.conftest import SMALL

KINDS = {
    "titanic": {
        "PassengerId": "identifier", "Survived": "boolean", "Pclass": "numeric", "Name": "text", "Age": "numeric",
        "SibSp": "numeric", "Parch": "numeric", "Ticket": "text", "Fare": "numeric", "Cabin": "text",
        "Embarked": "categorical",
    },
    "export": {
        "Beleg-Nr.": "identifier", "Rechnungsdatum": "date", "Fällig am": "date", "Betrag (€)": "numeric",
        "Rabatt %": "numeric", "Saldo Vorjahr": "numeric", "PLZ": "categorical", "Größe": "categorical",
        "Region": "categorical", "Branche": "categorical", "Stammkunde": "categorical", "zu spät": "categorical",
    },
}  # fmt: skip
FORMATS = {
    "titanic": {},
    "export": {
        "Rechnungsdatum": "%d.%m.%Y", "Fällig am": "%d.%m.%y", "Betrag (€)": "1.234,5", "Rabatt %": "1234,5 %",
        "Saldo Vorjahr": "1.234,5",
    },
}  # fmt: skip
MADE = {
    "titanic": {f"{name} (text {k})" for name in ("Name", "Ticket", "Cabin") for k in (1, 2, 3)},
    "export": {f"{name} ({part})" for name in ("Rechnungsdatum", "Fällig am") for part in ("month", "weekday")},
}
GAPS = {"titanic": ["Age", "Embarked"], "export": ["Saldo Vorjahr"]}
"""Columns with gaps that a generator can fill: none of text."""


@pytest.mark.parametrize("name", ["titanic", "export"])
def test_a_messy_table_becomes_a_model_unedited(varjepa, tmp_path: Path, name: str) -> None:
    from varjepa.tasks.registry.open_model import open_model

    made = MESSY_TABLES[name](800, 0)
    file = made.write(tmp_path / f"{name}.csv")
    started = varjepa("init", file, "--label", made.label, "--json")
    assert started.code == 0, started.err
    columns = started.json["columns"]
    assert {column: facts["kind"] for column, facts in columns.items()} == KINDS[name]
    assert {column: facts["format"] for column, facts in columns.items() if "format" in facts} == FORMATS[name]
    sizes = {**SMALL, "preprocess": {"text_dimensions": 3}, "probe": {"head": "linear"}}
    small = [f"--set={section}.{key}={value}" for section, keys in sizes.items() for key, value in keys.items()]
    answer = varjepa("retrain", f"{name}.yaml", *small, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["data"]["quarantined"] == 0
    assert "leak" not in answer.err
    model = f"models:/{name}@champion"
    preprocessor = open_model(model).preprocessor
    away = {column for column, kind in KINDS[name].items() if kind in ("identifier", "text")} | {made.label}
    assert set(preprocessor.names) == set(KINDS[name]) - away | MADE[name]
    for words in (("score", "--columns", "prediction,anomaly"), ("impute",)):
        command, *options = words
        done = varjepa(command, model, file, f"{command}.parquet", *options, "--json")
        assert done.code == 0, done.err
        assert done.json["rows"] == 800
    assert done.json["cells"] == sum(columns[column]["missing"] * 800 for column in GAPS[name])
    odd = pl.read_parquet(tmp_path / "home" / "score.parquet")["odd_columns"].explode()
    assert set(odd) <= set(KINDS[name])
    assert yaml.safe_load((tmp_path / "home" / f"{name}.yaml").read_text())["data"]["label"] == made.label
