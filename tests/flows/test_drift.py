"""varjepa drift over files, called as a person calls it: what alarms, what does not, what it leaves, what it starts."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from tests.flows.conftest import caller, challenge, person_table, write_job

MODEL = "models:/people@champion"


@pytest.fixture(scope="module")
def made(prefect_server, migrated, tmp_path_factory) -> Iterator[SimpleNamespace]:
    """A registered model of 2,000 people, and 800 others."""
    home = tmp_path_factory.mktemp("drift")
    job = write_job(home, person_table(2000), data={"label": "rich"}, probe={"head": "linear"})
    with pytest.MonkeyPatch.context() as patch:
        call = caller(home, migrated, patch)
        patch.chdir(home)
        assert challenge(job).promoted
        yield SimpleNamespace(home=home, call=call, job=job, new=person_table(800, seed=9))


def asked(made: SimpleNamespace, table: pl.DataFrame, *options: object) -> dict:
    """The answer for a table."""
    table.write_csv(made.home / "new.csv")
    answer = made.call("drift", MODEL, "new.csv", *options, "--json")
    assert answer.code == 0, answer.err
    return answer.json


def found(answer: dict) -> set[tuple[str, str]]:
    return {(test["name"], test["aspect"]) for test in answer["tests"] if test["verdict"] == "drift"}


def test_unchanged_rows_do_not_alarm_and_start_nothing(made: SimpleNamespace) -> None:
    answer = asked(made, made.new, "--retrain", made.job)
    assert (answer["drifted"], answer["alarm"], answer["score"]) == (False, False, 0.0)
    assert (answer["retrained"], answer["event"], answer["columns"]) == (None, None, [])
    assert (answer["rows"], answer["model_rows"]) == (800, 800)
    names = {test["name"] for test in answer["tests"]}
    assert {"age", "job", "since", "rich", "elbo", "kl_sy", "surprise", "latent_1", "correct"} <= names
    assert abs(answer["quality"]["accuracy"]["new"] - answer["quality"]["accuracy"]["reference"]) < 0.1
    assert all(set(test) == set(answer["tests"][0]) for test in answer["tests"])


@pytest.mark.parametrize(("change", "expected"), [
    (pl.col("age") + 0.25 * 21, ("age", "values")),
    (pl.when(pl.int_range(pl.len()) % 8 == 0).then(pl.lit("pilot")).otherwise("job").alias("job"),
     ("job", "new categories")),
    (pl.when(pl.int_range(pl.len()) % 6 == 0).then(None).otherwise("age").alias("age"), ("age", "missing")),
    (pl.when(pl.int_range(pl.len()) % 7 == 0).then(pl.lit("nurse")).otherwise("job").alias("job"), ("job", "values")),
    (pl.col("since") + pl.duration(days=300), ("since", "values")),
    (pl.col("rich").shuffle(seed=1), ("correct", "values")),  # the joint law alone
])  # fmt: skip
def test_changes_alarm_and_are_named(made: SimpleNamespace, change: pl.Expr, expected: tuple[str, str]) -> None:
    answer = asked(made, made.new.with_columns(change))
    assert expected in found(answer)
    assert answer["drifted"]
    assert answer["score"] == max(test["effect"] for test in answer["tests"] if test["verdict"] == "drift")
    others = {name for name, _ in found(answer)} & {"age", "income per-year", "job", "member", "since"} - {expected[0]}
    assert not others
    if expected[0] != "correct":
        assert answer["columns"] == [expected[0]]


def test_files_of_any_kind_are_streamed_and_sampled(made: SimpleNamespace) -> None:
    (made.home / "parts").mkdir()
    big = pl.concat([person_table(3000, seed=s) for s in range(20, 35)])
    for number in range(3):
        big[15_000 * number : 15_000 * (number + 1)].write_parquet(made.home / "parts" / f"{number}.parquet")
    for source, rows in (("parts", 45_000), ("parts/[12].parquet", 30_000)):
        answer = made.call("drift", MODEL, source, "--json")
        assert answer.code == 0, answer.err
        assert (answer.json["rows"], answer.json["model_rows"]) == (rows, 20_000)
        missing = next(t for t in answer.json["tests"] if (t["name"], t["aspect"]) == ("age", "missing"))
        share = big.tail(rows)["age"].null_count() / rows
        assert f"{share:.2%}" in missing["says"]


def test_a_report_lies_where_it_is_wanted_and_in_the_run(made: SimpleNamespace) -> None:
    from mlflow import MlflowClient

    moved = made.new.with_columns(pl.col("age") + 20)
    answer = asked(made, moved, "--out", "report.html")
    page = (made.home / "report.html").read_text()
    for text in ("Drift: people", "standard deviations", "at most 5% of such reports", "data:image/png;base64", "ELBO"):
        assert text in page
    assert "http" not in page.replace("http-equiv", "")
    client = MlflowClient(f"sqlite:///{made.home}/mlruns/mlflow.db")
    run = client.get_run(answer["run_id"])
    assert run.data.metrics["drift/score"] == pytest.approx(answer["score"])
    assert run.data.metrics["drift/effect/income per-year"] < run.data.metrics["drift/effect/age"]
    assert (run.data.tags["varjepa.drift"], run.data.tags["varjepa.step"]) == ("drift", "drift")
    kept = {file.path for file in client.list_artifacts(answer["run_id"])}
    assert {"report.html", "tests.csv", "drift.json", "effects.png", "drifted.png", "model.png"} <= kept
    again = made.call("drift", MODEL, "new.csv", "--out", "report.html", "--json")
    assert (again.code, "--force" in again.json["error"]) == (2, True)
    assert asked(made, moved, "--out", "folder")["report"] == str(Path("folder/report.html"))
    facts = json.loads((made.home / "folder" / "drift.json").read_text())
    assert facts["columns"] == ["age"]
    assert pl.read_csv(made.home / "folder" / "tests.csv").height == len(facts["tests"])
    assert made.call("drift", MODEL, "new.csv", "--out", "folder", "--force").code == 0


def test_drift_emits_an_event_and_retrains(made: SimpleNamespace) -> None:
    moved = made.new.with_columns(pl.col("age") + 20)
    moved.write_csv(made.home / "next.csv")
    level = asked(made, moved, "--retrain", made.job, "--level", "0.99")
    assert (level["drifted"], level["alarm"], level["retrained"]) == (True, False, None)
    answer = asked(made, moved, "--retrain", made.job, "--set", f"data.path={made.home}/next.csv")
    assert answer["alarm"]
    assert answer["retrained"]["model"]["version"] == 2
    assert answer["retrained"]["data"]["rows"] == 800
    from mlflow import MlflowClient

    tags = MlflowClient(f"sqlite:///{made.home}/mlruns/mlflow.db").get_run(answer["run_id"]).data.tags
    assert tags["varjepa.retrained"] == "models:/people/2"
    parents, events = asyncio.run(_prefect_says())
    assert "monitor" in parents
    assert answer["event"] in events
    # The new version knows the new rows.
    assert made.call("drift", "models:/people/2", "next.csv", "--json").json["drifted"] is False


async def _prefect_says() -> tuple[set[str], set[str]]:
    """Flows that retrain runs were started by, and ids of drift events."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName, FlowRunFilter, FlowRunFilterParentTaskRunId

    async with get_client() as client:
        # Children alone: runs that schedules of other tests made for the future would fill the page that comes back.
        runs = await client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=["retrain"])),
            flow_run_filter=FlowRunFilter(parent_task_run_id=FlowRunFilterParentTaskRunId(is_null_=False)),
        )
        tasks = [await client.read_task_run(run.parent_task_run_id) for run in runs if run.parent_task_run_id]
        parents = [await client.read_flow_run(task.flow_run_id) for task in tasks]
        names = {(await client.read_flow(run.flow_id)).name for run in parents}
        for _ in range(50):  # events arrive a moment later
            page = await client._client.post("/events/filter", json={"filter": {"event": {"name": ["varjepa.drift"]}}})
            events = {event["id"] for event in page.json()["events"]}
            if events:
                return names, events
            await asyncio.sleep(0.2)
        return names, events


def test_pipelines_see_it_in_the_exit_code(made: SimpleNamespace) -> None:
    made.new.write_csv(made.home / "same.csv")
    made.new.with_columns(pl.col("age") + 20).write_csv(made.home / "moved.csv")
    assert made.call("drift", MODEL, "same.csv", "--fail").code == 0
    assert made.call("drift", MODEL, "moved.csv").code == 0
    assert made.call("drift", MODEL, "moved.csv", "--fail").code == 3


@pytest.mark.parametrize(("labels", "seen"), [
    (pl.lit("maybe"), [("maybe", 800, None)]),
    (pl.col("rich").str.to_uppercase(), [("NO", 0, "no"), ("YES", 0, "yes")]),
    (pl.col("rich") == "yes", [("1", 0, "yes"), ("0", 0, "no")]),
    (pl.when(pl.int_range(pl.len()) % 10 == 0).then(pl.lit("maybe")).otherwise("rich"), [("maybe", 80, None)]),
], ids=["all unknown", "capitals", "truth", "some unknown"])  # fmt: skip
def test_classes_that_the_model_has_never_seen(made: SimpleNamespace, labels: pl.Expr, seen: list) -> None:
    made.new.with_columns(rich=labels).write_parquet(made.home / "labels.parquet")
    answer = made.call("drift", MODEL, "labels.parquet", "--out", "labels.html", "--force", "--json", "--fail")
    assert answer.code == 3, answer.err
    drift = answer.json
    assert drift["drifted"]
    assert ("rich", "new categories") in found(drift)
    named = {(each["name"], each["spelling_of"]) for each in drift["unseen_classes"]}
    assert named == {(name, spelling) for name, _, spelling in seen}
    rows = sum(each["rows"] for each in drift["unseen_classes"])
    assert rows == (80 if seen[0][1] == 80 else 800)
    (says,) = [test["says"] for test in drift["tests"] if (test["name"], test["aspect"]) == ("rich", "new categories")]
    assert f"holds classes that the model does not know in {rows / 800:.2%} of the labelled rows" in says
    assert ("another spelling" in says) == (seen[0][2] is not None)
    page = (made.home / "labels.html").read_text()
    assert "Labels that are no class of the model" in page
    assert f"<td>{seen[0][0]}</td>" in page
    assert f'label "{seen[0][0]}" is no class of the model' in answer.err.replace("\n", " ")


def test_wrong_input_is_told_in_one_paragraph(made: SimpleNamespace) -> None:
    made.new.drop("age").write_csv(made.home / "lacks.csv")
    made.new.with_columns(age=pl.lit("old")).write_csv(made.home / "text.csv")
    made.new.head(0).write_csv(made.home / "none.csv")
    for source, options, words in (
        ("lacks.csv", (), 'column "age" is missing'),
        ("text.csv", (), 'column "age" holds text'),
        ("none.csv", (), "has no rows"),
        ("nowhere.csv", (), "No such file"),
        ("same.csv", ("--set", "training.lr=1"), "--retrain"),
        ("same.csv", ("--retrain", "nothing.yaml"), "nothing.yaml"),
        ("same.csv", ("--out", "no/where.html"), "does not exist"),
        ("same.csv", ("--out", "report.pdf"), "report.pdf cannot hold a report"),
    ):
        answer = made.call("drift", MODEL, source, *options, "--json")
        assert answer.code == 2, (source, answer.err)
        assert words in answer.json["error"]
        assert "Traceback" not in answer.err


@pytest.mark.parametrize(("kind", "statistic"), [("var_t_jepa", "elbo"), ("t_jepa", "prediction_error")])
def test_models_without_label_and_without_generator_are_watched_too(
    varjepa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, kind: str, statistic: str
) -> None:
    table = person_table(600).drop("rich")
    job = write_job(tmp_path, table, model={"kind": kind}, generator={"n_layers": 0})
    monkeypatch.chdir(tmp_path / "home")
    assert challenge(job).promoted
    person_table(400, seed=3).with_columns(pl.col("age") + 30).write_csv(tmp_path / "new.csv")
    answer = varjepa("drift", MODEL, tmp_path / "new.csv", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["columns"] == ["age"]
    names = {test["name"] for test in answer.json["tests"] if test["group"] == "model"}
    assert {statistic, "latent_1"} <= names
    assert not names & {"surprise", "predicted", "correct"}


def test_a_model_that_has_seen_all_rows_has_no_reference(varjepa, tmp_path: Path) -> None:
    quick = {"generator": {"n_layers": 0}, "probe": {"head": "linear"}}
    job = write_job(tmp_path, person_table(200), data={"label": "rich", "split": {"seen": "all"}}, **quick)
    assert varjepa("retrain", job).code == 0
    answer = varjepa("drift", MODEL, tmp_path / "people.csv", "--json")
    assert answer.code == 2
    assert "holds no reference" in answer.json["error"]
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/home/mlruns/mlflow.db")
    assert "come from all rows, also from test rows" in client.get_model_version("people", "1").description
