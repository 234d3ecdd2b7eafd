"""Results of prediction sets: metrics, their intervals, and a table with the coverage of classes and subgroups."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from varjepa.amounts import share
from varjepa.evaluation.arrays import Bools, Floats
from varjepa.evaluation.bootstrap import Interval
from varjepa.evaluation.uncertainty.class_scores import ClassScore
from varjepa.evaluation.uncertainty.conformal import largest_cluster
from varjepa.evaluation.uncertainty.intervals import independent_rows, wilson
from varjepa.evaluation.uncertainty.prediction_sets import LabelledRows, SetRule, cross_fitted
from varjepa.evaluation.uncertainty.set_metrics import class_groups, covered, group_coverage, set_metrics
from varjepa.inference.calibration import Calibration
from varjepa.tasks.steps.files import write_text
from varjepa.tasks.steps.json_text import json_text

SHOWN_ROWS = 200
"""Classes and subgroups with fewer test rows do not count for the smallest and largest coverage."""


def set_results(
    outcome: Calibration, boosted: Floats, groups: Mapping[str, Bools], tables: Path
) -> tuple[dict[str, float], dict[str, Interval]]:
    """Metrics `set/...` on the test rows and their intervals; writes `sets.json` into the folder of tables.

    Args:
        outcome: of the calibration.
        boosted: probabilities of boosted trees on raw columns for the test rows, [N, C].
        groups: subgroups of the test rows: name -> which rows belong to it [N].
        tables: folder.
    """
    rule, test = outcome.sets, outcome.test
    if rule is None or not len(test.labels):
        return {}, {}
    sets = rule.sets(test.probabilities)
    right = covered(sets, test.labels)
    label = outcome.model.preprocessor.label
    classes = group_coverage(right, class_groups(test.labels, () if label is None else label.classes))
    facts = rule.model_dump() | {
        "test": set_metrics(sets, test.labels), "classes": classes, "subgroups": group_coverage(right, groups),
        "accepted_by_class": {name: certificate.model_dump() for name, certificate in outcome.by_class.items()},
    }  # fmt: skip
    write_text(tables / "sets.json", json_text(facts, indent=1))
    metrics = {f"set/{name}": value for name, value in set_metrics(sets, test.labels).items()}
    shares = [found["coverage"] for found in classes.values() if found["rows"] >= SHOWN_ROWS]
    if shares:
        metrics |= {"set/class_coverage_min": min(shares), "set/class_coverage_max": max(shares)}
    metrics |= compared_sets(rule, test.labelled, test.labelled._replace(probabilities=boosted))
    rows = max(1.0, independent_rows(right.astype(np.float64), test.clusters))
    return metrics | {"set/promised": rule.level}, {"set/coverage": wilson(metrics["set/coverage"], rows)}


def compared_sets(rule: SetRule, head: LabelledRows, boosted: LabelledRows) -> dict[str, float]:
    """Size-stratified coverage and size of the head's sets and of those of boosted trees, by the same procedure.

    Thresholds come from random halves of the test rows, and are measured on the other halves: the trees have no others.

    Args:
        rule: of the sets that ship, whose score both have.
        head: test rows, with the probabilities of the head.
        boosted: the same rows, with those of boosted trees on raw columns.
    """
    score, largest = ClassScore(rule.score, rule.penalty, rule.free), largest_cluster(head.clusters)
    metrics: dict[str, float] = {}
    for name, rows in (("head", head), ("boosted", boosted)):
        if rows.can_be_halved:
            found = cross_fitted(score, rows, rule.level, largest, 0)
            metrics |= {f"set_halves/{name}_{key}": found[key] for key in ("sscs", "size")}
    return metrics


def set_decisions(outcome: Calibration) -> dict[str, str]:
    """What the sets promise, and how many rows of each class are accepted, as text for people."""
    rule, label = outcome.sets, outcome.model.preprocessor.label
    if rule is None or label is None:
        return {}
    words = [
        f"{name} {share(certificate.coverage, 0)}" if certificate.threshold is not None else f"{name} none"
        for name, certificate in outcome.by_class.items()
    ]
    accepted = f"share of the rows predicted as a class that its own certificate accepts: {', '.join(words)}"
    return {"prediction sets": rule.promise(label.classes), "certificates by class": accepted}
