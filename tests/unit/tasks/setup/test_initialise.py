"""What `init` says of a table is what the fit does with it, with its config and contract and without."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from benchmarks.messy_tables import MESSY_TABLES
from tests.flows.conftest import person_table
from tests.unit.data.read import test_identifiers
from varjepa.config import DataSection, PreprocessSection, load_config
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.fit.streamed_rows import StreamedRows
from varjepa.data.read.contract import load_contract
from varjepa.data.read.sim_table import sim_table
from varjepa.data.read.sources import open_path
from varjepa.tasks.retrain.preprocess import inspect, learn
from varjepa.tasks.setup.initialise import initialise, rare_columns


def odd_names() -> pl.DataFrame:
    names = [
        "*",
        "^a.*$",
        "[k]",
        "a\nb",
        "1e5",
        "on",
        "null",
        "012",
        "2024-01-01",
        "~",
        "=",
        "key: v",
        "- d",
        "",
        "'",
        '"',
        "#",
    ]
    rng = np.random.default_rng(0)
    return pl.DataFrame({name: rng.normal(size=80) for name in names} | {"c": rng.choice(["1e5", "on", "~"], 80)})


def stored(frame: pl.DataFrame, folder: Path) -> Path:
    frame.write_parquet(folder / "t.parquet")
    return folder / "t.parquet"


def messy(kind: str, folder: Path) -> Path:
    return MESSY_TABLES[kind](300, 0).write(folder / "t.csv")


TABLES: dict[str, Callable[[Path], Path]] = {
    "sim": partial(stored, sim_table(rows=400, seed=0)),
    "people": partial(stored, person_table(400)),
    "identifiers and features": partial(stored, test_identifiers.table(0, order="label").drop("electrons")),
    "odd names": partial(stored, odd_names()),
    **{kind: partial(messy, kind) for kind in MESSY_TABLES},
}


def fitted(data: DataSection, promised: dict[str, str]) -> Preprocessor:
    """As a retrain reads the table and fits, on all rows."""
    snapshot = Path("snapshot.parquet")
    open_path(str(data.path), data).frame.sink_parquet(snapshot)
    verdicts = inspect(snapshot, data, promised)
    return learn(pl.scan_parquet(snapshot), data, PreprocessSection(), verdicts.kinds)


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_words_and_fit_agree(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = TABLES[name](tmp_path)
    started = initialise(str(path), label=None, out=Path("t.yaml"), force=False)
    contract = load_contract("contracts/t.yaml")
    promised = {column: rules.kind for column, rules in contract.columns.items()}
    data = load_config("t.yaml").data.model_copy(update={"split": DataSection(name="t", split={"seen": "all"}).split})
    apart = {column for column, facts in started.profiles.items() if facts.left_out}
    for settings, kinds in ((data, promised), (data.model_copy(update={"kinds": {}}), {})):
        preprocessor = fitted(settings, kinds)
        assert set(preprocessor.left_out) == apart
        assert preprocessor.kinds == {
            column: facts.kind for column, facts in started.profiles.items() if column not in apart
        } | {column: "categorical" for feature in preprocessor.joined.values() for column in feature}


@pytest.mark.slow
def test_a_contract_that_people_have_changed_is_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = test_identifiers.table(0, order="any").select("running", "age", "full name", "uuid", "word")
    frame.write_parquet("t.parquet")
    data = DataSection(path="t.parquet", split={"seen": "all"})
    wished = {"running": "numeric", "age": "categorical", "full name": "identifier", "uuid": "text"}
    preprocessor = fitted(data, wished)
    assert set(preprocessor.left_out) == {"full name"}
    assert preprocessor.kinds == {"running": "numeric", "age": "categorical", "uuid": "text", "word": "categorical"}
    declared = data.model_copy(update={"kinds": {"running": "identifier"}})
    assert "running" in fitted(declared, wished).left_out


RARE = "of its values are rare categories, which share one code (preprocess.min_count), and are read as text"


def test_rare_categories_are_said() -> None:
    rng = np.random.default_rng(0)
    streets = [f"{k} Street" for k in range(200)] * 2
    frame = pl.DataFrame({"street": streets + ["Main Road"] * 600, "word": rng.choice(["a", "b"], 1000)})
    rows = StreamedRows(frame.lazy())
    words = rare_columns(rows, rows.whole_profiles())
    assert words == {"street": f"40% {RARE}"}


def test_a_config_has_a_name_that_the_registry_accepts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sim_table(rows=60, seed=0).write_parquet("t.parquet")
    initialise("t.parquet", label=None, out=Path("my.table v1.5%.yaml"), force=False)
    assert yaml.safe_load(Path("my.table v1.5%.yaml").read_text())["registry"]["name"] == "my-table v1-5-"
    load_config("my.table v1.5%.yaml")


@pytest.mark.parametrize(("contents", "by"), [(4, "random"), (49, "random"), (50, "hash")])
def test_a_table_of_few_different_rows_is_split_at_random(
    contents: int, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pl.DataFrame({"x": [0.5 + k % contents for k in range(120)]}).write_parquet("t.parquet")
    initialise("t.parquet", label=None, out=None, force=False)
    assert load_config("t.yaml").data.split.by == by


@pytest.mark.parametrize(
    ("label", "task", "predicted"),
    [("rich", "auto", "2 classes"), ("income per-year", "auto", "a number"), ("age", "classification", "72 classes"),
     ("age", "none", "")],
)  # fmt: skip
def test_init_says_what_the_label_is_predicted_as(tmp_path: Path, label: str, task: str, predicted: str) -> None:
    table = stored(person_table(2000), tmp_path)
    started = initialise(
        str(table), label=label, out=tmp_path / "job.yaml", force=False, overrides=[f"data.task={task}"]
    )
    assert started.predicted == predicted
