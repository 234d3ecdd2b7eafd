"""The page of a model's life shows what its runs recorded, and nothing of other models."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from varjepa.plots.life import Point, life_plot
from varjepa.tasks.registry.champion import move_champion
from varjepa.tasks.reports import life
from varjepa.tasks.reports.keep_life import keep_life
from varjepa.tasks.reports.life import life_page
from varjepa.tasks.tracking.store import client_for

HOUR = 3_600_000


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A model with four versions, comparisons and evaluations over five days; another one, whose name begins alike."""
    folder = tmp_path_factory.mktemp("life")
    uri = f"sqlite:///{folder}/mlflow.db"
    client = client_for(uri)
    experiment = client.create_experiment("kept", str(folder / "artifacts"))
    start = int(time.time() * 1000) - 120 * HOUR

    def run(step: str, hours: float, tags: dict[str, str], **metrics: float) -> str:
        made = client.create_run(experiment, start_time=start + round(hours * HOUR), tags={"varjepa.step": step} | tags)
        for name, value in metrics.items():
            client.log_metric(made.info.run_id, name.replace("__", "/"), value)
        client.set_terminated(made.info.run_id)
        return made.info.run_id

    for name in ("people", "people2"):
        client.create_registered_model(name)
    for number, accuracy in enumerate((0.81, 0.83, 0.80, 0.84), start=1):
        run_id = run("retrain", 30 * number, {}, head__accuracy=accuracy)
        (folder / "intervals.csv").write_text(f"metric,low,high\nhead/accuracy,{accuracy - 0.02},{accuracy + 0.02}\n")
        client.log_artifact(run_id, str(folder / "intervals.csv"))
        version = client.create_model_version("people", str(folder), run_id=run_id)
        words = "refused: <b>worse</b>" if number == 3 else "promoted: better"
        for tag in ("verdict", "varjepa.gate"):
            client.set_model_version_tag("people", version.version, tag, words)
        if number != 3:
            move_champion(client, "people", number, by="approve" if number == 4 else "retrain", reason=words)
    ends = dict.fromkeys(("drift__estimated_accuracy", "drift__estimated_accuracy_low"), 0.79)
    ends |= {"drift__estimated_accuracy_high": 0.85}
    for day in range(5):
        tags = {"varjepa.model": "models:/people@champion", "varjepa.drift": "none"}
        score, alarm = (0.2, 1.0) if day == 3 else (0.01, 0.0)
        run("drift", 24 * day + 12, tags, drift__score=score, drift__alarm=alarm, drift__rows=500, **ends)
    run("evaluate", 100, {"varjepa.model": "models:/people/2"}, evaluate__accuracy=0.8123, evaluate__rows=400)
    failed = run("retrain", 70, {"varjepa.failure": "the data broke its <i>contract</i>"})
    client.log_param(failed, "registry.name", "people")
    client.set_terminated(failed, "FAILED")
    tags = {"varjepa.model": "models:/people2@champion"}
    run("drift", 50, tags, drift__score=0.9, drift__alarm=1.0, drift__rows=77)
    return SimpleNamespace(uri=uri, folder=folder)


@pytest.mark.slow
def test_the_page_tells_the_story(lived: SimpleNamespace) -> None:
    page = life_page("people", lived.uri)
    assert "4 versions, version 4 is the champion. 5 comparisons with new rows, 1 alarm." in page
    for words in (
        "0.8300",
        "0.8100 to 0.8500",
        "0.8123",
        "20.00%",
        "alarm",
        "approve",
        "refused: &lt;b&gt;worse",
        "<td>FAILED</td>",
        "the data broke its &lt;i&gt;contract",
    ):
        assert words in page, words
    assert "<b>worse" not in page
    assert "90.00%" not in page
    assert "http" not in page
    (lived.folder / "life.html").write_text(page)


@pytest.mark.slow
def test_runs_of_a_model_whose_name_begins_alike_crowd_out_none(
    lived: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the six newest runs of models called people... one is of people2: all five of people are shown."""
    monkeypatch.setattr(life, "MOST", 5)  # as if there were hundreds
    assert "5 comparisons with new rows" in life_page("people", lived.uri)
    assert "1 comparison with new rows" in life_page("people2", lived.uri)
    monkeypatch.setattr(life, "MOST", 3)  # fewer than there are
    assert "4 versions (the newest 3 are shown), version 4 is the champion." in life_page("people", lived.uri)


@pytest.mark.parametrize("interval", [(0.72, 0.9999999999999999), (0.8, 0.9)], ids=["rounded", "resampled"])
def test_a_figure_beside_its_interval_is_drawn(interval: tuple[float, float]) -> None:
    point = Point(datetime(2026, 1, 1, tzinfo=UTC), 1.0, *interval, "1")
    life_plot(
        [point], [], [point], [], measure="accuracy", checked="accuracy"
    )  # ended with "'yerr' must not contain negative values"


@pytest.mark.slow
def test_a_model_without_versions_has_a_page(lived: SimpleNamespace) -> None:
    assert "0 versions, no champion. 1 comparison with new rows, 1 alarm." in life_page("people2", lived.uri)


@pytest.mark.slow
def test_a_page_needs_a_name_and_overwrites_nothing(tmp_path: Path, lived: SimpleNamespace) -> None:
    from varjepa.flows.cli import cli
    from varjepa.flows.failures import guarded

    def call(*words: str) -> int:
        return guarded(lambda: cli.main([*words, "--tracking-uri", lived.uri], standalone_mode=False), list(words))

    file = tmp_path / "life.html"
    assert call("models", "--page", str(file)) == 2
    assert call("models", "people", "--page", str(file)) == 0
    before = file.read_text()
    assert call("models", "people", "--page", str(file)) == 2
    assert file.read_text() == before
    assert call("models", "people", "--page", str(file), "--force") == 0
    assert call("models", "people", "--page", str(tmp_path / "no" / "life.html")) == 2


@pytest.mark.slow
def test_the_page_is_kept_with_the_newest_version_and_linked_from_the_model(lived: SimpleNamespace) -> None:
    client = client_for(lived.uri)
    client.update_registered_model("people", "Ours. [Life of this model](#/old) Since May.")
    newest = client.get_model_version("people", "4").run_id
    assert keep_life("people", lived.uri) == newest
    page = Path(client.download_artifacts(newest, "life.html")).read_text()
    assert "4 versions, version 4 is the champion." in page
    experiment = client.get_run(newest).info.experiment_id
    page = f"#/experiments/{experiment}/runs/{newest}/artifacts/life.html?workflowType=machine_learning"
    link = f"[Life of this model]({page})"
    assert client.get_registered_model("people").description == f"Ours. Since May.\n\n{link}"
    noted = json.loads(client.get_model_version("people", "2").tags["varjepa.interval"])
    assert noted == {"metric": "head/accuracy", "low": pytest.approx(0.81), "high": pytest.approx(0.85)}
    assert keep_life("people2", lived.uri) is None  # it has no version
    assert keep_life("nobody", lived.uri) is None


@pytest.mark.slow
def test_a_page_that_cannot_be_stored_stops_nothing(lived: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    artifacts, away = lived.folder / "artifacts", lived.folder / "away"
    artifacts.rename(away)
    artifacts.write_text("no folder")
    try:
        with caplog.at_level("WARNING", logger="varjepa"):
            assert keep_life("people", lived.uri) is None
    finally:
        artifacts.unlink()
        away.rename(artifacts)
    assert "the page of the life of people was not stored" in caplog.text


@pytest.mark.slow
def test_versions_with_a_label_of_another_kind_are_listed_but_not_drawn(
    lived: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accuracies and R2 were points of one panel after a name had changed its label."""
    client, drawn = client_for(lived.uri), []
    client.create_registered_model("changed")
    experiment = client.get_experiment_by_name("kept").experiment_id
    for metric, value in (("head/accuracy", 0.91), ("head/r2", 0.42), ("probe/r2", 0.43)):
        run_id = client.create_run(experiment).info.run_id
        client.log_metric(run_id, metric, value)
        client.create_model_version("changed", str(lived.folder), run_id=run_id)
    run_id = client.create_run(
        experiment, tags={"varjepa.step": "evaluate", "varjepa.model": "models:/changed/3"}
    ).info.run_id
    client.log_metric(run_id, "evaluate/r2", 0.37)
    client.set_terminated(run_id)
    # Draws as ever, and keeps what it was given: a picture does not say which points it has.
    monkeypatch.setattr(
        life, "life_plot", lambda *points, **named: drawn.append((*points, named)) or life_plot(*points, **named)
    )
    page = life_page("changed", lived.uri)
    ((quality, _, estimated, true, named),) = drawn
    assert [point.value for point in quality] == [0.42, 0.43]
    assert [point.value for point in true] == [0.37]
    assert (estimated, named) == ([], {"measure": "R2", "checked": "R2"})
    for cell in ("accuracy 0.9100", "0.4200", "0.3700"):
        assert f"<td>{cell}</td>" in page, cell
