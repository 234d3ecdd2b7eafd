"""What is said of a change: means and shares that differ read so, and no mean is made up where there are no values."""

import numpy as np

from varjepa.config.operations import DriftSection
from varjepa.evaluation.drift.samples import Categories, Numbers, Sample
from varjepa.evaluation.drift.tests import Subject, find_drift
from varjepa.evaluation.drift.words import sentence


def said(reference: Sample, new: Sample) -> str:
    (finding,) = (
        finding
        for finding in find_drift([Subject("x", "column", reference, new)], DriftSection())
        if finding.aspect == "values"
    )
    return sentence(finding)


def test_means_that_differ_read_so() -> None:
    before = Numbers.of(np.tile([2013.6, 2015.6], 500))
    words = said(before, Numbers.of(np.tile([2014.2, 2016.2], 500), knots=before.knots))
    assert "the mean went from 2014.6 to 2015.2 (+0.60 standard deviations)" in words  # "from 2015 to 2015"


def test_shares_that_differ_read_so() -> None:
    names = tuple(f"k{number}" for number in range(300))
    before, after = (10_000,) * 300, (10_000,) * 150 + (11_000,) * 150
    words = said(Categories(names=names, counts=before), Categories(names=names, counts=after))
    assert 'most of all "k0" from 0.33% to 0.32%' in words  # "from 0.3% to 0.3%"


def test_no_mean_is_made_up() -> None:
    before = Numbers.of(np.arange(100.0))
    assert said(before, Numbers.of(np.zeros(0), knots=before.knots, missing=9)) == "x: there are no values to compare."
    constant = Numbers.of(np.ones(100))
    words = said(constant, Numbers.of(np.full(100, 3.0), knots=constant.knots))
    assert "went from 1 to 3 (from one value only)" in words


def test_long_names_and_words_are_shortened() -> None:
    long = "x" * 10_000
    reference, new = (
        Categories(names=("a", long), counts=(900, 100), other=0),
        Categories(names=("a", long), counts=(100, 900), other=90),
    )
    findings = find_drift([Subject(long, "column", reference, new)], DriftSection())
    for finding in findings:
        assert len(sentence(finding, {long: 90})) < 700
