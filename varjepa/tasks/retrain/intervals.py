"""Confidence intervals of the main metrics over test rows."""

import numpy as np
import polars as pl

from varjepa.data.read.splits import CLUSTER
from varjepa.evaluation.bootstrap import cluster_numbers
from varjepa.evaluation.uncertainty.intervals import (
    Interval,
    classification_intervals,
    independent_rows,
    regression_intervals,
    wilson,
)
from varjepa.inference.probing import GROUPS, classified, labelled_rows
from varjepa.tasks.retrain.probe import Probed
from varjepa.tasks.steps.orchestrated import task

SELECTIVE = ("selective_shipped", "selective", "selective_msp")


@task(name="intervals")
def measure_intervals(probed: Probed, metrics: dict[str, float]) -> dict[str, Interval]:
    """Intervals (95%) of the probes' metrics, of the accuracy of the surest rows, and of the certificate's accuracy.

    Args:
        probed: with the predictions for all test rows.
        metrics: of the run.

    Returns:
        Metric -> interval; empty without a label.
    """
    labelled = labelled_rows(pl.read_parquet(probed.predictions))
    if not labelled.height or "p0" not in labelled.columns:
        return {}
    intervals: dict[str, Interval] = {}
    clusters = cluster_numbers(labelled[CLUSTER].to_numpy()) if CLUSTER in labelled.columns else None
    independent = float(labelled.height)
    for group, prefix in GROUPS.items():
        if "probe/accuracy" in metrics:
            result = classified(labelled, group)
            group_intervals = classification_intervals(result, clusters=clusters)
            independent = min(independent, independent_rows(result.error.astype(np.float64), clusters))
        else:
            values = labelled[f"{prefix}0"].to_numpy(), labelled["label"].to_numpy()
            group_intervals = regression_intervals(*values, clusters=clusters)
        intervals |= {f"{group}/{name}": interval for name, interval in group_intervals.items()}
    # Accuracies on a share of the rows: the number of rows behind each follows from the share. Rows of a cluster count
    # for as many independent ones as in the accuracy of all rows.
    shares = {f"{group}/accuracy_{percent}": percent / 100 for group in SELECTIVE for percent in (90, 80, 50)}
    shares["certificate/accuracy"] = metrics.get("certificate/coverage", 0.0)
    for name, share in shares.items():
        if name in metrics:
            intervals[name] = wilson(metrics[name], max(1.0, share * independent))
    return intervals
