"""How sure the figures themselves are: intervals of the main metrics over test rows."""

import polars as pl
from prefect import task

from tasks.retrain.probe import Probed
from varjepa.evaluation.uncertainty.intervals import Interval, classification_intervals, regression_intervals, wilson
from varjepa.inference.probing import GROUPS, classified, labelled_rows

SELECTIVE = ("selective_shipped", "selective", "selective_msp")


@task(name="intervals")
def measure_intervals(probed: Probed, metrics: dict[str, float]) -> dict[str, Interval]:
    """Intervals (95%) of what the probes are worth, of the surest rows' accuracy and of the certificate's.

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
    for group, prefix in GROUPS.items():
        if "probe/accuracy" in metrics:
            of_group = classification_intervals(classified(labelled, group))
        else:
            of_group = regression_intervals(labelled[f"{prefix}0"].to_numpy(), labelled["label"].to_numpy())
        intervals |= {f"{group}/{name}": interval for name, interval in of_group.items()}
    shares = {f"{group}/accuracy_{percent}": percent / 100 for group in SELECTIVE for percent in (90, 80, 50)}
    shares["certificate/accuracy"] = metrics.get("certificate/coverage", 0.0)
    for name, share in shares.items():
        if name in metrics:
            intervals[name] = wilson(metrics[name], max(1, round(share * labelled.height)))
    return intervals
