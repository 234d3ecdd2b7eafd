"""Whether new rows differ from a reference: many tests, one false-alarm rate for all of them together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from varjepa.config.operations import DriftSection
from varjepa.evaluation.drift.samples import Categories, Numbers, Sample
from varjepa.evaluation.drift.two_samples import Comparison, compare_categories, compare_numbers, compare_shares
from varjepa.evaluation.holm import holm

Aspect = Literal["values", "missing", "new categories"]
Verdict = Literal["none", "trifle", "drift"]


@dataclass(frozen=True)
class Subject:
    """What is compared.

    Attributes:
        name: of a column, or of something that the model says of a row.
        group: column, label or model.
        reference: how it was.
        new: how it is.
    """

    name: str
    group: Literal["column", "label", "model"]
    reference: Sample
    new: Sample


@dataclass(frozen=True)
class Finding:
    """One test and what became of it.

    Attributes:
        subject: what was compared.
        aspect: values (among rows that have one), missing, or new categories.
        comparison: the test.
        adjusted: p-value after Holm's correction for all tests.
        verdict: none; trifle, where it is certain and small; drift.
    """

    subject: Subject
    aspect: Aspect
    comparison: Comparison
    adjusted: float
    verdict: Verdict


def find_drift(subjects: Sequence[Subject], section: DriftSection) -> list[Finding]:
    """Tests everything; what drifted comes first, the largest effect before the others.

    Where nothing has changed, the chance that anything at all is called drift is `section.false_alarms` at most.

    Args:
        subjects: what to compare.
        section: false-alarm rate and smallest effects.
    """
    tests = [(subject, aspect, test) for subject in subjects for aspect, test in _tests(subject).items()]
    adjusted = holm([test.p for _, _, test in tests])
    findings = [
        Finding(subject, aspect, test, p, _verdict(aspect, test, p, section))
        for (subject, aspect, test), p in zip(tests, adjusted, strict=True)
    ]
    return sorted(
        findings, key=lambda finding: (finding.verdict != "drift", -finding.comparison.effect, finding.adjusted)
    )


def _tests(subject: Subject) -> Mapping[Aspect, Comparison]:
    """The tests of one subject. What no row of either sample has cannot differ, and costs the others nothing.

    Raises:
        TypeError: the new sample was not counted by its reference.
    """
    tests: dict[Aspect, Comparison]
    independent = subject.reference.independent, subject.new.independent
    match subject.reference, subject.new:
        case Numbers() as reference, Numbers() as new:
            tests = {"values": compare_numbers(reference, new)}
        case Categories() as reference, Categories() as new:
            tests = {"values": compare_categories(reference, new)}
            if reference.other or new.other:
                # (rows of another category, rows of any), in the reference and now
                before, now = ((sample.other or 0, sample.present) for sample in (reference, new))
                tests["new categories"] = compare_shares(before, now, independent)
        case _:
            raise TypeError(f"{subject.name} is a number in one sample and a category in the other")
    if subject.group == "column" and (subject.reference.missing or subject.new.missing):
        samples = subject.reference, subject.new
        before, now = ((sample.missing, sample.missing + sample.present) for sample in samples)
        tests["missing"] = compare_shares(before, now, independent)
    return tests


def _verdict(aspect: Aspect, test: Comparison, p: float, section: DriftSection) -> Verdict:
    if p > section.false_alarms:
        return "none"
    smallest = section.smallest_effect if aspect == "values" else section.smallest_share
    return "drift" if test.effect >= smallest else "trifle"


def drift_score(findings: Sequence[Finding]) -> float:
    """Largest effect among what drifted, a share of rows; 0 where nothing did."""
    return max((finding.comparison.effect for finding in findings if finding.verdict == "drift"), default=0.0)
