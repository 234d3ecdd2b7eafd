"""What a notebook shows of models, results and contracts: small tables, in which the text of strangers is text."""

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.flows.conftest import person_table
from tests.hostile_table import HIT, hostile_table
from tests.unit.inference.test_estimator import TINY
from varjepa import VarTJEPA
from varjepa.data.read.contract import ColumnContract, Contract
from varjepa.evaluation.uncertainty.certificate import Certificate
from varjepa.inference.reasons import Contributions, Reasons
from varjepa.visible import MOST_LINES, html_table

TAG = re.compile(r"<(?!/?(?:table|caption|tr|th|td)>)")
"""A tag that our tables do not have."""


@given(st.text(), st.lists(st.lists(st.text(), min_size=1, max_size=3), max_size=4), st.lists(st.text(), max_size=3))
def test_no_text_becomes_a_tag(title: str, lines: list[list[str]], header: list[str]) -> None:
    page = html_table(title, lines, header)
    assert not TAG.search(page)
    assert page.isprintable()
    assert page.count("<tr>") == len(lines) + bool(header)


def test_long_tables_and_long_texts_are_cut() -> None:
    page = html_table("t", [("x" * 10_000,)] * (MOST_LINES + 5))
    assert page.count("<tr>") == MOST_LINES + 1
    assert "and 5 more" in page
    assert len(page) < 300 * MOST_LINES


@pytest.fixture(scope="module")
def hostile() -> tuple[pl.DataFrame, VarTJEPA]:
    table = hostile_table(120)
    return table, VarTJEPA(TINY).fit(table)


@pytest.mark.slow
def test_a_model_of_a_hostile_table_shows_its_names_as_text(hostile: tuple[pl.DataFrame, VarTJEPA]) -> None:
    _, model = hostile
    page = model.model_._repr_html_()
    assert not TAG.search(page)
    assert "&lt;img" in page
    assert "var_t_jepa, layers: " in page
    assert "impute, sample, anomalies" in page
    # The estimator shows the same below the diagram of scikit-learn, where people look for it.
    shown = model._repr_mimebundle_()["text/html"]
    assert shown.endswith(page)
    assert f"<img src=x onerror={HIT}" not in shown


@pytest.mark.slow
def test_an_imputation_shows_what_was_filled(hostile: tuple[pl.DataFrame, VarTJEPA]) -> None:
    table, model = hostile
    names = model.model_.preprocessor.names
    gaps = table.with_columns(
        pl.Series(name, [None if i < 3 else cell for i, cell in enumerate(table[name])], dtype=table.schema[name])
        for name in table.columns
        if name in names
    )
    page = model.impute(gaps, draws=2)._repr_html_()
    assert not TAG.search(page)
    assert "joint draws: 2" in page
    assert "<td>3</td>" in page
    assert "interval" in page


@pytest.mark.slow
def test_a_model_shows_columns_of_text_among_those_that_it_reads() -> None:
    """They were neither among the columns nor among those left out."""
    words = ("late", "slow", "broken", "fine")
    notes = [f"{words[row % 4]} parcel number {row * row} again" for row in range(60)]
    model = VarTJEPA(TINY).fit(pl.DataFrame({"size": [row % 7 for row in range(60)], "note": notes}))
    lines = dict(re.findall("<th>(.*?)</th><td>(.*?)</td>", model.model_._repr_html_()))
    assert lines["columns"] == "2: &quot;size&quot;, &quot;note&quot;"
    assert lines["columns of text"] == "&quot;note&quot;"


def test_an_estimator_without_a_model_shows_the_diagram_alone() -> None:
    assert "Trained model" not in VarTJEPA(TINY)._repr_mimebundle_()["text/html"]


@pytest.mark.slow
def test_gaps_of_dates_and_words_are_described() -> None:
    table = person_table()
    model = VarTJEPA(TINY).fit(table)
    gaps = table.with_columns(pl.when(pl.int_range(pl.len()) > 4).then(name).alias(name) for name in table.columns)
    page = model.impute(gaps)._repr_html_()
    assert "probability 0." in page
    assert page.count("<tr>") > 3
    assert "columns with gaps: 0" not in page


@pytest.mark.parametrize(
    ("certificate", "says"),
    [
        ({"threshold": 0.38796685, "coverage": 0.64}, ["95.0% of accepted rows are right", "64.0%", "<td>0.3880<"]),
        ({"threshold": None, "coverage": 0.0}, ["None: because."]),
        ({"threshold": 0.25, "coverage": 0.5, "tolerance": 3.5}, ["within 3.5"]),
        ({"threshold": 0.25, "coverage": 0.5, "tolerance": 1_085_000.0}, ["within 1,085,000"]),
        ({"threshold": 0.25, "coverage": 0.5, "assumption": "<i>if</i>"}, ["&lt;i&gt;if"]),
        ({"threshold": 0.25, "coverage": 0.5, "clusters": 70}, ["<th>clusters</th><td>70"]),
    ],
)
def test_a_certificate_says_what_it_promises(certificate: dict, says: list[str]) -> None:
    page = Certificate(accuracy=0.95, confidence=0.9, rows=500, reason="because", **certificate)._repr_html_()
    assert not TAG.search(page)
    for words in says:
        assert words in page


@pytest.mark.parametrize(
    ("column", "rule"),
    [
        (ColumnContract(kind="numeric", min=-1, max=2.5), "at least -1.0, at most 2.5"),
        (
            ColumnContract(kind="categorical", values=("<b>", "x"), nullable=False),
            "no gaps, one of &quot;&lt;b&gt;&quot;, ",
        ),
        (ColumnContract(kind="text", unique=True, required=False), "may be absent, no value twice"),
        (ColumnContract(kind="date", max_missing=0.2), "at most 20.0% missing"),
        (ColumnContract(kind="boolean"), "<td></td>"),
    ],
)
def test_a_contract_shows_the_rules_of_its_columns(column: ColumnContract, rule: str) -> None:
    page = Contract(columns={"<script>": column}, min_rows=1000)._repr_html_()
    assert not TAG.search(page)
    assert "at least 1,000 rows" in page
    assert "&lt;script&gt;" in page
    assert rule in page


@pytest.mark.parametrize("kind", ["prediction", "uncertainty"])
def test_reasons_name_the_columns_that_matter_most(kind: str) -> None:
    parts = Contributions(np.zeros(1), np.ones(1), np.array([[0.1, -0.5]]))
    others = {"prediction": None, "uncertainty": None} | {kind: parts}
    page = Reasons(["<a>", "b"], **others)._repr_html_()
    assert f"add to the {kind}" in page
    assert "b -0.5, &lt;a&gt; +0.1" in page


def test_reasons_of_a_model_that_gives_none_are_an_empty_table() -> None:
    assert "<td>" not in Reasons(["a"], None, None)._repr_html_()
    assert repr(Reasons(["a"], None, None)) == "Reasons(0 rows, 1 column)"
