"""The gate as a person meets it: good challengers take over, bad ones are refused for the right reason."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.flows.conftest import Answer, caller, candidate_for, challenge, write_job
from tests.store_servers import S3
from varjepa.errors import SetupError

ROWS = {"train": 900, "validation": 200, "calibration": 300, "test": 1000}
LEARNED = ("train", "validation", "calibration")
CELLS = ("x", "y", "job", "region", "fit")
DATA = {"label": "fit", "drop": ["region"], "split": {"by": "column", "column": "part"}}
GATE = {"margin": 0.03, "subgroups": ["job", "region"], "latency_ratio": None}  # other work may slow a model down
TRAINING = {"max_epochs": 4, "lr": 5e-3, "batch_size": 64, "warmup_epochs": 0.1}
COLLAPSE = {"weight_rec": 0, "weight_gen": 0} | {
    f"{term}_{key}": value for term in ("kl_sx", "kl_z", "kl_sy") for key, value in (("final", 1), ("anneal_epochs", 0))
}
"""Nothing rewards latents that know their row."""
UNSURE = {"coverage_margin": None, "calibration_margin": None}
"""The vetoes on how sure a model is of a group are off."""


def job_table(seed: int = 0) -> pl.DataFrame:
    """Two numbers decide who is fit, but for nurses, of whom nearly all are."""
    rng, rows = np.random.default_rng(seed), sum(ROWS.values())
    x, y = rng.normal(size=(2, rows))
    job = rng.choice(["clerk", "smith", "nurse"], rows, p=[0.6, 0.3, 0.1])
    fit = np.where(job == "nurse", rng.random(rows) < 0.95, x + y + rng.normal(0, 0.5, rows) > 0)
    return pl.DataFrame({
        "x": x.round(3), "y": y.round(3), "job": job, "region": rng.choice(["north", "south"], rows),
        "fit": np.where(fit, "yes", "no"), "part": np.repeat(list(ROWS), list(ROWS.values())),
    })  # fmt: skip


def shuffled(table: pl.DataFrame, *columns: str, parts: tuple[str, ...] = tuple(ROWS)) -> pl.DataFrame:
    """The same cells in these columns and parts, each column in an order of its own."""
    rng, rows = np.random.default_rng(1), table["part"].is_in(parts).to_numpy()
    for name in columns:
        cells = table[name].to_numpy().copy()
        cells[rows] = rng.permutation(cells[rows])
        table = table.with_columns(pl.Series(name, cells))
    return table


class Registry:
    """Retrains under a name of its own, in a folder that all tests share, so that equal steps are made once."""

    def __init__(self, home: Path, call: Callable[..., Answer], name: str, database: str = "mlflow.db") -> None:
        self.home, self.call, self.name = home, call, name
        self.database = home / "home/mlruns" / database

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.database}"

    @property
    def client(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(self.uri)

    @property
    def champion(self) -> int:
        return int(self.client.get_registered_model(self.name).aliases["champion"])

    def job(self, table: pl.DataFrame, **more: Any) -> Path:
        """The config of a job, in a file."""
        sections = {
            "data": DATA, "gate": GATE, "training": TRAINING, "generator": {"n_layers": 0}, "probe": {"head": "linear"},
        }  # fmt: skip
        merged = {name: sections.get(name, {}) | more.get(name, {}) for name in sections | more}
        return write_job(self.home / "jobs", table, **merged)

    def retrain(self, table: pl.DataFrame, *words: str, code: int = 0, **more: Any) -> dict[str, Any]:
        """What the command answers."""
        job = self.job(table, **more)
        answer = self.call("retrain", job, "--set", f"registry.name={self.name}", "--json", *words)
        assert answer.code == code, answer.err
        return answer.json | {"err": answer.err}

    def candidate(self, table: pl.DataFrame, *overrides: str, **more: Any) -> SimpleNamespace:
        """What the steps make."""
        return candidate_for(self.job(table, **more), *overrides, *self.own)

    def challenge(self, table: pl.DataFrame, *overrides: str, dry_run: bool = False, **more: Any) -> SimpleNamespace:
        """What the last steps say of it."""
        return challenge(self.job(table, **more), *overrides, *self.own, dry_run=dry_run)

    @property
    def own(self) -> tuple[str, str]:
        """The settings of this registry."""
        return f"registry.name={self.name}", f"tracking.uri={self.uri}"

    def verdict(self, version: int) -> SimpleNamespace:
        tags = self.client.get_model_version(self.name, str(version)).tags
        vetoes = [word for word in tags["varjepa.gate.vetoes"].split(", ") if word]
        return SimpleNamespace(outcome=tags["varjepa.gate.outcome"], vetoes=vetoes, reason=tags["varjepa.gate"])


@pytest.fixture(scope="module")
def shared(prefect_server, migrated, tmp_path_factory) -> Iterator[Callable[[str], Registry]]:
    home = tmp_path_factory.mktemp("gate")
    with pytest.MonkeyPatch.context() as patch:
        call = caller(home / "home", migrated, patch)
        patch.chdir(home / "home")  # where the results of steps lie
        yield lambda name: Registry(home, call, name)


@pytest.fixture(scope="module")
def standing(shared) -> Registry:
    """A registry whose champion, version 1, stays: tests bring challengers that are not promoted."""
    registry = shared("standing")
    assert registry.challenge(job_table()).promoted
    registry.database.with_suffix(".first").write_bytes(registry.database.read_bytes())
    return registry


@pytest.fixture
def registry(standing: Registry, request, monkeypatch) -> Registry:
    """A registry with a champion, version 1, in a database of the test's own: a copy, as to retrain takes seconds."""
    own = Registry(standing.home, standing.call, standing.name, f"{request.node.name}.db")
    own.database.write_bytes(standing.database.with_suffix(".first").read_bytes())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", own.uri)
    return own


def test_an_equal_challenger_takes_over_and_the_registry_says_why(registry: Registry) -> None:
    assert registry.verdict(1).outcome == "first"
    other = registry.retrain(job_table(), "--set", "training.seed=1")
    assert other["promoted"], other["reason"]
    assert other["model"]["aliases"] == ["challenger", "champion"]
    verdict, metrics = registry.verdict(2), other["metrics"]
    assert (verdict.vetoes, verdict.reason) == ([], other["reason"])
    assert verdict.outcome in ("better", "not worse")
    assert metrics["gate/metric"] == metrics["head/accuracy"]  # of what ships
    assert metrics["gate/low"] <= metrics["gate/difference"] <= metrics["gate/high"]
    assert metrics["gate/difference"] == pytest.approx(metrics["gate/metric"] - metrics["gate/champion_metric"])
    run = registry.client.get_run(other["run_id"])
    assert run.data.metrics["gate/low"] == metrics["gate/low"]
    tags = registry.client.get_model_version(registry.name, "2").tags
    assert (next(iter(tags)), tags["verdict"]) == ("verdict", f"promoted: {other['reason']}"[:500])
    description = registry.client.get_model_version(registry.name, "2").description
    assert "## Lineage" in description  # the card is still there
    assert "## Gate\n\nPromoted, against version 1." in description
    again = registry.retrain(job_table(), "--set", "training.seed=1")
    assert "version 2 is already the champion" in again["reason"]
    assert again["metrics"] == metrics


def test_shuffled_data_are_refused_though_their_own_test_rows_are_shuffled_too(standing: Registry) -> None:
    answer = standing.challenge(shuffled(job_table(), *CELLS))
    assert not answer.promoted
    assert standing.champion == 1
    verdict = standing.verdict(answer.version)
    assert "reference" in verdict.vetoes, verdict.reason
    # Shuffling has put one of the champion's test rows together again, and the challenger has learned from it.
    assert "1 of 1,000 test rows of version 1 are not used, as the challenger has learned from them" in answer.reason
    assert "refused by reference: the champion's own test rows, 999 rows: accuracy 0." in answer.reason


def test_a_model_of_shuffled_rows_is_worse_on_real_ones(standing: Registry) -> None:
    answer = standing.challenge(shuffled(job_table(), *CELLS, parts=LEARNED))
    outcome = standing.verdict(answer.version).outcome
    assert (answer.promoted, outcome, standing.champion) == (False, "worse", 1)
    assert "worse: accuracy 0.5" in answer.reason


def test_without_a_label_shuffled_rows_show_in_what_cells_say_of_each_other(shared, request) -> None:
    table = job_table().select("x", "job", "region", "part").with_columns(work=pl.col("job"), area=pl.col("region"))
    registry, columns = shared(request.node.name), [name for name in table.columns if name != "part"]
    more = {"data": {"label": None, "drop": []}, "gate": {"margin": 10}, "training": {"max_epochs": 2},
            "generator": {"n_layers": 1, "max_steps": 200, "assess_rows": 0}}  # fmt: skip
    assert registry.challenge(table, **more).promoted
    equal = registry.challenge(table, "training.seed=1", **more)
    assert equal.promoted, equal.reason
    assert "ELBO" in equal.reason
    learned = registry.challenge(shuffled(table, *columns, parts=LEARNED), **more)
    assert (learned.promoted, registry.verdict(3).vetoes) == (False, ["structure"]), learned.reason
    everything = registry.challenge(shuffled(table, *columns), **more)
    assert (everything.promoted, registry.verdict(4).vetoes) == (False, ["reference"]), everything.reason


def test_a_collapsed_model_is_refused_though_a_probe_still_reads_it(standing: Registry) -> None:
    """Trained to collapse. What the latents whisper is standardised by the probe, so that accuracy tells nothing."""
    training = {"max_epochs": 8, "selection": "elbo"}
    answer = standing.challenge(job_table(), objective=COLLAPSE, training=training)
    verdict = standing.verdict(answer.version)
    assert answer.probed.metrics["latent/active_units"] == 0
    assert verdict.outcome in ("better", "not worse")
    assert (answer.promoted, verdict.vetoes, standing.champion) == (False, ["collapse"], 1)
    assert "0 of 24 dimensions vary" in answer.reason


def test_better_on_average_and_bad_for_nurses_is_refused(shared, request) -> None:
    registry, table = shared(request.node.name), job_table()
    registry.challenge(shuffled(table, "y", parts=LEARNED))  # a champion that has learned from one number alone
    nurse = (pl.col("job") == "nurse") & (pl.col("part") != "test")
    wrong = pl.when(nurse).then(pl.lit("no")).otherwise("fit").alias("fit")
    # Who is wrong about nurses is too sure of them, too: those vetoes are off, to see that this one is enough.
    answer = registry.challenge(table.with_columns(wrong), gate=UNSURE)
    verdict = registry.verdict(2)
    assert (answer.promoted, verdict.outcome, verdict.vetoes) == (False, "better", ["subgroup"]), verdict.reason
    assert "refused by subgroup: job nurse" in answer.reason
    assert registry.champion == 1


def test_a_challenger_that_asks_for_more_breaks_the_contract(registry: Registry) -> None:
    wider = job_table().with_columns(extra=pl.col("x") * 2 + pl.col("y"))
    # Another network accepts other rows: how many of a job's hundred test rows is not what is asked here.
    answer = registry.challenge(wider, gate=UNSURE)
    assert registry.verdict(2).vetoes == ["contract"], answer.reason
    assert 'asks for "extra", which the champion does not need' in answer.reason
    assert registry.challenge(wider, "gate.same_inputs=false", gate=UNSURE).promoted
    unread = registry.challenge(job_table())  # and now the champion cannot read the rows
    assert "cannot read the test rows" in unread.reason
    assert 'The column "extra" is missing' in unread.reason


def test_a_dry_run_shows_the_decision_and_leaves_nothing(standing: Registry) -> None:
    before = standing.call("models", standing.name, "--json").json
    answer = standing.retrain(job_table(), "--set", "training.seed=1", "--dry-run")
    assert answer["reason"].startswith("dry run, would be promoted: not worse")
    assert answer["model"] == {"name": standing.name, "version": None, "uri": None, "aliases": []}
    assert answer["promoted"] is False
    bad = standing.challenge(shuffled(job_table(), *CELLS, parts=LEARNED), dry_run=True)
    assert bad.reason.startswith("dry run, would not be promoted: worse")
    assert standing.call("models", standing.name, "--json").json == before


def test_too_few_rows_prove_nothing(standing: Registry) -> None:
    answer = standing.challenge(job_table(), "training.seed=1", "gate.margin=0.001")
    assert (answer.promoted, standing.verdict(answer.version).outcome) == (False, "undecided")
    assert "too few rows to rule out a loss of 0.001 (about" in answer.reason


def test_without_a_label_in_any_test_row_nothing_is_promoted(shared, request) -> None:
    """As in a split by time, where the labels of the newest rows have not arrived."""
    late = job_table().with_columns(pl.when(pl.col("part") != "test").then("fit"))
    answer = shared(request.node.name).retrain(late, training={"max_epochs": 1})
    assert (answer["promoted"], answer["reason"]) == (False, "no test row has a label to judge by")


def test_rows_that_a_model_has_learned_from_do_not_judge_for_it(standing: Registry) -> None:
    """The parts change places: each model's test rows are those that the other has learned from."""
    parts = dict(zip(ROWS, ("test", "calibration", "validation", "train"), strict=True))
    other = job_table().with_columns(pl.col("part").replace_strict(parts))
    reason = standing.challenge(other, dry_run=True, training={"max_epochs": 1}).reason
    assert "the champion has learned from 900 of 900 test rows, which favours it" in reason
    assert "1,000 of 1,000 test rows of version 1 are not used, as the challenger has learned from them" in reason


def test_a_mistyped_subgroup_stops_before_training(standing: Registry) -> None:
    answer = standing.retrain(job_table(), "--set", 'gate.subgroups=["jobb"]', code=2)
    assert 'gate.subgroups names "jobb", which is not a column. Did you mean "job"?' in answer["error"]


def test_two_that_beat_the_champion_at_once_meet_each_other(registry: Registry) -> None:
    """Both are compared with version 1; who comes second under the lock must be compared with the new champion."""
    from varjepa.tasks.release.gate import gate
    from varjepa.tasks.release.register import register

    made, barrier = [registry.candidate(job_table(), f"training.seed={seed}") for seed in (1, 2)], Barrier(2)

    def challenge(one: SimpleNamespace) -> tuple[int, Any]:
        registered = register.fn(one.run_id, one.config, one.model, "# card")
        barrier.wait()
        return registered.version, gate.fn(one.model, registered, one.config)

    with ThreadPoolExecutor(2) as pool:
        found = dict(pool.map(challenge, made))
    assert set(found) == {2, 3}
    against = {version: registry.client.get_model_version(registry.name, str(version)).tags["varjepa.gate.against"]
               for version in found}  # fmt: skip
    first = next(version for version, other in against.items() if other == "1")
    second = 5 - first
    assert against == {first: "1", second: str(first)}
    assert found[first].promoted
    assert registry.champion == (second if found[second].promoted else first)


def test_by_hand_forwards_and_back(registry: Registry) -> None:
    for seed in (1, 2):
        assert registry.challenge(job_table(), f"training.seed={seed}").promoted
    bad = registry.challenge(shuffled(job_table(), *CELLS, parts=LEARNED))
    name, uri = registry.name, f"models:/{registry.name}"

    def does(*words: str, code: int = 0) -> dict[str, Any]:
        answer = registry.call(*words, "--json")
        assert answer.code == code, answer.err
        assert "Traceback" not in answer.err
        return answer.json

    refused = does("promote", f"{uri}@challenger", code=2)["error"]
    assert f"The gate refused version 4 of {name}: {bad.reason}" in refused
    assert does("rollback", name, "--steps", "2", "--dry-run")["version"] == 1
    assert registry.champion == 3
    assert does("rollback", name)["version"] == 2
    assert does("rollback", name)["version"] == 1
    assert "has no champion 1 step before version 1" in does("rollback", name, code=2)["error"]
    again = registry.challenge(job_table(), "training.seed=2")
    assert (again.promoted, again.version) == (False, 3)  # a rollback holds
    assert "it was rolled back at" in again.reason
    assert does("promote", f"{uri}/3")["moved"]
    assert does("promote", f"{uri}/4", "--force", "--dry-run")["moved"] is False
    assert does("promote", f"{uri}/4", "--force")["before"] == 3
    assert does("rollback", name, "--steps", "2")["version"] == 1
    registry.client.set_registered_model_alias(name, "champion", "2")  # by hand, in the tracking UI
    assert does("rollback", name)["version"] == 1
    listed = does("models", name)
    told = [(event["version"], event["before"], event["by"]) for event in reversed(listed["history"])]
    assert told == [
        (1, None, "retrain"), (2, 1, "retrain"), (3, 2, "retrain"), (2, 3, "rollback"), (1, 2, "rollback"),
        (3, 1, "promote"), (4, 3, "promote"), (1, 4, "rollback"), (2, 1, "outside"), (1, 2, "rollback"),
    ]  # fmt: skip
    assert {entry["version"]: entry["gate"]["outcome"] for entry in listed["models"]}[4] == "worse"
    assert "No model" in does("rollback", "nothing", code=2)["error"]
    assert "names no version" in does("promote", "models:/", code=2)["error"]
    assert "is not a version of a registered model" in does("promote", name, code=2)["error"]


def test_the_alias_moves_last(registry: Registry) -> None:
    """What can fail, fails before: the champion is the old one then, and the same job can be run again."""
    from varjepa.tasks.release.gate import Decision, gate
    from varjepa.tasks.release.register import register

    made, seen = registry.candidate(job_table(), "training.seed=1"), []
    registered = register.fn(made.run_id, made.config, made.model, "# card")

    def fails(decision: Decision) -> None:
        assert decision.promoted
        raise OSError("no space left on the device")

    with pytest.raises(OSError, match="no space"):
        gate.fn(made.model, registered, made.config, fails)
    assert registry.champion == 1
    decision = gate.fn(made.model, registered, made.config, lambda found: seen.append((registry.champion, found)))
    assert seen == [(1, decision)]
    assert registry.champion == 2
    assert decision.aliases == ["challenger", "champion"]


def test_a_champion_whose_files_are_gone_counts_as_none(shared, request) -> None:
    from varjepa.tasks.registry.open_model import fetched

    registry = shared(f"café, {'very ' * 20}old")
    assert registry.challenge(job_table()).promoted
    name = registry.name
    shutil.rmtree(fetched(f"models:/{name}/1", registry.uri))
    found = registry.retrain(job_table(), "--set", "training.seed=1")
    assert found["promoted"]
    assert "version 1, the champion, counts as none, because it cannot be read" in found["reason"]
    assert "counts as none" in found["err"]
    assert "counts as none" in registry.client.get_model_version(name, "2").tags["varjepa.gate"]
    assert "counts as none" in registry.client.get_run(found["run_id"]).data.tags["mlflow.note.content"]
    for words in (("promote", f"models:/{name}/1"), ("rollback", name)):
        refused = registry.call(*words, "--json")
        assert refused.code == 2, refused.err
        assert "cannot be read" in refused.json["error"]
    assert registry.champion == 2
    # The model of version 1, which is not there to be named again.
    assert registry.challenge(job_table()).version == 3


def test_a_champion_whose_store_refuses_us_is_not_replaced(registry: Registry, s3: S3) -> None:
    """Nobody knows whether its files are gone."""
    with sqlite3.connect(registry.database) as store:
        place = "UPDATE model_versions SET source = ?, storage_location = ? WHERE name = ? AND version = 1"
        store.execute(place, ("s3://tables/one", "s3://tables/one", registry.name))
    with s3.denied(), pytest.raises(SetupError, match="cannot be read"):
        registry.challenge(job_table(), "training.seed=1")
    assert registry.champion == 1
