"""What a run's page shows first. MLflow lists metrics in the order of their first value, and charts by their names."""

from collections.abc import Mapping

VERDICT = "verdict"
"""Tag of a retrain: what came of it, for people."""

SHORT = 500
"""Longest text of a tag for people, in characters."""

CURVES = ("elbo", "prediction")
"""The curve of each kind of network that people look for: the ELBO, or the squared error of the prediction."""

HEADLINES = (
    "elbo/test", "elbo/val", "prediction/test", "prediction/val", "calibration/ece",
    "calibration/latent_pit_ks_median", "interval/coverage", "head/accuracy", "head/r2", "probe/accuracy", "probe/r2",
    "raw/accuracy", "raw/r2", "selective_shipped/accuracy_90", "latent/rankme", "gate/low",
)  # fmt: skip
"""Figures that a run has as metrics, in this order: about ten of them are there for each kind of label.

Their groups sort as calibration, elbo, gate, and so on, which is the order of the charts.
"""

TABLE = "metrics.csv"
"""Artifact of a run with all figures, one a line: metric, value."""


PARTS = ("validation", "train")
"""Groups of curves that come first, in this order."""


def curves(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics of an epoch, the main ones first: once more in the group of their headlines, whose charts come first.

    Examples:
        >>> list(curves({"training/lr": 0.1, "train/elbo": -1.5, "validation/elbo": -1.25}))
        ['elbo/curve_validation', 'elbo/curve_train', 'validation/elbo', 'train/elbo', 'training/lr']
    """
    ranks = {part: rank for rank, part in enumerate(PARTS)}
    main = {
        f"{curve}/curve_{part}": metrics[f"{part}/{curve}"]
        for curve in CURVES for part in PARTS if f"{part}/{curve}" in metrics
    }  # fmt: skip
    return main | dict(sorted(metrics.items(), key=lambda item: ranks.get(item[0].partition("/")[0], len(PARTS))))


def headlines(metrics: Mapping[str, float]) -> dict[str, float]:
    """The figures of `HEADLINES` that there are, in their order."""
    return {name: metrics[name] for name in HEADLINES if name in metrics}
