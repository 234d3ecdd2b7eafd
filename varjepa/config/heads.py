"""Sections about the models on top of the embedding: the probe, its uncertainty, the generator."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from varjepa.config.base import LARGE, Draws, NonNegative, OpenSection, Positive, Rate, Section
from varjepa.config.encoder_sizes import WIDE_FEATURES

MEASURE = Literal[
    "max_probability", "entropy", "ensemble", "propagated", "propagated_aleatoric", "propagated_epistemic",
    "mask_mean", "mask_disagreement", "weighted_scale", "scale_mean", "scale_p90", "surprise", "reconstruction",
    "distance", "second_opinion", "error_model",
]  # fmt: skip
"""Uncertainty measures (see `varjepa.inference.measures`)."""

HEAD = Literal["linear", "boosted", "forest", "mlp", "stacked"]
"""Kinds of heads (see `varjepa.inference.heads`)."""

FEATURES = Literal["embedding", "raw", "both"]
"""What a head reads: the embedding of a row, its cells, or both."""


class ProbeSection(Section):
    """The linear probe on frozen embeddings, the baselines on raw features, and the head that ships."""

    head: Literal["auto", HEAD] = "auto"
    """The classifier or regressor that ships. linear: logistic or ridge regression. boosted: gradient-boosted trees.
    forest: extremely randomised trees. mlp: an ensemble of small networks. stacked: a weighted combination of all of
    them. auto: the best of linear models and boosted trees on rows that they were not fitted on, unless another is
    better by half a percent of the loss. The linear probe on the embedding is reported in any case."""
    features: Literal["auto", FEATURES] = "auto"
    """What the head reads: the embedding, the raw columns, or both. auto: as for `head`. A stacked head combines heads
    on each."""
    max_rows: Positive = 50_000
    """The probe is fitted on at most this many training rows."""
    max_test_rows: Positive = 200_000
    """At most this many test rows are predicted and measured; a larger part is sampled. The certificate uses at most as
    many calibration rows, the choice of the uncertainty measure at most as many validation rows."""
    l2: Annotated[tuple[Annotated[float, Field(gt=0, le=LARGE)], ...], Field(min_length=1)] = (1e-4, 1e-3, 1e-2)
    """Candidate ridge penalties per training row; the validation rows choose one. Where that is the largest of several,
    they choose among larger ones, too: a wide table needs them."""


class UncertaintySection(Section):
    """How uncertain the model is about a row; larger = less sure."""

    aggregate: Literal["mean", "p90"] = "mean"
    """How the scales of q(s_w | ...) are reduced to one number per row."""
    score: Literal["auto", MEASURE] = "auto"
    """The measure that ships with the model. auto: the maximum probability, unless another measure ranks the errors on
    validation rows significantly better. Of tables of 200 features or more, measures that take passes through the
    network of their own (mask_mean, mask_disagreement, surprise) are compared only if named here; of others with more
    than 2,048 validation rows, if they rank the errors of so many of them better."""
    known: str | None = None
    """Column that holds how ambiguous a row is, if that is known; every measure is compared with it. It must not be a
    feature: list it in `data.drop`."""
    draws: Draws = 20
    """Samples of s_w that are passed through the probe."""
    masks: Draws = 5
    """Random contexts (half of the features) whose predictions are compared."""
    ensemble: Draws = 5
    """Probes on resampled training rows whose predictions are compared."""
    accuracy: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Accuracy on accepted rows that the certificate guarantees."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Confidence of the certificate: its guarantee holds for this share of draws of the calibration rows."""
    tolerance: Annotated[float, Field(gt=0, le=9e18)] | None = None
    """Largest error of a numeric prediction that counts as accurate, in units of the label. null: half the range
    between the quartiles of the training labels."""
    level: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Share of new rows whose label the intervals (numbers) and prediction sets (classes) hold."""


class GeneratorSection(OpenSection):
    """The generator: p(cell | any other cells), for imputation, samples and anomaly scores."""

    from_table: ClassVar[tuple[str, ...]] = ("n_layers",)

    n_layers: Annotated[int, Field(ge=0, le=1000)] = 3
    """Layers of its transformer over the tokens of the network, whose number of heads it has; 0: no generator. If not
    given, 3, or 0 for a table of 200 features or more, of which every cell looks at every other: that takes hours."""
    n_bars: Annotated[int, Field(ge=2, le=1000)] = 64
    """Bars (histogram bins) of a numeric feature."""
    max_steps: Positive = 1000
    """At most this many optimiser steps."""
    max_epochs: Positive = 200
    """At most this many passes over the training rows, so that small tables take fewer steps."""
    batch_size: Positive = 256
    """Training rows of a step."""
    lr: Rate = 1.5e-2
    """Peak learning rate of Muon, and of AdamW for what is no matrix."""
    evaluations: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    """Evaluations on the validation rows; the weights of the best one are kept."""
    patience: Positive = 3
    """Evaluations without improvement after which training stops."""
    missing: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of cells of the calibration rows that are hidden at random to calibrate the imputation intervals."""
    assess_rows: NonNegative = 4000
    """At most this many test rows evaluate imputations, samples and anomaly scores; 0: no evaluation."""

    def sized(self, features: int) -> "GeneratorSection":
        """The section with its layers, for a table of so many features. A given number stays.

        Examples:
            >>> GeneratorSection().sized(199).n_layers, GeneratorSection().sized(200).n_layers
            (3, 0)
            >>> GeneratorSection(n_layers=1).sized(200).n_layers
            1
        """
        return self._decided({"n_layers": 0 if features >= WIDE_FEATURES else self.n_layers})

    def batch(self, rows: int) -> int:
        """Rows of a batch, of so many training rows."""
        return min(self.batch_size, rows)

    def steps(self, rows: int) -> int:
        """Steps on so many training rows: whichever limit comes first; passes are counted in rows drawn."""
        return min(self.max_steps, -(-self.max_epochs * rows // self.batch(rows)))
