"""A way to call the command line as a person would, and what flow tests have in common."""

import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from varjepa.tasks.tracking.headlines import headlines

collect_ignore = ["registered_by_40547f5"]
"""Code of an earlier commit: it is loaded by MLflow, not by us."""

SMALL = {
    "model": {"d_hidden": 8, "n_layers": 1, "n_heads": 2, "d_feedforward": 8, "pred_d": 4, "pred_n_layers": 1,
              "pred_n_heads": 2, "pred_d_feedforward": 8},
    "training": {"max_epochs": 2, "batch_size": 64, "warmup_epochs": 0.1},
    "generator": {"n_layers": 1, "max_steps": 20, "evaluations": 2, "assess_rows": 200},
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out.strip().splitlines()[-1])


@pytest.fixture(autouse=True)
def no_store_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow writes the store that a test chose into the environment, which wins over any config."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def varjepa(
    prefect_server: None, migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Answer]:
    """Calls `varjepa ARGUMENTS` in an empty folder with a fresh tracking database."""
    return caller(tmp_path / "home", migrated, monkeypatch)


def caller(home: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    from varjepa.flows.cli import cli
    from varjepa.flows.failures import guarded

    store = home / "mlruns" / "mlflow.db"
    if not store.exists():
        store.parent.mkdir(parents=True, exist_ok=True)
        store.write_bytes(migrated.read_bytes())
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def call(*arguments: object) -> Answer:
        words, out, err = [str(argument) for argument in arguments], io.StringIO(), io.StringIO()
        monkeypatch.chdir(home)
        with redirect_stdout(out), redirect_stderr(err):
            code = guarded(lambda: cli.main(words, standalone_mode=False), words)
        return Answer(code, out.getvalue(), err.getvalue())

    return call


CONTRACT = """\
max_quarantined: 0.05
columns:
  age: {kind: numeric, min: 18, max: 120}
  job: {kind: categorical, max_missing: 0.3}
  rich: {kind: categorical, nullable: false, values: ['no', 'yes']}
"""


@pytest.fixture(scope="session")
def handed_over(prefect_server: None, migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A registered version of a table with gaps and a contract that two of its rows break.

    Tests may add runs and other models to its store; it stays the only version of its name.
    """
    home = tmp_path_factory.mktemp("handed_over")
    bad = pl.col("customer_id").is_in([5, 300])
    table = person_table().with_columns(pl.when(bad).then(200).otherwise("age").alias("age"))
    job = write_job(home, table, data={"label": "rich"}, contract={"path": "contract.yaml"})
    (home / "contract.yaml").write_text(CONTRACT)
    with pytest.MonkeyPatch.context() as patch:
        answer = caller(home, migrated, patch)("retrain", job, "--json")
    assert answer.code == 0, answer.err
    (model,) = (home / "mlruns" / "work").glob("assemble-*/model")
    uri = f"sqlite:///{home}/mlruns/mlflow.db"
    return SimpleNamespace(home=home, job=job, table=table, uri=uri, answer=answer, model=model)


def recorded(client: Any, run_id: str) -> dict[str, float]:
    """Every figure of a retrain, from the table among its artifacts; the headlines are metrics of the run, too."""
    table = pl.read_csv(client.download_artifacts(run_id, "metrics.csv"))
    figures = dict(zip(table["metric"], table["value"], strict=True))
    assert client.get_run(run_id).data.metrics.items() >= headlines(figures).items()
    return figures


def person_table(rows: int = 400, seed: int = 0) -> pl.DataFrame:
    """A table with everything that people have: gaps, dates, identifiers, constants, odd names."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, rows)
    job = rng.choice(["clerk", "smith", "nurse", "rare one"], rows, p=[0.5, 0.3, 0.19, 0.01])
    rich = (age + 20 * (job == "nurse") + rng.normal(0, 10, rows)) > 60
    table = pl.DataFrame({
        "customer_id": np.arange(1, rows + 1),
        "age": age,
        "income per-year": np.exp(rng.normal(8, 1, rows)).round(2),
        "job": job,
        "member": rng.random(rows) < 0.5,
        "since": pl.date_range(pl.date(2015, 1, 1), pl.date(2025, 1, 1), "1d", eager=True).sample(rows, seed=seed),
        "country": ["de"] * rows,
        "rich": np.where(rich, "yes", "no"),
    })  # fmt: skip
    gaps = pl.Series(rng.random(rows) < 0.15)
    return table.with_columns(
        pl.when(~gaps).then(pl.col("job")).alias("job"), pl.when(~gaps.reverse()).then("age").alias("age")
    )


def write_job(folder: Path, table: pl.DataFrame, **sections: dict[str, Any]) -> Path:
    """A CSV file and a config beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    table.write_csv(folder / "people.csv")
    content: dict[str, Any] = {"data": {"path": "people.csv"}, "registry": {"name": "people"}} | SMALL
    for name, section in sections.items():
        content[name] = content.get(name, {}) | section
    (folder / "job.yaml").write_text(yaml.safe_dump(content))
    return folder / "job.yaml"


def pretrained_of(config: Any, run_id: str) -> SimpleNamespace:
    """What a retrain has after its training, made by the steps themselves or reused from an earlier run."""
    from varjepa.tasks.retrain.ingest import ingest
    from varjepa.tasks.retrain.preprocess import preprocess
    from varjepa.tasks.retrain.pretrain import pretrain
    from varjepa.tasks.retrain.validate import check_contract

    snapshot = ingest.fn(config)
    clean, config = check_contract.fn(snapshot, config).clean, snapshot.told(config)
    prepared = preprocess.fn(clean, config)
    config = prepared.sized(config)
    pretrained = pretrain.fn(prepared, config, run_id)
    return SimpleNamespace(snapshot=snapshot, config=config, prepared=prepared, pretrained=pretrained)


def candidate_of(config: Any, run_id: str) -> tuple[Any, Any]:
    """What a retrain hands to its last steps, made by the steps themselves or reused from an earlier run; its probe."""
    from varjepa.tasks.release.compare import Candidate
    from varjepa.tasks.retrain.assemble import assemble
    from varjepa.tasks.retrain.assess_generator import assess_generator
    from varjepa.tasks.retrain.calibrate import calibrate
    from varjepa.tasks.retrain.compact import compact
    from varjepa.tasks.retrain.generate import generate
    from varjepa.tasks.retrain.probe import probe
    from varjepa.tasks.retrain.reference import make_reference

    before = pretrained_of(config, run_id)
    config, prepared, pretrained = before.config, before.prepared, before.pretrained
    generated, probed = generate.fn(prepared, pretrained, config), probe.fn(prepared, pretrained, config)
    assess_generator.fn(prepared, pretrained, generated, config)
    calibrated = calibrate.fn(prepared, pretrained, probed, config)
    done = {"generated": generated, "probed": probed, "calibrated": calibrated, "config": config}
    referenced, compacted = make_reference.fn(prepared, pretrained, **done), compact.fn(prepared, pretrained, config)
    assembled = assemble.fn(prepared, pretrained, referenced=referenced, compacted=compacted, **done)
    return Candidate(assembled.model, prepared, before.snapshot.fingerprint), probed


def candidate_for(job: Path, *overrides: str) -> SimpleNamespace:
    """The settings of a job, a run, and what the steps make in this folder: the model and its probe."""
    from varjepa.config import load_config
    from varjepa.tasks.tracking.store import client_of, experiment_id

    config = load_config(job, overrides)
    run_id = client_of(config.tracking).create_run(experiment_id(config.tracking)).info.run_id
    model, probed = candidate_of(config, run_id)
    return SimpleNamespace(config=config, run_id=run_id, model=model, probed=probed)


def challenge(job: Path, *overrides: str, dry_run: bool = False) -> SimpleNamespace:
    """What comes of a job's model: its version and what its probe measures, and the decision of the gate.

    The steps of a retrain themselves, but none that measures or shows more than the gate asks for: half of its time.
    """
    from varjepa.tasks.release.gate import gate
    from varjepa.tasks.release.register import register

    made = candidate_for(job, *overrides)
    registered = None if dry_run else register.fn(made.run_id, made.config, made.model, "# card")
    decision = gate.fn(made.model, registered, made.config)
    return SimpleNamespace(version=registered and registered.version, probed=made.probed, **vars(decision))
