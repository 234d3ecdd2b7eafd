"""What the result of a step depends on: change one key of the configuration, these steps run again and no others."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.flows.conftest import caller, candidate_of, challenge, person_table, write_job
from varjepa.config import load_config

EMBEDDED = ("embed",) * 4
"""The embeddings of the rows of all parts."""

TRAINED = ("pretrain", "generate", *EMBEDDED, "compact", "probe", "calibrate", "assess", "reference")
"""Steps that rest on the weights, and pretraining itself."""

STEPS_AFTER = {
    "gate.margin=0.05": (),
    "gate.rows=100": (),
    "drift.rows=100": (),
    "drift.level=0.5": (),
    "registry.name=others": (),
    "tracking.experiment=elsewhere": (),
    "training.checkpoint_minutes=7": (),
    "training.cuda_graphs=true": (),
    "preprocess.workers=1": (),
    "preprocess.partition_rows=10000": (),
    "data.path=copy.csv": (),  # the same rows elsewhere
    "drift.reference_rows=60": ("embed", "reference"),  # of the calibration rows, as many are kept as it reads
    "generator.assess_rows=100": ("assess",),
    "generator.max_steps=10": ("generate", "assess", "reference"),
    "uncertainty.accuracy=0.9": ("calibrate", "reference"),  # intervals of numbers are part of the reference
    "uncertainty.level=0.8": ("calibrate", "reference"),
    "uncertainty.ensemble=2": ("probe", "calibrate", "reference"),
    "probe.l2=[0.001]": ("probe", "calibrate", "reference"),
    "probe.head=boosted": ("probe", "calibrate", "reference"),
    "training.lr=0.002": TRAINED,
    "training.optimizer=adamw": TRAINED,
    "objective.weight_rec=0.2": TRAINED,
    "model.dropout=0.01": TRAINED,
    "model.size=small": TRAINED,
    "preprocess.clip=6": ("preprocess", *TRAINED),
    "data.split.seed=1": ("preprocess", *TRAINED),
    'data.drop=["member"]': ("preprocess", *TRAINED),
    'data.na_values=["", "rare one"]': ("ingest", "validate", "preprocess", *TRAINED),
}
"""Override -> steps that run again. The folder of the finished model, copies of files, is not in the table."""


class Home(NamedTuple):
    """A folder in which a job has run, its run, and the digest of the model that it has made."""

    folder: Path
    run_id: str
    digest: str


@pytest.fixture(scope="module")
def home(prefect_server: None, migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    from varjepa.inference.storage import model_digest

    home = tmp_path_factory.mktemp("dependence")
    job = write_job(home, person_table(), data={"label": "rich"}, training={"max_epochs": 1}, probe={"head": "linear"})
    (home / "copy.csv").write_bytes((home / "people.csv").read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        answer = caller(home, migrated, patch)("retrain", job, "--json")
    assert answer.code == 0, answer.err
    (model,) = home.glob("mlruns/work/assemble-*/model")
    return Home(home, answer.json["run_id"], model_digest(model))


def finished_steps(home: Path) -> Counter[str]:
    """How many results there are of each step."""
    return Counter(path.parent.name.rpartition("-")[0] for path in home.glob("mlruns/work/*/result.json"))


@pytest.mark.parametrize("override", STEPS_AFTER)
def test_a_key_makes_the_steps_run_again_that_read_it(
    override: str, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that no step reads makes no other model either."""
    from varjepa.inference.storage import model_digest

    monkeypatch.chdir(home.folder)
    config = load_config("job.yaml", [override])
    before = finished_steps(home.folder)
    # Runs are recorded where the first one was, whatever the key says of tracking.
    candidate, _ = candidate_of(config, home.run_id)
    new = finished_steps(home.folder) - before
    new.pop("assemble", None)
    steps = STEPS_AFTER[override]
    assert new == Counter(steps)
    assert steps or model_digest(candidate.model) == home.digest


def test_no_second_version_where_only_what_happens_to_the_model_has_changed(
    home: Home, migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from varjepa.tasks.tracking.store import client_for

    folder = home.folder
    call: Callable = caller(folder, migrated, monkeypatch)
    changes = ["gate.margin=0.05", "drift.level=0.5", "tracking.experiment=moved", "gate.reference=false"]
    answer = call("retrain", "job.yaml", *(word for change in changes for word in ("--set", change)), "--json")
    assert answer.code == 0, answer.err
    assert answer.json["model"]["version"] == 1
    # What `varjepa drift` goes by follows the last retrain all the same, however the model is named.
    person_table().write_parquet(folder / "people.parquet")
    client = client_for(f"sqlite:///{folder}/mlruns/mlflow.db")
    for model in ("models:/people/1", answer.json["run_id"]):
        drift = call("drift", model, "people.parquet", "--json")
        assert drift.code == 0, drift.err
        assert drift.json["settings"]["level"] == 0.5
        experiment = client.get_experiment(client.get_run(drift.json["run_id"]).info.experiment_id)
        assert experiment.name == "moved"


def test_test_rows_are_kept_once_the_gate_asks_for_them(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from varjepa.tasks.release.compare import TEST_ROWS
    from varjepa.tasks.release.unseen import LEARNED_ROWS
    from varjepa.tasks.tracking.store import client_for

    monkeypatch.chdir(home.folder)
    client = client_for(f"sqlite:///{home.folder}/mlruns/mlflow.db")
    kept = {}
    for reference in ("false", "true"):
        assert challenge(Path("job.yaml"), "registry.name=kept", f"gate.reference={reference}").version == 1
        run_id = client.get_model_version("kept", "1").tags["varjepa.run_id"]
        kept[reference] = [file.path for file in client.list_artifacts(run_id, "gate")]
    assert kept == {"false": [], "true": [LEARNED_ROWS, TEST_ROWS]}
