"""The metrics that a run reports."""

import numpy as np

from varjepa.evaluation.uncertainty.metrics import Classified, classification_metrics, uncertainty_metrics


def test_reports_name_what_users_look_for() -> None:
    rng = np.random.default_rng(4)
    probabilities = rng.dirichlet([1, 1, 1], 300)
    labels = np.array([rng.choice(3, p=row) for row in probabilities])
    result = Classified(probabilities, labels)
    assert set(classification_metrics(result)) == {"accuracy", "balanced_accuracy", "f1_weighted", "f1_macro"}
    metrics = uncertainty_metrics(result, latent=result.msp_uncertainty)
    assert metrics["selective/aurc"] == metrics["selective_msp/aurc"]
    assert metrics["selective_msp/accuracy_50"] > classification_metrics(result)["accuracy"]
    assert metrics["calibration/ece"] < 0.1
