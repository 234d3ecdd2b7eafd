"""varjepa evaluate: labels that arrive later, with the features or joined to earlier scores by a key."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from tests.flows.conftest import caller, person_table, write_job
from tests.unit.tasks.lineage.receiver import no_settings, receiver, require_valid  # noqa: F401 (a fixture)

MODEL = "models:/people@champion"


@pytest.fixture(scope="module")
def made(prefect_server, migrated, tmp_path_factory) -> Iterator[SimpleNamespace]:
    """A registered model of 2,000 people, and 800 others with a number each."""
    home = tmp_path_factory.mktemp("evaluate")
    quick = {"generator": {"n_layers": 0}, "probe": {"head": "linear"}}
    job = write_job(home, person_table(2000), data={"label": "rich", "split": {"by": "hash"}}, **quick)
    with pytest.MonkeyPatch.context() as patch:
        call = caller(home, migrated, patch)
        answer = call("retrain", job, "--json")
        assert answer.code == 0, answer.err
        new = person_table(800, seed=9).with_columns(pl.int_range(pl.len()).alias("number"))
        new.write_csv(home / "labelled.csv")
        new.drop("rich").write_csv(home / "new.csv")
        for out in ("scored.parquet", "scored.csv"):
            scored = call("score", MODEL, "new.csv", out, "--keep", "number", "--columns", "prediction,set")
            assert scored.code == 0, scored.err
        yield SimpleNamespace(home=home, call=call, new=new, trained=answer.json)


def test_promises_and_the_estimate_are_judged_and_recorded(made: SimpleNamespace) -> None:
    from varjepa.tasks.tracking.store import client_for

    answer = made.call("evaluate", MODEL, "labelled.csv", "--json")
    assert answer.code == 0, answer.err
    result = answer.json
    assert result["rows"] == 800
    assert abs(result["metrics"]["accuracy"] - made.trained["metrics"]["head/accuracy"]) < 0.1
    promises = {promise["name"]: promise for promise in result["promises"]}
    assert {"coverage", "estimate"} <= set(promises)
    assert promises["estimate"]["verdict"] == "held"
    assert result["estimate"]["low"] < result["metrics"]["accuracy"] < result["estimate"]["high"]
    assert "promise" in answer.err
    run = client_for(f"sqlite:///{made.home / 'mlruns' / 'mlflow.db'}").get_run(result["run_id"])
    assert run.data.metrics["evaluate/accuracy"] == pytest.approx(result["metrics"]["accuracy"])


def test_the_table_of_training_is_judged_by_its_test_rows(made: SimpleNamespace) -> None:
    answer = made.call("evaluate", MODEL, "people.csv", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["training_table"]
    assert answer.json["rows"] == made.trained["metrics"]["data/labelled_test_rows"]
    assert answer.json["metrics"]["accuracy"] == pytest.approx(made.trained["metrics"]["head/accuracy"])
    assert "judged by its test rows alone" in answer.err


def test_labels_joined_to_earlier_scores_give_the_same_answer(
    made: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver() as (lineage_url, events):
        monkeypatch.setenv("OPENLINEAGE_URL", lineage_url)
        now = made.call("evaluate", MODEL, "labelled.csv", "--json").json
    monkeypatch.delenv("OPENLINEAGE_URL")
    for event in events:
        require_valid(event)
    assert [(event["eventType"], event["job"]["name"]) for event in events] == [
        ("START", "evaluate.people"), ("COMPLETE", "evaluate.people"),
    ]  # fmt: skip
    assert [Path(table["name"]).name for table in events[1]["inputs"]] == ["labelled.csv", "people"]
    labels = made.new.select("number", "rich").sample(fraction=1.0, shuffle=True, seed=1)
    labels.write_csv(made.home / "labels.csv")
    for scores in ("scored.parquet", "scored.csv"):  # in text, sets are text
        later = made.call("evaluate", MODEL, "labels.csv", "--scored", scores, "--key", "number", "--json")
        assert later.code == 0, later.err
        for name in ("accuracy", "ece", "coverage"):
            assert later.json["metrics"][name] == pytest.approx(now["metrics"][name]), name
        assert later.json["rows"] == now["rows"]


@pytest.mark.parametrize(("arguments", "words"), [
    (("labelled.csv", "--scored", "scored.parquet"), "belong together"),
    (("labelled.csv", "--scored", "scored.parquet", "--key", "id"), '--key names "id", which is not a column.'),
    (("labelled.csv", "--scored", "none.parquet", "--key", "number"), "No such file or folder: none.parquet"),
    (("new.csv",), 'The column "rich" is missing in new.csv.'),
    (("gone.csv",), "gone.csv"),
    (("twice.csv", "--scored", "scored.parquet", "--key", "number"), "repeated values"),
    (("others.csv", "--scored", "scored.parquet", "--key", "number"), "No value of the key"),
    (("unlabelled.csv",), "has a label"),
])  # fmt: skip
def test_wrong_input_ends_in_words(made: SimpleNamespace, arguments: tuple[str, ...], words: str) -> None:
    made.new.vstack(made.new).write_csv(made.home / "twice.csv")
    made.new.with_columns(pl.col("number") + 10_000).write_csv(made.home / "others.csv")
    made.new.with_columns(pl.lit(None).alias("rich")).write_csv(made.home / "unlabelled.csv")
    answer = made.call("evaluate", MODEL, *arguments, "--json")
    assert answer.code == 2, answer.err[-300:]
    assert words in answer.err
    assert "Traceback" not in answer.err
