"""score, impute and sample over files, called as a person calls them."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from tests.flows.conftest import caller, challenge, person_table, write_job
from tests.store_servers import BUCKET, S3
from varjepa.tasks.scoring.many_files import parts_of

MODEL = "models:/people@champion"


@pytest.fixture(scope="module")
def made(prefect_server, migrated, tmp_path_factory) -> Iterator[SimpleNamespace]:
    """A registered model, and new rows as a CSV file and in three Parquet files."""
    home = tmp_path_factory.mktemp("infer")
    table, new = person_table(600), person_table(250, seed=9).drop("rich")
    table = table.with_columns(hard=pl.Series(np.random.default_rng(0).random(600)))
    new.write_csv(home / "new.csv")
    (home / "parts").mkdir()
    for number in range(3):
        new[100 * number : 100 * (number + 1)].write_parquet(home / "parts" / f"{number}.parquet")
    promise = {"accuracy": 0.6, "confidence": 0.8, "known": "hard"}
    data = {"label": "rich", "drop": ["hard"]}
    # Few features: what is asserted of 16 bits holds for a probe with small weights.
    few = {"date_parts": False}
    read = {"head": "linear", "features": "embedding"}  # in 16 bits others answer the same
    job = write_job(home, table, data=data, uncertainty=promise, training={"max_epochs": 4}, preprocess=few, probe=read)
    with pytest.MonkeyPatch.context() as patch:
        call = caller(home, migrated, patch)
        answer = call("retrain", job, "--json")
        assert answer.code == 0, answer.err
        yield SimpleNamespace(home=home, call=call, new=new, retrained=answer.json)


def test_scores_are_those_of_the_model_in_any_batch(made: SimpleNamespace) -> None:
    from varjepa.tasks.registry.open_model import open_model

    for source, out, options in (
        ("new.csv", "one.parquet", ["--keep", "customer_id,job"]), ("parts", "two.parquet", ["--batch-size", "7"]),
        ("parts/*.parquet", "three.csv", ["--columns", "uncertainty,prediction,anomaly,oddity"]),
    ):  # fmt: skip
        answer = made.call("score", MODEL, source, out, *options, "--json")
        assert answer.code == 0, answer.err
        assert answer.json["rows"] == 250
        assert "250 rows" in answer.err
    one, two = (pl.read_parquet(made.home / f"{name}.parquet") for name in ("one", "two"))
    three = pl.read_csv(made.home / "three.csv")
    assert one["row"].to_list() == two["row"].to_list() == three["row"].to_list() == list(range(250))
    assert one["customer_id"].equals(made.new["customer_id"])
    expected = open_model(MODEL).predict(made.new)
    for scored in (one, two):
        np.testing.assert_allclose(np.stack(scored["embedding"]), np.stack(expected["embedding"]), atol=1e-5)
    for scored in (one, two, three):
        for name in ("uncertainty", "latent_uncertainty", "probability"):
            np.testing.assert_allclose(scored[name], expected[name], atol=1e-5)
        assert scored["prediction"].equals(expected["prediction"])
        assert scored["accept"].equals(expected["accept"])
    names = [name for name in three.columns if name.startswith("oddity.")]
    assert names == [f"oddity.{name}" for name in ("age", "income per-year", "since", "job", "member")]
    top = three.select(names).to_numpy().argmax(1)
    assert [odd.split("; ")[0] for odd in three["odd_columns"]] == [names[k].removeprefix("oddity.") for k in top]


def test_sixteen_bits_are_close(made: SimpleNamespace) -> None:
    for bits in ("float32", "bfloat16"):
        answer = made.call("score", MODEL, "new.csv", f"{bits}.parquet", "--precision", bits)
        assert answer.code == 0, answer.err
    found, expected = (pl.read_parquet(made.home / f"{bits}.parquet") for bits in ("bfloat16", "float32"))
    # 16 bits round an input of the linear head by 0.7% of its spread. This head has 40 inputs and a weak penalty: its
    # log odds, whose deviation is 3.7, differ by 0.1, and three times that takes 0.08 from a probability of a half.
    for name, mean, most in (("probability", 0.02, 0.1), ("anomaly", 0.2, 1.0)):
        difference = (found[name] - expected[name]).abs()
        assert 0 < difference.mean() < mean
        assert difference.max() < most
    assert (found["prediction"] == expected["prediction"]).mean() > 0.97


def test_the_certificate_travels_with_the_model(made: SimpleNamespace) -> None:
    from mlflow import MlflowClient

    client, run_id = MlflowClient(f"sqlite:///{made.home}/mlruns/mlflow.db"), made.retrained["run_id"]
    certificate = json.loads(Path(client.download_artifacts(run_id, "uncertainty/certificate.json")).read_text())
    assert (certificate["accuracy"], certificate["rows"]) == (0.6, 60)
    chosen = json.loads(Path(client.download_artifacts(run_id, "uncertainty/uncertainty.json")).read_text())
    assert set(chosen["coverage_80_per_class"]) == {"yes", "no"}
    card = Path(client.download_artifacts(run_id, "model_card.md")).read_text()
    assert f"({chosen['measure']}); larger = less sure" in card
    assert chosen["reason"] in card
    promise = f"with 80% confidence, if {certificate['assumption']}; {certificate['reason']}"
    assert f"at least 60.0% of accepted rows right, {promise}" in card
    assert certificate["assumption"] == "new rows are drawn like those of the table"
    measures = pl.read_csv(client.download_artifacts(run_id, "uncertainty/measures.csv"))
    assert {"max_probability", "weighted_scale", "surprise", "ensemble", "mask_mean"} <= set(measures["measure"])
    assert chosen["measure"] in set(measures["measure"])
    scored = made.call("score", made.retrained["model"]["uri"], "new.csv", "kept.parquet", "--json")
    out = pl.read_parquet(made.home / "kept.parquet")
    below = out["uncertainty"] <= (certificate["threshold"] if certificate["threshold"] is not None else -1.0)
    assert out["accept"].equals(below.alias("accept"))
    assert scored.json["accepted"] == pytest.approx(below.mean())


def test_sets_and_all_probabilities_are_there_on_request(made: SimpleNamespace) -> None:
    for out in ("sets.parquet", "sets.csv"):
        answer = made.call("score", MODEL, "new.csv", out, "--columns", "prediction,set,probabilities", "--json")
        assert answer.code == 0, answer.err
    one, text = pl.read_parquet(made.home / "sets.parquet"), pl.read_csv(made.home / "sets.csv")
    names = ["prediction", "probability", "accept", "set", "probability.no", "probability.yes"]
    assert one.columns == text.columns == ["row", *names]
    assert one["set"].dtype == pl.List(pl.String)
    assert (one["set"].list.len() >= 1).all()
    assert text["set"].equals(one["set"].list.join("; "))
    np.testing.assert_allclose(one["probability.no"] + one["probability.yes"], 1.0)
    alone = one.filter(pl.col("set").list.len() == 2)["set"].list.first()
    assert alone.equals(one.filter(pl.col("set").list.len() == 2)["prediction"].alias("set"))
    metrics = made.retrained["metrics"]
    assert metrics["set/promised"] == 0.9
    assert metrics["set/coverage"] > 0.8
    assert 1 <= metrics["set/size"] <= 2
    assert {"set/sscs", "set_halves/head_sscs", "set_halves/boosted_sscs"} <= metrics.keys()


def test_a_known_ambiguity_is_compared_with_every_measure(made: SimpleNamespace) -> None:
    metrics = made.retrained["metrics"]
    for measure in ("max_probability", "weighted_scale", "surprise", "distance"):
        # It was drawn at random, so nothing goes with it: 120 rows, three standard errors.
        assert abs(metrics[f"ambiguity/{measure}_spearman"]) < 3 / 120**0.5
        assert 0.2 < metrics[f"ambiguity/{measure}_auc"] < 0.8


def test_imputed_files_have_no_gaps_and_say_how_sure(made: SimpleNamespace) -> None:
    answer = made.call("impute", MODEL, "new.csv", "full.parquet", "--batch-size", "40", "--json")
    assert answer.code == 0, answer.err
    full = pl.read_parquet(made.home / "full.parquet")
    gaps = made.new["age"].is_null()
    assert answer.json["cells"] == gaps.sum() + made.new["job"].null_count() > 0
    assert full["age"].null_count() == full["job"].null_count() == 0
    assert full.filter(~gaps)["age"].equals(made.new.filter(~gaps)["age"])
    assert full["age"].dtype == pl.Int64
    assert (
        full.filter(gaps)
        .select((pl.col("age.low") <= pl.col("age")) & (pl.col("age") <= pl.col("age.high")))
        .mean()
        .item()
        > 0.9
    )
    assert full["age.low"].null_count() == (~gaps).sum()
    assert full["job.probability"].drop_nulls().is_between(0, 1).all()
    assert made.call("impute", MODEL, "new.csv", "draws.csv", "--draws", "2", "--seed", "1", "--json").code == 0
    draws = pl.read_csv(made.home / "draws.csv")
    assert draws.group_by("draw").len().sort("draw").rows() == [(1, 250), (2, 250)]
    first, second = (draws.filter(pl.col("draw") == number)["age"] for number in (1, 2))
    assert first.filter(~gaps).equals(second.filter(~gaps))
    assert not first.equals(second)


def test_samples_are_seeded(made: SimpleNamespace) -> None:
    for out, options in (("a.parquet", []), ("b.parquet", ["--batch-size", "13"]), ("c.parquet", ["--seed", "1"])):
        answer = made.call("sample", MODEL, 50, out, *options, "--gaps", "--json")
        assert answer.code == 0, answer.err
    a, b, c = (pl.read_parquet(made.home / f"{name}.parquet") for name in "abc")
    assert a.columns == ["age", "income per-year", "job", "member", "since"]
    assert a.schema == {name: made.new.schema[name] for name in a.columns}
    assert min(a.equals(b), not a.equals(c))


def test_models_without_labels_and_without_scales_are_asked_too(
    varjepa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = person_table(200)
    table.write_csv(tmp_path / "new.csv")
    monkeypatch.chdir(tmp_path / "home")
    for kind, columns in (
        ("var_t_jepa", ["row", "embedding", "uncertainty", "latent_uncertainty", "anomaly", "odd_columns"]),
        ("t_jepa", ["row", "embedding", "anomaly", "odd_columns"]),
    ):
        job = write_job(tmp_path / kind, table.drop("rich"), registry={"name": kind}, model={"kind": kind})
        assert challenge(job).promoted
        for command, out in (("score", "scored"), ("impute", "filled")):
            answer = varjepa(
                command, f"models:/{kind}@champion", tmp_path / "new.csv", tmp_path / f"{kind}_{out}.parquet"
            )
            assert answer.code == 0, answer.err
        assert pl.read_parquet(tmp_path / f"{kind}_scored.parquet").columns == columns
        assert pl.read_parquet(tmp_path / f"{kind}_filled.parquet")["age"].null_count() == 0
    job = write_job(tmp_path / "bare", table.drop("rich"), registry={"name": "bare"}, generator={"n_layers": 0})
    assert challenge(job).promoted
    refused = varjepa("impute", "models:/bare@champion", tmp_path / "new.csv", tmp_path / "x.csv", "--json")
    assert refused.code == 2
    assert "generator.n_layers" in refused.json["error"]


@pytest.mark.parametrize("column", ["age", "job"])
def test_tables_of_a_number_only_and_of_a_word_only(varjepa, tmp_path: Path, column: str) -> None:
    """A single column is the hardest for every step; networks of several of one kind, unit tests train."""
    table = person_table(200).select(column, "rich")
    table.write_csv(tmp_path / "new.csv")
    answer = varjepa("retrain", write_job(tmp_path, table, data={"label": "rich"}), "--json")
    assert answer.code == 0, answer.err
    assert {"samples/auc", "anomaly/auroc"} <= set(answer.json["metrics"])
    for words in (
        ["score", MODEL, tmp_path / "new.csv"],
        ["impute", MODEL, tmp_path / "new.csv"],
        ["sample", MODEL, 20],
    ):
        out = tmp_path / f"{words[0]}.parquet"
        assert varjepa(*words, out).code == 0
    assert pl.read_parquet(tmp_path / "impute.parquet")[column].null_count() == 0
    assert pl.read_parquet(tmp_path / "sample.parquet").columns == [column]


@pytest.mark.parametrize("where", ["uri", "run", "runs:/", "folder"])
def test_a_model_is_found_under_all_its_names(made: SimpleNamespace, where: str) -> None:
    run_id = made.retrained["run_id"]
    names = {"uri": made.retrained["model"]["uri"], "run": run_id, "runs:/": f"runs:/{run_id}",
             "folder": next((made.home / "mlruns" / "work").glob("assemble-*/model"))}  # fmt: skip
    assert made.call("sample", names[where], 3, f"{where.strip(':/')}.csv").code == 0
    assert pl.read_csv(made.home / f"{where.strip(':/')}.csv").height == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score", "models:/peeple@champion", "new.csv", "x.csv"], 'Did you mean "people"?'),
        (["score", "models:/people@best", "new.csv", "x.csv"], 'no alias "best"'),
        (["score", "models:/people/9", "new.csv", "x.csv"], "no version 9. It has version 1 and the aliases"),
        (["score", "models:/people", "new.csv", "x.csv"], "names no version"),
        (["score", "0" * 32, "new.csv", "x.csv"], "No run 0000"),
        (["score", "nowhere", "new.csv", "x.csv"], "No such model: nowhere"),
        (["score", "parts", "new.csv", "x.csv"], "holds no complete model"),
        (["score", MODEL, "nw.csv", "x.csv"], "No such file or folder"),
        (["score", MODEL, "new.csv", "x.xlsx"], "Expected .parquet or .csv"),
        (["score", MODEL, "new.csv", "nowhere/x.csv"], "does not exist"),
        (["score", MODEL, "new.csv", "x.csv", "--columns", "anomly"], 'Did you mean "anomaly"?'),
        (["score", MODEL, "new.csv", "x.csv", "--keep", "jop"], 'Did you mean "job"?'),
        (["score", MODEL, "other.csv", "x.csv"], '5 columns are missing in other.csv: "age", '),
        (["score", MODEL, "late.csv", "x.csv"], "is of type String"),
        (["impute", MODEL, "new.csv", "x.csv", "--level", "1.5"], "level"),
        (["sample", MODEL, "-5", "x.csv"], "-5"),
    ],
)
def test_bad_requests_are_refused_and_leave_nothing(made: SimpleNamespace, arguments: list[str], message: str) -> None:
    (made.home / "other.csv").write_text("a,b\n1,2\n")
    late = made.new.with_columns(
        pl.when(pl.int_range(250) < 240)
        .then(pl.col("member").cast(pl.String))
        .otherwise(pl.lit("maybe"))
        .alias("member")
    )
    late.with_columns(
        age=pl.when(pl.int_range(250) < 240).then(pl.col("age").cast(pl.String)).otherwise(pl.lit("old"))
    ).write_csv(made.home / "late.csv")
    answer = made.call(*arguments, "--json")
    if "late.csv" in arguments:
        message = "age"
    assert answer.code == 2, (answer.out, answer.err)
    assert message in answer.json["error"]
    assert "Traceback" not in answer.err
    assert not list(made.home.glob("x.*"))


def test_an_existing_file_is_kept_unless_told_otherwise(made: SimpleNamespace) -> None:
    out = made.home / "mine.csv"
    out.write_text("precious\n")
    refused = made.call("score", MODEL, "new.csv", "mine.csv", "--json")
    assert refused.code == 2
    assert "exists" in refused.json["error"]
    assert out.read_text() == "precious\n"
    assert made.call("score", MODEL, "other.csv", "mine.csv", "--force").code == 2
    assert out.read_text() == "precious\n"
    assert made.call("score", MODEL, "new.csv", "mine.csv", "--force").code == 0
    assert out.read_text() != "precious\n"


def test_imputation_says_which_gaps_stay(made: SimpleNamespace) -> None:
    holes = pl.when(pl.int_range(pl.len()) < 3).then(None).otherwise(pl.col("customer_id")).alias("customer_id")
    made.new.with_columns(holes).write_csv(made.home / "holes.csv")
    answer = made.call("impute", MODEL, "holes.csv", "filled.csv")
    assert answer.code == 0, answer.err
    assert '3 gaps left as they are, because it identifies rows: "customer_id"' in answer.err
    assert pl.read_csv(made.home / "filled.csv")["customer_id"].null_count() == 3
    assert "left as they are" not in made.call("impute", MODEL, "new.csv", "filled.csv", "--force").err


def test_an_empty_file_gives_an_empty_one(made: SimpleNamespace) -> None:
    made.new.head(0).write_parquet(made.home / "empty.parquet")
    for words in (["score", MODEL, "empty.parquet", "e1.parquet"], ["impute", MODEL, "empty.parquet", "e2.csv"],
                  ["sample", MODEL, "0", "e3.parquet"]):  # fmt: skip
        answer = made.call(*words, "--json")
        assert answer.code == 0, answer.err
        assert answer.json["rows"] == 0


@pytest.mark.parametrize("runner", ["threads", "processes", "dask"])
def test_files_are_scored_side_by_side_and_once(made: SimpleNamespace, runner: str) -> None:
    if runner == "dask":
        pytest.importorskip("prefect_dask")
    whole, out = made.home / "whole.parquet", made.home / f"scored-{runner}"
    assert made.call("score", MODEL, "parts", whole, "--keep", "customer_id", "--force").code == 0
    words = ["score", MODEL, "parts", out, "--keep", "customer_id", "--workers", 2, "--json", "--runner"]
    answer = made.call(*words, runner)
    assert answer.code == 0, answer.err
    assert (answer.json["rows"], answer.json["scored"]) == (250, 3)
    expected = pl.read_parquet(whole).drop("row")
    found = pl.concat(pl.read_parquet(out / f"{number}.parquet") for number in range(3)).drop("row")
    assert found["customer_id"].equals(expected["customer_id"])
    assert found["prediction"].equals(expected["prediction"])
    np.testing.assert_allclose(np.stack(found["embedding"]), np.stack(expected["embedding"]), atol=1e-5)
    # What is there stays; what is lost is made again, by whatever runner; another model's scores are not mixed in.
    kept = (out / "0.parquet").stat().st_mtime_ns
    (out / "1.parquet").unlink()
    again = made.call(*words, "threads")
    assert (again.json["rows"], again.json["scored"]) == (100, 1)
    assert (out / "0.parquet").stat().st_mtime_ns == kept
    other = made.call(*words, runner, "--columns", "uncertainty")
    assert other.code == 2
    assert "is not empty and was not scored with this model, precision and columns" in other.json["error"]


def test_past_days_are_scored_once_each_and_a_missing_one_stops_no_other(made: SimpleNamespace) -> None:
    days = made.home / "days"
    days.mkdir()
    for day in (1, 2, 4):
        made.new.head(10 * day).write_csv(days / f"2026-06-0{day}.csv")
    places = ("days/{{ run_date }}.csv", "days/scored-{{ run_date }}.csv")
    words = ("--columns", "prediction", "--from", "2026-06-01", "--to", "2026-06-04", "--json")
    first = made.call("score", MODEL, *places, *words)
    assert first.code == 2, first.err
    assert [(day["state"], day["rows"]) for day in first.json["days"]] == [
        ("scored", 10), ("scored", 20), ("failed", 0), ("scored", 40),
    ]  # fmt: skip
    assert "2026-06-03.csv" in first.json["days"][2]["reason"]
    made.new.head(30).write_csv(days / "2026-06-03.csv")
    again = made.call("score", MODEL, *places, *words)
    assert (again.code, [day["state"] for day in again.json["days"]]) == (0, ["skipped"] * 2 + ["scored", "skipped"])
    assert pl.read_csv(days / "scored-2026-06-03.csv").height == 30
    for wrong, message in (
        (("days/2026-06-01.csv", places[1]), "IN is the same on every day"),
        ((places[0], "out.csv"), "OUT is the same on every day"),
        ((places[0], "delta://{{ run_date }}"), "is no file"),
        ((*places, "--append"), "leave out --runner, --append and --dry-run"),
    ):
        refused = made.call("score", MODEL, *wrong, *words)
        assert (refused.code, message in refused.err) == (2, True), refused.err


def test_objects_are_scored_into_objects_and_once(made: SimpleNamespace, s3: S3) -> None:
    """Workers on other machines need the store and the registry, and none of our folders."""
    for number in range(3):
        s3.put_parquet(f"rows/{number}.parquet", made.new[100 * number : 100 * (number + 1)])
    whole, out = made.home / "of-objects.parquet", f"s3://{BUCKET}/scores"
    assert made.call("score", MODEL, "parts", whole, "--keep", "customer_id").code == 0
    words = ["score", MODEL, f"s3://{BUCKET}/rows", out, "--keep", "customer_id", "--runner", "threads", "--json"]
    answer = made.call(*words)
    assert answer.code == 0, answer.err
    assert (answer.json["rows"], answer.json["scored"], answer.json["out"]) == (250, 3, out)
    expected = pl.read_parquet(whole).drop("row")
    found = pl.concat(pl.read_parquet(s3.get(f"scores/{number}.parquet")) for number in range(3)).drop("row")
    assert found["customer_id"].equals(expected["customer_id"])
    np.testing.assert_allclose(found["uncertainty"], expected["uncertainty"], atol=1e-5)
    s3.client.delete_object(Bucket=BUCKET, Key="scores/1.parquet")
    again = made.call(*words)
    assert (again.json["rows"], again.json["files"], again.json["scored"]) == (100, 3, 1)
    for place, columns, message in ((out, "uncertainty", "was not scored with this model"),
                                  ("here", "uncertainty", "objects into objects"),
                                  (f"s3://{BUCKET}/rows", "embedding", "the folder of the table itself"),
                                  (f"s3://{BUCKET}/one.csv", "embedding", "is a file")):  # fmt: skip
        refused = made.call(
            "score", MODEL, f"s3://{BUCKET}/rows", place, "--columns", columns, "--runner", "threads", "--json"
        )
        assert (refused.code, message in refused.json["error"]) == (2, True), refused.json


def test_files_to_score_are_found_without_a_look_into_them(tmp_path: Path) -> None:
    names = ["a.csv", "b.csv.gz"]
    for name in names:
        (tmp_path / name).write_bytes(b"\xff no table")
    out = tmp_path / "out"
    assert parts_of(str(tmp_path), out) == [(tmp_path / name, out / f"{name}.parquet") for name in names]


def test_scores_never_land_among_the_files_of_the_table(made: SimpleNamespace) -> None:
    a_file = "Expected a folder, because --runner writes one file of scores per file"
    for out, message in (("parts", "the folder of the table itself"), ("some.parquet", a_file)):
        answer = made.call("score", MODEL, "parts", out, "--runner", "threads", "--json")
        assert answer.code == 2
        assert message in answer.json["error"]
