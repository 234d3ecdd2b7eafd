"""The tables at the end of a retrain fit into 80 columns, with arrows, verdicts and whole names and commands."""

import itertools
import re
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from varjepa.config import parse_config
from varjepa.flows.show import registry, results
from varjepa.flows.show.verdicts import FIGURES, losing_sentence, verdict

URI = f"sqlite:////{'a/long/way/to/' * 8}mlflow.db"

CLASSES = {
    **{f"{group}/{name}": 0.861 for group in results.COLUMNS for name in ("accuracy", "f1_macro", "balanced_accuracy")},
    **{f"{group}/{name}": 0.9 for group in results.RANKINGS for name in results.SELECTIVE},
    "set/coverage": 0.912, "set/promised": 0.9, "set/size": 1.106, "certificate/coverage": 0.736,
    "certificate/accuracy": 0.958, "certificate/promised": 0.95, "data/labelled_test_rows": 123_456.0,
    **dict.fromkeys(FIGURES, 0.99),
}  # fmt: skip
NUMBERS = {
    **{f"{group}/{name}": 123_456.789 for group in results.COLUMNS for name in ("rmse", "r2", "crps")},
    "interval/coverage": 0.9, "interval/promised": 0.9, "interval/width": 123_456.7, "certificate/promised": 0.95,
    "certificate/coverage": 0.0, "certificate/tolerance": 12_345.6,
}  # fmt: skip
UNLABELLED = {"elbo/val": -12.3, "latent/rankme": 94.2}


def shown(metrics: dict[str, float], monkeypatch: pytest.MonkeyPatch, width: int = 80) -> str:
    console = Console(width=width, record=True, file=StringIO(), emoji=False, highlight=False)
    monkeypatch.setattr(results, "console", console)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    result = {
        "run_id": "0" * 32, "metrics": metrics, "promoted": True, "reason": "there was no champion",
        "model": {"name": "people", "version": 12, "uri": "models:/people/12", "aliases": ["champion"]},
        "data": {"rows": 1_234_567, "quarantined": 12, "fingerprint": "", "features": 33},
        "seconds": {"pretrain": 3700.0, "ingest": 0.4, "total": 4000.0},
    }  # fmt: skip
    results.show_result(result, parse_config({"data": {"name": "sim"}, "tracking": {"uri": URI}}))
    return console.export_text()


NONE_ACCEPTED = CLASSES | {"set/coverage": 0.899, "set/size": 1.2345, "certificate/coverage": 0.0}
del NONE_ACCEPTED["certificate/accuracy"]


@pytest.mark.parametrize(
    "metrics", [CLASSES, NONE_ACCEPTED, NUMBERS, UNLABELLED], ids=["classes", "none accepted", "numbers", "no label"]
)
def test_nothing_is_cut_or_wrapped_at_80_columns(metrics: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(metrics, monkeypatch)
    assert "…" not in text
    lines = text.splitlines()
    assert all(len(line) <= 80 for line in lines if URI not in line)
    assert any(line.endswith(f"varjepa ui --tracking-uri {URI}") for line in lines)
    score = f"varjepa score models:/people@champion NEW.csv OUT.csv --tracking-uri {URI}"
    assert any(line.endswith(score) for line in lines)
    rows = [line for line in lines if line.startswith(("│", "┃"))]
    # A wrapped cell leaves the next line without a first cell, but for the heads of tables without a name there.
    assert not [line for line in rows if line.startswith("│") and not line[1:].split("│")[0].strip()]


@pytest.mark.parametrize(
    ("metrics", "said"),
    [(NUMBERS, "size: mean width of the intervals"), (CLASSES, "size: mean number of classes in a set"),
     (NONE_ACCEPTED, "│ none    │")],
)  # fmt: skip
def test_sizes_and_empty_promises_are_explained(
    metrics: dict[str, float], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said in shown(metrics, monkeypatch)


@pytest.mark.parametrize("width", [40, 20])
def test_no_number_is_cut_or_broken_on_a_narrow_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(NUMBERS, monkeypatch, width).splitlines()
    cells = [cell.strip() for line in lines if line.startswith("│") for cell in line.split("│")]
    assert cells.count("123,457") > 3 * len(results.COLUMNS)  # errors and a width; they read "1234…"
    assert not [cell for cell in cells if "…" in cell]


def test_models_are_readable_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(width=40, record=True, file=StringIO(), emoji=False, highlight=False)
    monkeypatch.setattr(registry, "console", console)  # a narrow one that records
    gate = {"outcome": "first", "vetoes": [], "reason": ""}
    entry = {"name": "people", "version": 1, "aliases": ["challenger", "champion"], "created": "2026-11-29 10:00 UTC",
             "quality": 0.5472, "rows": 400, "run_id": "0" * 32, "gate": gate}  # fmt: skip
    registry.show_models([entry])
    words = console.export_text().split()
    assert {"people", "challenger", "first", "0.5472", "2026-11-29"} <= set(words)  # one letter stood below the other


def test_each_metric_says_where_it_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(CLASSES, monkeypatch)
    named = [*results.QUALITY.values(), *results.SELECTIVE.values(), *(figure.words for figure in FIGURES.values())]
    assert all(re.search(r"[↑↓]", words) for words in named)
    legend = "ships: the measure chosen; latent: latents' scales; max. prob.: 1 - largest p\n"
    said = ("accuracy ↑", "raw, trees", "123,456 labelled test rows", "bad, always told", "1 h 6 min in all", legend)
    for words in said:
        assert words in text


@pytest.mark.parametrize(
    ("promised", "rows", "hint"),
    [(0.95, 1e4, "accuracy=0.9"), (0.9, 1e4, "accuracy=0.8"), (0.6, 1e4, None),
     (0.95, 19.0, "accuracy=0.8"), (0.95, 5.0, None)],
)  # fmt: skip
def test_where_no_row_is_accepted_a_lower_level_is_suggested_that_the_rows_can_show(
    promised: float, rows: float, hint: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = {"certificate/coverage": 0.0, "certificate/promised": promised, "certificate/rows": rows}
    text = shown(metrics, monkeypatch)
    assert "No row can be accepted at this level." in text
    assert ("--set uncertainty." in text) == (hint is not None)
    if hint is not None:
        assert f"\n  --set uncertainty.{hint}\n" in "\n".join(line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize(("guess", "said"), [(0.8, True), (0.7, False)])
def test_what_ships_and_is_no_better_than_a_guess_is_named(
    guess: float, said: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown({"head/accuracy": 0.8, "guess/accuracy": guess}, monkeypatch)
    assert ("always naming the most frequent class" in " ".join(text.split())) == said


@given(st.sampled_from([name for name, figure in FIGURES.items() if figure.limits]), st.floats(-10, 10))
def test_verdicts_cover_all_values(name: str, value: float) -> None:
    limits = [limit for limit, _ in FIGURES[name].limits]
    assert limits == sorted(limits)
    assert verdict(name, value) in {words for _, words in FIGURES[name].limits}


@pytest.mark.parametrize(("head", "probe", "raw", "boosted"), itertools.product((0.7, 0.9), repeat=4))
def test_a_sentence_says_where_the_embedding_loses(head: float, probe: float, raw: float, boosted: float) -> None:
    sentence = losing_sentence({"head/r2": head, "probe/r2": probe, "raw/r2": raw, "boosted/r2": boosted})
    # Whether what ships is behind raw columns says the gate's reason, which knows whether that may be chance.
    assert bool(sentence) == (max(raw, boosted) > probe)
    if sentence:
        assert f"what ships {head:.4f}" in sentence
