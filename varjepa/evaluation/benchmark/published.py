"""The published figures: means of the simulation study (Table 1) and of the comparison (Tables 2 and 3)."""

import csv
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from statistics import mean, stdev
from typing import NamedTuple

DIAGNOSTICS = ("probe_accuracy", "kl_agg", "sigreg_mse", "cov_frobenius", "mean_norm")
LATENTS = {"context": "s_x", "target": "s_y"}
"""The published table's words for the latents, and ours."""


class Comparison(NamedTuple):
    """One cell of the table.

    Attributes:
        variant: A to J.
        latent: s_x or s_y.
        diagnostic: one of `DIAGNOSTICS`.
        published: mean over five runs. Its standard deviation is not known to us.
        ours: mean over our runs.
        sd: standard deviation over our runs; None for a single run, or where one has diverged.
        runs: how many.
    """

    variant: str
    latent: str
    diagnostic: str
    published: float
    ours: float
    sd: float | None
    runs: int

    @property
    def difference(self) -> float | None:
        """(ours - published) in standard errors of our mean; None where runs do not differ or there is one only."""
        return (self.ours - self.published) * self.runs**0.5 / self.sd if self.sd else None


def published_means() -> dict[tuple[str, str, str], float]:
    """(variant, latent, diagnostic) -> published mean.

    Examples:
        >>> published_means()["A", "s_x", "kl_agg"]
        0.113
    """
    text = files("varjepa.evaluation.benchmark").joinpath("published_simulation.csv").read_text(encoding="utf-8")
    return {
        (row["variant"], LATENTS[row["latent"]], name): float(row[name])
        for row in csv.DictReader(text.splitlines())
        for name in DIAGNOSTICS
    }


def compare(results: Mapping[str, Mapping[str, Sequence[float]]]) -> list[Comparison]:
    """Puts results beside the published means, in the order of the published table.

    Args:
        results: variant -> metric such as `s_x/kl_agg` -> one value per run.
    """
    table = []
    for (variant, latent, name), published in published_means().items():
        if variant in results:
            values = results[variant][f"{latent}/{name}"]
            # Of a run that has diverged there is no number, and so no deviation.
            sd = stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else None
            table.append(Comparison(variant, latent, name, published, mean(values), sd, len(values)))
    return table


PREDICTORS = {
    "MLP": "mlp", "DCNv2": "dcnv2", "ResNet": "resnet", "AutoInt": "autoint", "FT-Transformer": "ft_transformer",
    "XGBoost": "xgboost",
}  # fmt: skip
FEATURES = {"raw": "raw", "T-JEPA": "t_jepa", "Var-T-JEPA": "var_t_jepa"}
"""The published table's words, and ours."""


def published_accuracies() -> dict[tuple[str, str, str, str], float]:
    """(dataset, features, predictor, metric) -> published accuracy; below full coverage by latent uncertainty.

    Examples:
        >>> published = published_accuracies()
        >>> [published["adult", "var_t_jepa", "mlp", metric] for metric in ("accuracy", "selective/accuracy_50")]
        [0.852, 0.921]
    """
    text = files("varjepa.evaluation.benchmark").joinpath("published_downstream.csv").read_text(encoding="utf-8")
    accuracies = {}
    for row in csv.DictReader(text.splitlines()):
        # Metrics have the names that `uncertainty_metrics` gives them.
        coverage = round(100 * float(row["coverage"]))
        metric = "accuracy" if coverage == 100 else f"selective/accuracy_{coverage}"
        cell = row["dataset"], FEATURES[row["features"]], PREDICTORS[row["predictor"]]
        accuracies[*cell, metric] = float(row["accuracy"])
    return accuracies
