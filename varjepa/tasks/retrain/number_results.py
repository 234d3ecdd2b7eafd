"""Results of a regressor's calibration: metrics, their intervals, tables and figures."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from varjepa import plots
from varjepa.evaluation.bootstrap import Interval
from varjepa.evaluation.uncertainty.intervals import independent_rows, wilson
from varjepa.evaluation.uncertainty.number_metrics import NumberRows, number_intervals
from varjepa.evaluation.uncertainty.selective import oracle, risk_coverage
from varjepa.inference.number_calibration import NumberCalibration
from varjepa.tasks.steps.files import write_text
from varjepa.tasks.steps.json_text import json_text
from varjepa.tasks.steps.log import log


class NumberResults(NamedTuple):
    """What a calibration of numbers found on the test rows.

    Attributes:
        metrics: `interval/...`, `head/crps`, `selective_shipped/...` and `certificate/...`.
        intervals: of the metrics that are means over rows, 95%.
        figures: by name.
    """

    metrics: dict[str, float]
    intervals: dict[str, Interval]
    figures: dict[str, Figure]


def number_results(outcome: NumberCalibration, tables: Path) -> NumberResults:
    """Returns metrics and figures, and writes `intervals.json` and `certificate.json` into the folder of tables."""
    fitted, test, metrics = outcome.fitted, outcome.test, outcome.metrics
    for name, words in outcome.decisions.items():
        log.info("%s: %s", name, words)
    if fitted.rule is not None:
        # The quantiles are in the model; here they would hide the rest.
        facts = fitted.rule.model_dump(exclude={"quantiles"}) | {"test": metrics}
        write_text(tables / "intervals.json", json_text(facts, indent=1))
    if fitted.certificate is not None:
        write_text(tables / "certificate.json", fitted.certificate.model_dump_json(indent=1))
    if not len(test.labels):
        return NumberResults(metrics, {}, {})
    ranked = test.ranked(fitted.rule)
    absolute = np.abs(ranked.error)
    curves = {"uncertainty": risk_coverage(ranked.uncertainty, absolute), "oracle": oracle(absolute)}
    figures = {"risk_coverage": plots.risk_coverage_plot(curves, risk="mean absolute error")}
    intervals = _certified_interval(outcome, ranked)
    if fitted.rule is not None:
        maps = test.maps[fitted.rule.method]
        intervals |= number_intervals(fitted.rule, maps, test.labels, test.clusters)
        low, high = fitted.rule.interval(maps)
        inside = (low <= test.labels) & (test.labels <= high)
        pit = fitted.rule.pit(maps, test.labels)
        figures["intervals"] = plots.interval_plot(pit, high - low, inside, fitted.rule.level)
    return NumberResults(metrics, intervals, figures)


def _certified_interval(outcome: NumberCalibration, ranked: NumberRows) -> dict[str, Interval]:
    """The interval of the share of accepted rows that are within the tolerance."""
    certificate = outcome.fitted.certificate
    if "certificate/accuracy" not in outcome.metrics or certificate is None or certificate.tolerance is None:
        return {}
    accept = ranked.uncertainty <= (-np.inf if certificate.threshold is None else certificate.threshold)
    right = (np.abs(ranked.error) <= certificate.tolerance)[accept].astype(np.float64)
    clusters = None if ranked.clusters is None else ranked.clusters[accept]
    rows = independent_rows(right, clusters)
    return {"certificate/accuracy": wilson(outcome.metrics["certificate/accuracy"], max(1.0, rows))}
