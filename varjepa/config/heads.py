"""Sections about what is learned on top of the embedding: the probe, its uncertainty, the generator."""

from typing import Annotated, Literal

from pydantic import Field

from varjepa.config.base import NonNegative, Positive, Section

MEASURE = Literal[
    "max_probability", "entropy", "ensemble", "propagated", "propagated_aleatoric", "propagated_epistemic",
    "mask_mean", "mask_disagreement", "weighted_scale", "scale_mean", "scale_p90", "surprise", "reconstruction",
    "distance",
]  # fmt: skip
"""Uncertainty measures on one footing (see `varjepa.inference.measures`)."""


class ProbeSection(Section):
    """The linear probe on frozen embeddings, and the same probe on raw features."""

    max_rows: Positive = 50_000
    """At most this many training rows fit the probe."""
    max_test_rows: Positive = 200_000
    """At most this many rows of the test part, a sample of larger ones, are predicted and measured; the certificate and
    the choice of the uncertainty measure look at as many calibration and validation rows."""
    l2: tuple[Annotated[float, Field(gt=0)], ...] = (1e-4, 1e-3, 1e-2)
    """Ridge penalties per training row to choose from on the validation rows."""


class UncertaintySection(Section):
    """How sure the model says it is of a row; larger = less sure."""

    aggregate: Literal["mean", "p90"] = "mean"
    """How the scales of q(s_w | ...) become one number per row."""
    score: Literal["auto", MEASURE] = "auto"
    """The measure that ships with the model; auto: the maximum probability, unless another one ranks the errors of the
    validation rows better beyond doubt."""
    known: str | None = None
    """Column that holds how ambiguous a row is, where somebody knows; every measure is compared with it. Never a
    feature: it belongs into `data.drop`."""
    draws: Positive = 20
    """Samples of s_w that are sent through the probe."""
    masks: Positive = 5
    """Random contexts (half of the features) whose predictions are compared."""
    ensemble: Positive = 5
    """Probes on resampled training rows whose predictions are compared."""
    accuracy: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """What the certificate promises for accepted rows."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """How often, over draws of the calibration rows, the promise must be kept."""


class GeneratorSection(Section):
    """The generator: p(cell | any other cells), for imputation, samples and anomaly scores."""

    n_layers: NonNegative = 3
    """Layers of its transformer over the network's tokens, with as many heads; 0 leaves the generator out."""
    n_bars: Annotated[int, Field(ge=2, le=1000)] = 64
    """Bars that a numeric feature is cut into."""
    max_steps: Positive = 2000
    """At most this many optimiser steps."""
    max_epochs: Positive = 300
    """At most this many passes over the training rows: small tables take fewer steps."""
    batch_size: Positive = 256
    lr: Annotated[float, Field(gt=0)] = 2e-3
    """Peak learning rate of AdamW."""
    evaluations: Positive = 10
    """Looks at the validation rows; the best one is kept."""
    patience: Positive = 3
    """Looks without improvement after which training stops."""
    missing: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of cells hidden at random on the calibration rows, for which imputation intervals hold what they say."""
    assess_rows: NonNegative = 4000
    """At most this many test rows tell what imputations, samples and anomaly scores are worth; 0 does not ask."""
