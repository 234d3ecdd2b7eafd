"""Every page shows names and cells as text, whatever they hold, and needs nothing beside it."""

import base64
import json
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import jinja2
import numpy as np
import pytest

from varjepa.config import SplitSection, parse_config, study_config
from varjepa.config.operations import DriftSection, TrackingSection
from varjepa.data.read.contract import Contract
from varjepa.evaluation.benchmark.published import Comparison
from varjepa.evaluation.bootstrap import Interval
from varjepa.evaluation.drift.samples import Categories, Numbers
from varjepa.evaluation.drift.tests import Subject, find_drift
from varjepa.tasks.contract.findings import Finding, Outcome
from varjepa.tasks.contract.page import contract_page
from varjepa.tasks.contract.rule import Rule
from varjepa.tasks.contract.run import Validation
from varjepa.tasks.drift.compare import Drift, Question
from varjepa.tasks.drift.report import drift_page
from varjepa.tasks.release.card import CardFacts, brief_card, html_card
from varjepa.tasks.release.gate import Decision
from varjepa.tasks.release.predecessor import Predecessor
from varjepa.tasks.release.report import html_report
from varjepa.tasks.reports.meanings import EXACT, PICTURES, meaning
from varjepa.tasks.reports.page import Picture, render
from varjepa.tasks.retrain.ingest import Snapshot
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.retrain.pretrain import Pretrained
from varjepa.tasks.studies.benchmark_report import benchmark_page
from varjepa.tasks.studies.simulation_report import simulation_page

HOSTILE = """</td></table><script>alert("x")</script><img src=x onerror='y'>&amp;{{ 7 * 7 }}{% raw %}"""


class Reader(HTMLParser):
    """Tags and texts of a page, as a browser sees them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, str | None] = {}
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= dict(attrs)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture
def figure(tmp_path: Path) -> Path:
    path = tmp_path / "effects.png"
    path.write_bytes(b"\x89PNG")
    return path


def contract_of_hostile_names(_: Path) -> str:
    rules = [Rule(column=HOSTILE, says=f"one of {HOSTILE}", expectation=None, broken="SQL"),
             Rule(column="", says="at least 5 rows", expectation=None),
             Rule(column="age", says="never missing", expectation=None, broken="SQL")]  # fmt: skip
    findings = (
        Finding(rules[0], kept=False, broken=1, examples=(f"row 0: {HOSTILE}", "row 1: b"), problem=""),
        Finding(rules[1], kept=False, broken=0, examples=(), problem=f"it lacks {HOSTILE}"),
        Finding(rules[2], kept=True, broken=0, examples=(), problem=""),
    )
    return contract_page(Outcome(findings, rows=3, quarantined=2, allowed=0.1), "gx/index.html")


def drift_of_hostile_names(figure: Path) -> str:
    rng = np.random.default_rng(0)
    before = Numbers.of(rng.normal(size=900))
    after = Numbers.of(rng.normal(1, 1, 500), knots=before.knots, missing=100)
    names = ("a", HOSTILE)
    mixes = [Categories(names=names, counts=c, other=o) for c, o in (((500, 400), 1), ((50, 450), 90))]
    subjects = [Subject(HOSTILE, "column", before, after), Subject("job", "column", *mixes)]
    findings = find_drift(subjects, DriftSection())
    drift = Drift(
        Question(model=HOSTILE, new=HOSTILE), HOSTILE, TrackingSection(), DriftSection(), 600, 600, findings,
        words={"job": {HOSTILE: 90}}, quality={"accuracy": (0.9, 0.8)},
    )  # fmt: skip
    return drift_page(drift, [figure])


def benchmark_of_hostile_names(figure: Path) -> str:
    return benchmark_page([(HOSTILE, ["data set", HOSTILE], [[HOSTILE, "0.9"]])], [figure])


def simulation_of_hostile_names(figure: Path) -> str:
    final = {f"s_x/{name}": [1.0, 2.0] for name in ("rankme", "active_units", "probe_accuracy")}
    model = SimpleNamespace(name=HOSTILE, final=lambda: final)
    table = [Comparison("A", HOSTILE, "kl_agg", 0.1, 0.2, None, 1)]
    return simulation_page(study_config(runs=2), [model], table, [figure])


def card_of_hostile_names(figure: Path) -> str:
    return html_card(hostile_facts(figure))


def report_of_hostile_names(figure: Path) -> str:
    return html_report(hostile_facts(figure), Decision(promoted=False, reason=HOSTILE, aliases=[], metrics={}))


def hostile_facts(figure: Path) -> CardFacts:
    history = figure.with_name("history.json")
    history.write_text(json.dumps([{}, {}]))
    config = parse_config({"data": {"path": "x.csv", "label": HOSTILE}, "contract": {"path": HOSTILE}})
    nowhere = Path("nowhere")
    facts = CardFacts(
        config=config, run_id="run", commit=None, snapshot=Snapshot(nowhere, HOSTILE, 100, {}, HOSTILE),
        contract=Contract(), validation=Validation(nowhere, nowhere, nowhere, rows=100, quarantined=3, rules=9),
        prepared=Prepared(
            nowhere, nowhere, nowhere, 2, {"train": 60}, {HOSTILE: HOSTILE}, {HOSTILE: ("a", "b")}, SplitSection(),
            {HOSTILE: 0.5}, {HOSTILE: 0.99},
        ),
        pretrained=Pretrained(nowhere, history, best_epoch=1, stopped_early=False),
        metrics={"probe/accuracy": 0.8, f"ambiguity/{HOSTILE}": 1.0},
        intervals={"probe/accuracy": Interval(0.7, 0.9)},
        decisions={"uncertainty": f"entropy: {HOSTILE}", "certificate": HOSTILE},
        before=Predecessor(3, HOSTILE, HOSTILE),
    )  # fmt: skip
    return facts.handed_over("models:/people/1", HOSTILE)


PAGES = {
    "contract": contract_of_hostile_names,
    "drift": drift_of_hostile_names,
    "benchmark": benchmark_of_hostile_names,
    "simulation": simulation_of_hostile_names,
    "card": card_of_hostile_names,
    "report": report_of_hostile_names,
}


@pytest.mark.parametrize("name", PAGES)
def test_markup_in_names_and_cells_comes_out_as_text(name: str, figure: Path) -> None:
    page = PAGES[name](figure)
    read = Reader(page)
    assert "script" not in read.tags
    assert "onerror" not in read.attributes
    assert HOSTILE in "\n".join(read.texts)  # the parser has put the signs back that were escaped
    assert unescape(page).count(HOSTILE) >= 2
    assert HOSTILE not in page
    assert read.tags.count("img") == (name in ("drift", "benchmark", "simulation"))


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_whole_and_need_nothing_beside_them(name: str, figure: Path) -> None:
    page = PAGES[name](figure)
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert "http" not in page
    for tag in ("table", "tr", "td", "th", "ul", "li", "h2", "p"):
        assert page.count(f"<{tag}>") + page.count(f"<{tag} ") == page.count(f"</{tag}>"), tag


def test_the_report_begins_with_the_figures_of_the_predictions(figure: Path) -> None:
    """People who decide read the objective of the training first, as it comes first in the tracking UI."""
    metrics = {"elbo/test": -1.0, "calibration/ece": 0.1, "head/accuracy": 0.8, "raw/accuracy": 0.7, "gate/low": 0.0}
    facts = replace(hostile_facts(figure), metrics=metrics)
    page = html_report(facts, Decision(promoted=True, reason="", aliases=[], metrics={}))
    shown = [text for text in Reader(page).texts if text in metrics]
    numbers = replace(facts, metrics={"head/r2": 0.8, "head/rmse": 42.0})
    assert "typical error, in the label" in html_report(numbers, Decision(True, "", [], {}))
    assert shown == ["head/accuracy", "raw/accuracy", "calibration/ece", "elbo/test"]


def test_counts_are_whole_numbers_and_figures_that_do_not_vary_have_no_interval(figure: Path) -> None:
    metrics = {"certificate/rows": 2064.0, "interval/width": 98.9, "head/r2": 0.8}
    spans = {"interval/width": Interval(98.9, 98.9), "head/r2": Interval(0.7, 0.9)}
    facts = replace(hostile_facts(figure), metrics=metrics, intervals=spans)
    assert [facts.figure(name) for name in metrics] == ["2,064", "98.9000", "0.8000 (0.7000 to 0.9000)"]


@pytest.mark.parametrize(
    ("accuracy", "shown"), [(1.0, "No test row was predicted wrongly"), (0.9, "If the least sure")]
)
def test_where_nothing_is_wrong_no_ranking_of_errors_is_praised(figure: Path, accuracy: float, shown: str) -> None:
    facts = replace(hostile_facts(figure), metrics={"head/accuracy": accuracy, "selective_shipped/accuracy_90": 1.0})
    page = html_report(facts, Decision(promoted=True, reason="", aliases=[], metrics={}))
    assert shown in page
    assert ("instead of" in page) == (accuracy < 1)


@pytest.mark.parametrize(
    ("head", "asked", "shown"),
    [
        ("r2", "auto", "a squared error of"), ("accuracy", "auto", "an accuracy of"),
        ("accuracy", "log_loss", "a log loss of"), ("r2", "accuracy", "a squared error of"), ("", "auto", "an ELBO of"),
    ],
)  # fmt: skip
def test_the_report_says_what_the_gate_has_compared(figure: Path, head: str, asked: str, shown: str) -> None:
    facts = hostile_facts(figure)
    gate = facts.config.gate.model_copy(update={"metric": asked})
    metrics = {"gate/metric": 2.5, "gate/champion_metric": 3.5} | ({f"head/{head}": 0.8} if head else {})
    facts = replace(facts, metrics=metrics, config=facts.config.model_copy(update={"gate": gate}))
    page = html_report(facts, Decision(promoted=True, reason="", aliases=[], metrics={}))
    assert f"this version has {shown} 2.5000 and the champion 3.5000" in page


@pytest.mark.parametrize(
    ("words", "shown"), [("what ships 0.9000", False), ("what ships only 0.7000, which may be chance (p 0.2)", True)]
)
def test_the_report_names_a_paired_test_where_there_is_a_result(figure: Path, words: str, shown: bool) -> None:
    facts = replace(hostile_facts(figure), decisions={"raw columns": words})
    page = html_report(facts, Decision(promoted=True, reason="", aliases=[], metrics={}))
    assert ("Paired test" in page) == shown


def test_the_contracts_page_tells_broken_rules_from_kept_ones(figure: Path) -> None:
    texts = [text.strip() for text in Reader(contract_of_hostile_names(figure)).texts if text.strip()]
    verdicts = [text for text in texts if text in ("kept", "broken")]
    assert verdicts == ["broken", "broken", "kept"]
    assert {"the table", f"it lacks {HOSTILE}", "1 (33.33%)", "row 1: b"} <= set(texts)
    assert any("3 rules, 1 of them kept" in text for text in texts)


def test_commands_in_sentences_are_shown_as_code(figure: Path) -> None:
    page = report_of_hostile_names(figure)
    assert "<code>varjepa drift models:/people/1 NEW</code>" in page
    assert "`" not in page


def test_the_brief_card_keeps_the_beginning_of_a_long_word(figure: Path) -> None:
    facts = hostile_facts(figure)
    snapshot = replace(facts.snapshot, source=f"s3://lake/{'x' * 400}.parquet")
    assert "| s3\\://lake/xxx" in brief_card(replace(facts, snapshot=snapshot))  # it read "..."


def test_a_value_that_a_template_lacks_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="summary"):
        render("card.html", name="people", sections=[], limits=[])


def test_pictures_hold_no_word_that_a_search_for_links_would_find(tmp_path: Path) -> None:
    file = tmp_path / "figure.png"
    file.write_bytes(base64.b64decode("AAhttpAA"))
    shown = Picture.of(file).data
    assert "http" not in shown
    assert base64.b64decode(shown.replace("\n", "")) == file.read_bytes()


@pytest.mark.parametrize("name", [*EXACT, "head/accuracy", "raw/r2", "selective_msp/aurc", "calibration/brier"])
def test_figures_have_a_meaning_of_one_line(name: str) -> None:
    assert 10 < len(meaning(name)) < 110


def test_figures_that_nobody_explained_have_none() -> None:
    assert meaning("elbo/unheard_of") == ""


def test_every_picture_has_a_title_and_a_sentence() -> None:
    for title, sentence in PICTURES.values():
        assert title[0].isupper()
        assert sentence.endswith(".")
