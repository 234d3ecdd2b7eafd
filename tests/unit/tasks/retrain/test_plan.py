"""What a retrain says before it trains: presets, epochs by the rows, samples under their contract, the plan."""

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varjepa.config import RetrainConfig, as_flat, parse_config
from varjepa.config.learning import MOST_EPOCHS, PASSED_CELLS, PASSED_ROWS, TrainingSection, epochs_for
from varjepa.config.quick import QUICK, quick_config
from varjepa.errors import ConfigError
from varjepa.flows.plan import plan
from varjepa.tasks.retrain.ingest import Snapshot
from varjepa.tasks.retrain.validate import contract_for

SIM = {"data": {"name": "sim"}}


@given(st.integers(1, 10**12), st.integers(1, 10**6))
def test_large_tables_get_fewer_epochs(rows: int, columns: int) -> None:
    epochs = epochs_for(rows, columns)
    assert 1 <= epochs <= MOST_EPOCHS
    assert epochs == 1 or (epochs * rows <= PASSED_ROWS and epochs * rows * columns <= PASSED_CELLS)
    assert epochs_for(rows, columns) >= max(epochs_for(rows + 1, columns), epochs_for(rows, columns + 1))


@pytest.mark.parametrize(("rows", "epochs"), [(8000, 6), (48_842, 3), (80_000, 2), (50_000_000, 1)])
def test_epochs_follow_the_rows_of_the_table(rows: int, epochs: int) -> None:
    assert parse_config(SIM).sized(rows, 1).training.max_epochs == epochs


@pytest.mark.parametrize("given_epochs", [1, 12, 500])
def test_given_epochs_stay_also_after_a_journey_as_plain_data(given_epochs: int) -> None:
    config = parse_config({**SIM, "training": {"max_epochs": given_epochs}})
    again = RetrainConfig.model_validate(json.loads(config.model_dump_json()))
    assert again.sized(10**7, 1).training.max_epochs == given_epochs


def test_open_epochs_stay_open_as_plain_data() -> None:
    config = parse_config(SIM)
    assert as_flat(config)["training.max_epochs"] is None
    again = RetrainConfig.model_validate(json.loads(config.model_dump_json()))
    assert again.sized(80_000, 1).training.max_epochs == 2
    assert TrainingSection().max_epochs == MOST_EPOCHS


@pytest.mark.parametrize(("rows", "batch"), [(10, 16), (300, 75), (1000, 250), (2047, 511), (10**6, 512)])
def test_small_tables_have_small_batches_unless_they_are_given(rows: int, batch: int) -> None:
    """Each key is decided by itself: a given one stays beside an open one."""
    epochs, both = epochs_for(rows, 9), {"max_epochs": 77, "batch_size": 99}
    sized = {
        tuple(settings): TrainingSection(**settings).sized(rows=rows, features=9)
        for settings in ({}, {"max_epochs": 77}, {"batch_size": 99}, both)
    }
    assert [(one.max_epochs, one.batch_size) for one in sized.values()] == [
        (epochs, batch), (77, batch), (epochs, 99), (77, 99),
    ]  # fmt: skip


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from([*QUICK]), st.integers(1, 100_000)))
def test_quick_only_ever_lowers(values: dict[str, int]) -> None:
    content: dict = {"data": {"name": "sim"}}
    for key, value in values.items():
        section, name = key.split(".")
        content.setdefault(section, {})[name] = value
    before, after = parse_config(content), quick_config(parse_config(content))
    flat = as_flat(after)
    assert all(flat[key] == min(values.get(key, most), most) for key, most in QUICK.items())
    others = {key: value for key, value in as_flat(before).items() if key not in QUICK}
    assert others == {key: value for key, value in flat.items() if key not in QUICK}


@pytest.mark.parametrize(
    ("rows", "source", "least", "expected"),
    [(8000, 48_842, 24_421, 8000), (8000, 20_000, 24_421, 24_421), (48_842, 48_842, 24_421, 24_421), (5, 5, 9, 9)],
)
def test_a_sample_is_not_too_few_rows_of_a_table_that_has_enough(
    tmp_path: Path, rows: int, source: int, least: int, expected: int
) -> None:
    (tmp_path / "contract.yaml").write_text(f"min_rows: {least}\ncolumns: {{}}\n")
    config = parse_config({**SIM, "contract": {"path": str(tmp_path / "contract.yaml")}})
    snapshot = Snapshot(tmp_path / "snapshot.parquet", "0" * 64, rows, {}, "a table", source_rows=source)
    assert contract_for(snapshot, config).min_rows == expected


@pytest.mark.slow
def test_a_plan_of_a_sample_says_what_would_happen_and_records_nothing(tmp_path: Path) -> None:
    rows = 4000
    numbers = range(rows)
    columns = {
        "id": [f"u{i}" for i in numbers],
        "x": [i % 97 / 7 for i in numbers],
        "kind": [("a", "b", "c")[i % 3] for i in numbers],
        "note": [f"{('good', 'bad', 'late')[i % 3]} {('chair', 'table')[i % 2]} row {i % 1900}" for i in numbers],
        "y": [("no", "yes")[i % 97 > 50] for i in numbers],
    }
    pl.DataFrame(columns).write_csv(tmp_path / "table.csv")
    call = [sys.executable, "-m", "varjepa.flows.cli"]
    subprocess.run([*call, "init", "table.csv", "--label", "y"], check=True, cwd=tmp_path, capture_output=True)
    done = subprocess.run(
        [*call, "retrain", "table.yaml", "--plan", "--quick", "--set", "data.rows=1000", "--json"],
        check=True, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    plan = json.loads(done.stdout.splitlines()[-1])
    assert plan["data"]["rows"] == 1000
    assert plan["source_rows"] == rows
    assert plan["columns"] == {"x": "numeric", "kind": "categorical", "note": "text", "y": "label"}
    assert list(plan["left_out"]) == ["id"]
    assert sum(plan["parts"].values()) == 1000
    assert plan["epochs"] == QUICK["training.max_epochs"]
    assert plan["seconds"]["total"] > 0
    assert "1 numeric, 1 text, 1 categorical, 1 label; " in done.stderr
    assert "time      about" in done.stderr
    assert "--quick" not in done.stderr.partition("time      about")[2]  # it is quick already
    assert {path.name for path in (tmp_path / "mlruns").iterdir()} == {"work"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"training": {"device": "meta"}}, 'training.device is "meta", which cannot be used here'),
        ({"training": {"device": "cuda:99"}}, "cannot be used here"),
        ({"work": {"machines": 2}}, "have to know the address of this one.*Set work.address"),
    ],
)
def test_where_this_machine_cannot_train_nothing_is_read(
    settings: dict[str, object], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(ConfigError, match=said):
        plan(parse_config({"data": {"path": "nowhere.csv"}} | settings))
