"""The model card holds what the run knows, and nothing else."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from tests.flows.conftest import recorded
from varjepa.amounts import figure
from varjepa.tasks.release.card import COUNTS

FIGURE = re.compile(r"(?<![\w.])-?\d(?:[\d,]*\d)?(?:\.\d+)?(?![\w.]*\w)")


@pytest.fixture(scope="module")
def run(handed_over: SimpleNamespace) -> SimpleNamespace:
    """The run's facts, as anybody can read them from the tracking store."""
    from mlflow import MlflowClient

    client = MlflowClient(handed_over.uri)
    run = client.get_run(handed_over.answer.json["run_id"])

    def text(name: str) -> str:
        return Path(client.download_artifacts(run.info.run_id, name)).read_text()

    version = client.get_model_version("people", "1")
    metrics = recorded(client, run.info.run_id)
    return SimpleNamespace(
        client=client, data=run.data, metrics=metrics, id=run.info.run_id, text=text, version=version
    )


def plain(card: str) -> str:
    """A card without the spaces that do not break."""
    return card.replace("\u00a0", "")


def commit(run: SimpleNamespace) -> str:
    return run.data.tags.get("mlflow.source.git.commit", "not under git")


def known_figures(run: SimpleNamespace) -> set[str]:
    """Every number that the run's facts hold, as a card would write it."""
    facts: list[Any] = [*run.data.params.values(), run.data.tags["varjepa.gate"], run.data.tags["varjepa.fingerprint"]]
    facts += [run.text(name) for name in ("uncertainty/uncertainty.json", "uncertainty/certificate.json")]
    prepared = json.loads(run.text("preprocess.json"))
    facts += [f"{rows:,}" for rows in prepared["parts"].values()]
    intervals = pl.read_csv(run.client.download_artifacts(run.id, "intervals.csv"))
    measured = [*run.metrics.values(), *intervals["low"], *intervals["high"]]
    facts += [figure(value) for value in measured]
    facts += [f"{run.metrics[name]:,.0f}" for name in COUNTS]  # whole numbers are written as such
    page = run.text("validation/docs/index.html")
    facts.append(re.search(r"(\d+) rules", page).group(1))
    rows = sum(prepared["parts"].values())
    quarantined = pl.read_parquet(run.client.download_artifacts(run.id, "validation/quarantine.parquet")).height
    facts += [rows + quarantined, quarantined, run.version.version]
    history = run.client.get_metric_history(run.id, "validation/elbo")
    facts += [f"{loss:.4g}" for losses in json.loads(run.text("heads.json")).values() for loss in losses.values()]
    facts += [len(history), *(point.step for point in history)]
    facts += ["5.0", "90", "95.0", "95"]  # shares of the contract and of the certificate in percent; level of intervals
    return {figure for fact in facts for figure in FIGURE.findall(str(fact))}


def test_every_figure_of_the_card_is_a_fact_of_the_run(run: SimpleNamespace, handed_over: SimpleNamespace) -> None:
    card = plain(run.text("model_card.md"))
    shown = card.replace(commit(run), "").replace(run.id, "")
    shown = re.sub(r"^#.*$", "", shown, flags=re.MULTILINE)  # titles explain, they tell no figures
    shown = re.sub(r"people\.csv|varjepa \| [\d.]+|1 minus|90th percentile", "", shown)
    kinds = re.search(r"\| columns \| (.*) \|", shown).group(1)
    assert kinds == "1 numeric, 2 categorical"
    features = re.search(r"\| features \| (\d+) \|", shown).group(1)
    assert int(features) == handed_over.answer.json["data"]["features"]
    shown = shown.replace(kinds, "").replace(f"features | {features}", "")
    assert set(FIGURE.findall(shown)) - known_figures(run) == set()


def test_the_card_has_all_metrics_with_intervals_of_the_main_ones(run: SimpleNamespace) -> None:
    card = plain(run.text("model_card.md"))
    for name, value in run.metrics.items():
        if name.split("/")[0] in ("probe", "raw", "selective_shipped", "certificate", "calibration", "imputation"):
            shown = f"{value:,.0f}" if name in COUNTS else figure(value)
            assert f"| {name.partition('/')[2]} | {shown}" in card, name
    intervals = {row["metric"]: row for row in pl.read_csv(
        run.client.download_artifacts(run.id, "intervals.csv")).iter_rows(named=True)}  # fmt: skip
    assert set(intervals) >= {"probe/accuracy", "probe/f1_macro", "raw/accuracy", "selective_shipped/accuracy_90"}
    for name, row in intervals.items():
        value = run.metrics[name]
        assert row["low"] - 1e-9 <= value <= row["high"] + 1e-9, name
        assert row["high"] - row["low"] < 0.5, name
        assert f"{figure(value)} ({figure(row['low'])} to {figure(row['high'])})" in card, name


def test_the_card_says_where_a_version_comes_from_and_what_it_cannot(run: SimpleNamespace) -> None:
    card = plain(run.text("model_card.md"))
    for words in (
        f"| run | {run.id} |", "| registered as | models:/people/1 |", "none: people had no champion",
        f"| data fingerprint | {run.data.tags['varjepa.fingerprint']} |", f"| commit | {commit(run)} |",
        "| rows in quarantine | 2 of 400, at most 5.0% allowed |", "larger = less sure", "| certificate | ",
        "no promise for a single class or group", "weights come from training rows.", "country (it has a single value)",
    ):  # fmt: skip
        assert words in card, words
    assert run.id in run.version.description
    link, _, brief = plain(run.data.tags["mlflow.note.content"]).partition("\n\n")
    assert link.startswith("[Report](#/experiments/")
    assert f"/runs/{run.id}/artifacts/0_report.html?workflowType=" in link
    assert brief.startswith("accuracy ")
    assert len(run.version.description) <= 5000  # what a registry on PostgreSQL keeps
    lines = set(card.splitlines()) | {"All figures are in model_card.html among the run's artifacts."}
    assert set(brief.splitlines()) <= lines
    page = run.text("model_card.html")
    assert re.sub(r"<[^>]+>", "", page).count("models:/people/1") == 1
    assert "http" not in page
