"""Every figure, from plain arrays; no figure is ever shown, all are returned."""

from varjepa.plots.drift import drift_effects, reference_and_new
from varjepa.plots.reasons import row_reasons, table_reasons
from varjepa.plots.run import (
    embedding_map,
    interval_plot,
    latent_pit,
    measures_plot,
    reliability_diagram,
    risk_coverage_plot,
    training_curves,
)
from varjepa.plots.study import benchmark_plot, collapse_plot, cost_plot, label_curves_plot, quality_plot, study_curves

__all__ = [
    "benchmark_plot",
    "collapse_plot",
    "cost_plot",
    "drift_effects",
    "embedding_map",
    "interval_plot",
    "label_curves_plot",
    "latent_pit",
    "measures_plot",
    "quality_plot",
    "reference_and_new",
    "reliability_diagram",
    "risk_coverage_plot",
    "row_reasons",
    "study_curves",
    "table_reasons",
    "training_curves",
]
