"""How sure the figures themselves are: intervals of the main metrics over test rows."""

import polars as pl
from prefect import task

from tasks.retrain.probe import Probed, classified
from varjepa.evaluation.uncertainty.intervals import Interval, classification_intervals, regression_intervals, wilson

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
    known = pl.read_parquet(probed.predictions).filter(pl.col("label").is_not_nan())
    if not known.height or "p0" not in known.columns:
        return {}
    found: dict[str, Interval] = {}
    for group, prefix in (("probe", "p"), ("raw", "raw")):
        if "probe/accuracy" in metrics:
            intervals = classification_intervals(classified(known, prefix))
        else:
            intervals = regression_intervals(known[f"{prefix}0"].to_numpy(), known["label"].to_numpy())
        found |= {f"{group}/{name}": interval for name, interval in intervals.items()}
    shares = {f"{group}/accuracy_{percent}": percent / 100 for group in SELECTIVE for percent in (90, 80, 50)}
    shares["certificate/accuracy"] = metrics.get("certificate/coverage", 0.0)
    for name, share in shares.items():
        if name in metrics:
            found[name] = wilson(metrics[name], max(1, round(share * known.height)))
    return found
