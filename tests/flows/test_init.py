"""`varjepa init` and the other small commands."""

import json
from pathlib import Path

import yaml

from tests.flows.conftest import SMALL, person_table
from varjepa.config import load_config
from varjepa.config.encoder_sizes import PRESETS, SIZES
from varjepa.data.read.contract import load_contract
from varjepa.tasks.setup import initialise
from varjepa.tasks.tracking.store import client_for


def test_init_writes_a_job_that_runs(varjepa, tmp_path: Path) -> None:
    person_table(200).write_csv(tmp_path / "people.csv")
    home = tmp_path / "home"
    started = varjepa("init", tmp_path / "people.csv", "--label", "rich", "--json")
    assert started.code == 0, started.err
    kinds = {name: column["kind"] for name, column in started.json["columns"].items()}
    assert kinds == {"customer_id": "identifier", "age": "numeric", "income per-year": "numeric", "job": "categorical",
                     "member": "boolean", "since": "date", "country": "constant", "rich": "categorical"}  # fmt: skip
    contract = load_contract(home / "contracts" / "people.yaml")
    assert contract.columns["customer_id"].unique
    assert contract.columns["age"].nullable
    assert not contract.columns["rich"].nullable
    assert contract.columns["rich"].values == ("no", "yes")
    config = home / "people.yaml"
    given = SMALL | {"model": {key: value for key, value in SMALL["model"].items() if not key.startswith("pred_")}}
    small = [f"--set={section}.{key}={value}" for section, keys in given.items() for key, value in keys.items()]
    answer = varjepa("retrain", config, *small, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["data"]["quarantined"] == 0
    written = yaml.safe_load(config.read_text())
    assert written["data"]["kinds"] == {"customer_id": "identifier"}
    features = ["age", "income per-year", "job", "member", "since"]
    assert written["data"]["split"] == {"by": "hash", "columns": features}
    assert written["registry"]["name"] == "people"
    # Sizes that nobody gave are open in the job; the run and the model have numbers.
    assert written["model"] == {"size": "auto"}
    (model,) = home.glob("mlruns/work/assemble-*/model")
    sizes = PRESETS["small"]._asdict() | {key: value for key, value in given["model"].items() if key in SIZES}
    assert json.loads((model / "config.json").read_text())["model"].items() >= sizes.items()
    logged = client_for(f"sqlite:///{home}/mlruns/mlflow.db").get_run(answer.json["run_id"]).data.params
    assert {key: int(logged[f"model.{key}"]) for key in SIZES} == sizes


def test_epochs_of_a_large_table_share_a_pass(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(initialise, "LARGE", 100)  # millions of rows would take a minute to make and to look at
    table, config = tmp_path / "people.parquet", tmp_path / "people.yaml"
    person_table(200).write_parquet(table)
    started = initialise.initialise(str(table), label=None, out=config, force=False)
    assert load_config(started.config).training.epoch_rows == initialise.EPOCH_ROWS


def test_init_never_overwrites_unasked_and_names_what_is_wrong(varjepa, tmp_path: Path) -> None:
    person_table(60).write_parquet(tmp_path / "people.parquet")
    assert varjepa("init", tmp_path / "people.parquet").code == 0
    again = varjepa("init", tmp_path / "people.parquet", "--json")
    assert (again.code, "would be overwritten" in again.json["error"]) == (2, True)
    assert varjepa("init", tmp_path / "people.parquet", "--force").code == 0
    wrong = varjepa("init", tmp_path / "people.parquet", "--label", "ritch", "--force", "--json")
    assert 'Did you mean "rich"' in wrong.json["error"]
    assert varjepa("init", tmp_path / "nothing.csv").code == 2


def test_doctor_finds_the_set_up_healthy_and_says_what_is_not(varjepa, monkeypatch) -> None:
    healthy = varjepa("doctor", "--json")
    checks = {check["name"]: check for check in healthy.json["checks"]}
    assert checks["packages"]["ok"], checks["packages"]
    assert checks["tracking store"]["ok"]
    assert "dask" in checks["extras"]["found"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////proc/nowhere/mlflow.db")
    ill = varjepa("doctor", "--json")
    assert ill.code == 1
    assert not next(check for check in ill.json["checks"] if check["name"] == "tracking store")["ok"]


def test_stores_that_do_not_answer_are_named_at_once_without_their_passwords(varjepa, monkeypatch) -> None:
    for uri in ("http://127.0.0.1:9", "nosuch://me:secret@host/db"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        answer = varjepa("models", "--json")
        assert answer.code == 2
        assert "cannot be used" in answer.json["error"]
        assert "secret" not in answer.out + answer.err
    refused = varjepa("models", "--tracking-uri", "nosuch://me:secret@host/db", "--json")
    assert (refused.code, "MLFLOW_TRACKING_URI" in refused.json["error"]) == (2, True)


def test_mistyped_commands_get_a_hint_and_code_2(varjepa) -> None:
    answer = varjepa("retrian", "x", "--json")
    assert (answer.code, 'Did you mean "retrain"' in answer.json["error"]) == (2, True)
    assert varjepa("models").code == 0
