"""The sections of a retrain configuration: every key, its default and its meaning.

Unknown keys are errors and instances are frozen. The attribute docstrings become the descriptions in the JSON schema.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]
NonNegative = Annotated[int, Field(ge=0)]
Weight = Annotated[float, Field(ge=0.0)]

KIND = Literal["numeric", "categorical", "boolean", "date", "identifier"]
"""Kinds that a person can give a column; constant and empty columns are found, not declared."""


MEASURE = Literal[
    "max_probability", "entropy", "ensemble", "propagated", "propagated_aleatoric", "propagated_epistemic",
    "mask_mean", "mask_disagreement", "weighted_scale", "scale_mean", "scale_p90", "surprise", "reconstruction",
    "distance",
]  # fmt: skip
"""Uncertainty measures on one footing (see `varjepa.inference.measures`)."""


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values do not change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, protected_namespaces=(), allow_inf_nan=False
    )


class SplitSection(Section):
    """How rows are divided into training, validation and test parts."""

    by: Literal["random", "column", "time"] = "random"
    """random: by `seed`; column: `column` holds the words train, validation, calibration and test; time: oldest rows
    train."""
    column: str | None = None
    """The column that holds the part (by: column; calibration may be absent) or the time (by: time)."""
    seed: NonNegative = 0
    """Seed of the random split, and of the draw of `data.rows`."""
    seen: Literal["train", "all"] = "train"
    """Rows that preprocessing and pretraining may look at; all: those of validation and test, too, but no labels (the
    paper's transductive protocol, for comparisons)."""
    train: Share = 0.6
    """Share of rows for training (by: random and time)."""
    validation: Share = 0.1
    """Share of rows for validation: they choose epochs, penalties, temperatures and the uncertainty measure."""
    calibration: Share = 0.1
    """Share of rows that nothing but the certificate and the imputation intervals looks at; what is left is the test
    part. 0 trains on more rows and certifies nothing (a benchmark does, for the paper's 70/10/20)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.by != "random" and not self.column:
            raise ValueError(f"split.by is {self.by}, which needs split.column")
        if not 0 < self.train < 1 or self.train + self.validation + self.calibration >= 1:
            raise ValueError(
                "split.train must lie between 0 and 1, and with the other shares leave rows for the test part"
            )
        return self


class DataSection(Section):
    """Where the table comes from and what its columns mean."""

    path: str | None = None
    """CSV (also .gz), Parquet, Arrow/Feather, a folder or a glob of one of those. Wins over `name`."""
    name: str | None = None
    """`sim` for the built-in table, otherwise the name of an OpenML data set (needs a network)."""
    version: Positive = 1
    """Version of the OpenML data set."""
    label: str | None = None
    """Column to predict by the probe; never a feature, never needed to learn the embedding."""
    task: Literal["auto", "classification", "regression", "none"] = "auto"
    """auto: classification for text, booleans and whole numbers with few values, otherwise regression."""
    rows: Positive | None = None
    """Use at most this many rows, drawn at random with `split.seed`; for `sim`, the number to generate."""
    rename: dict[str, str] = {}
    """New names of columns, where the old ones are there (sources do not agree on the label of a data set)."""
    noise: Share = 0.0
    """Blends row i with uniform noise by noise * u_i, u_i ~ U(0, 1), in all numeric columns but the label (the paper
    corrupts MNIST by 0.75); u_i becomes the column `ambiguity`, which belongs into `drop`."""
    drop: tuple[str, ...] = ()
    """Columns to leave out."""
    kinds: dict[str, KIND] = {}
    """Kinds of columns where the inferred one is wrong."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Field separator of CSV files; found from the header line where not given."""
    na_values: tuple[str, ...] = ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
    """Texts in CSV files that mean a missing value."""
    split: SplitSection = SplitSection()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.path is None and self.name is None:
            raise ValueError("data needs a path (a file, folder or glob) or a name (sim, or an OpenML data set)")
        if self.label is not None and self.label in self.drop:
            raise ValueError(f'data.drop names the label "{self.label}"')
        return self


class ContractSection(Section):
    """Which promises the data must keep before anything is trained."""

    path: str | None = None
    """Data contract (YAML, see `varjepa init`). Without one, only what learning itself needs is checked."""


class PreprocessSection(Section):
    """How cells become numbers; statistics come from training rows only."""

    numeric: Literal["auto", "standard", "quantile"] = "auto"
    """standard: mean 0, deviation 1; quantile: normal scores by piecewise-linear quantiles; auto: quantile where
    a column is skewed or heavy-tailed, standard elsewhere."""
    n_quantiles: Annotated[int, Field(ge=3, le=10_000)] = 256
    """Knots of the quantile transformation."""
    clip: Annotated[float, Field(gt=0)] = 8.0
    """Standardised values beyond this many deviations are clipped."""
    one_hot: Literal["join", "keep"] = "join"
    """join: neighbouring 0/1 columns of which every training row has exactly one set are learned as one categorical
    feature, but for columns in `data.kinds`; keep: each stays a feature of its own."""
    min_count: Positive = 5
    """Categories seen fewer times than this in the training rows share one reserved code with unseen ones."""
    max_categories: Positive = 1000
    """At most this many categories per column keep a code of their own."""


class ModelSection(Section):
    """What kind of model, and its sizes (var-jepa.md section 3; published names in brackets)."""

    kind: Literal["var_t_jepa", "t_jepa"] = "var_t_jepa"
    """var_t_jepa: variational, says how sure it is; t_jepa: its deterministic baseline, which does not."""
    d_hidden: Positive = 64
    """Width of tokens, latents and encoders (d_hidden; d = d_z = d_hidden)."""
    n_layers: Positive = 8
    """Layers of the context encoder and of the target encoder (num_layers)."""
    n_heads: Positive = 4
    """Attention heads of both encoders (num_heads)."""
    d_feedforward: Positive = 256
    """Width of the feed-forward part of both encoders (d_feedforward)."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.001
    """Dropout rate of both encoders (dropout)."""
    n_cls: Positive = 1
    """CLS tokens in front of each encoder's sequence; T-JEPA's register tokens."""
    n_pool: Positive = 2
    """Tokens that the context is pooled to for the auxiliary and target encoders (L_pool); not for t_jepa."""
    n_aux: Positive = 1
    """Learned tokens in the predictor's input that stand for z; t_jepa only."""
    ema: Share = 0.996
    """Share of the target encoder that stays at an update, rising linearly to 1 over `training.max_epochs`; t_jepa
    only."""
    pred_d: Positive = 16
    """Width of the predictor (pred_d)."""
    pred_n_layers: Positive = 4
    """Layers of the predictor."""
    pred_n_heads: Positive = 4
    """Attention heads of the predictor (pred_num_heads)."""
    pred_d_feedforward: Positive = 256
    """Width of the feed-forward part of the predictor (pred_d_feedforward)."""
    pred_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.002
    """Dropout rate of the predictor (pred_dropout)."""
    noise_floor: Annotated[float, Field(gt=0)] = 0.05
    """Smallest decoder scale, in standardised units; without a floor exactly reconstructable columns drive it to 0.
    Not for t_jepa."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for width, heads in ((self.d_hidden, self.n_heads), (self.pred_d, self.pred_n_heads)):
            if width % heads:
                raise ValueError(f"a width of {width} cannot be shared by {heads} attention heads")
        return self


class MaskingSection(Section):
    """How many features are seen and predicted in one step; sizes are uniform between the two shares of D."""

    ctx_share_min: Share = 0.10
    ctx_share_max: Share = 0.30
    trg_share_min: Share = 0.10
    trg_share_max: Share = 0.60
    num_targets: Positive = 4
    """Target masks per row (K)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.ctx_share_min > self.ctx_share_max or self.trg_share_min > self.trg_share_max:
            raise ValueError("a smallest share exceeds its largest share")
        return self


class ObjectiveSection(Section):
    """Weights of the five loss terms and the KL schedules (eq. 22-26, 53-55); t_jepa has a single term."""

    weight_rec: Weight = 0.1
    weight_gen: Weight = 1.0
    kl_sx_final: Weight = 1e-4
    kl_z_final: Weight = 1e-6
    kl_sy_final: Weight = 1e-5
    kl_sx_anneal_epochs: Weight = 15
    kl_z_anneal_epochs: Weight = 15
    kl_sy_anneal_epochs: Weight = 15


class TrainingSection(Section):
    """The optimiser and the loop."""

    max_epochs: Positive = 12
    batch_size: Positive = 512
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Peak learning rate of AdamW."""
    warmup_epochs: Weight = 1.0
    """Epochs of linear warm-up."""
    lr_end_share: Share = 0.01
    """The learning rate decays by a half cosine to this share of its peak at `max_epochs`; 1 keeps it constant."""
    weight_decay: Weight = 1e-5
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    """Largest norm of the gradient."""
    seed: NonNegative = 0
    """Seeds weights, batches, masks, latent samples and dropout."""
    device: str = "auto"
    """auto: the GPU where there is one, otherwise the CPU; or cpu, cuda, cuda:1, ..."""
    devices: Positive = 1
    """Processes that share every batch: GPUs of this machine, or parts of its CPU. Same results up to rounding."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """bfloat16 runs matrix products in 16 bits; weights, sums over rows and loss stay in 32. auto: where the device
    multiplies 16 bits natively."""
    compile: bool = False
    """Compile the encoders with torch.compile, on a GPU only; pays on long runs."""
    selection: Literal["auto", "probe", "selective_probe", "elbo", "rankme"] = "auto"
    """What picks the checkpoint: validation loss of a linear probe, the same on the 80% least uncertain rows, the
    validation ELBO, or the effective rank of the validation embedding; auto: probe where there is a label, otherwise
    elbo, for t_jepa rankme. t_jepa has neither an ELBO nor uncertain rows."""
    tie_share: Share = 0.005
    """Scores within this share of the best one seen are ties, which the validation ELBO (t_jepa: RankMe) breaks; 0
    knows no ties."""
    eval_every: Positive = 1
    """Epochs between evaluations on the validation rows (E)."""
    patience: Positive = 5
    """Evaluations without improvement after which training stops (P)."""
    eval_rows: Positive = 10_000
    """At most this many rows of each part are used by one evaluation during training."""


class ProbeSection(Section):
    """The linear probe on frozen embeddings, and the same probe on raw features."""

    max_rows: Positive = 50_000
    """At most this many training rows fit the probe."""
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


class GateSection(Section):
    """When a new version becomes the champion."""

    promote_first: bool = True
    """Give the `champion` alias to a version where the registered name has none yet."""


class RegistrySection(Section):
    """Where the model is handed over."""

    name: Annotated[str, Field(min_length=1, pattern=r"^[^/:.%\"'@]+$")] = "varjepa"
    """Name of the registered model."""


class TrackingSection(Section):
    """Where runs are recorded. The environment variable MLFLOW_TRACKING_URI wins over `uri`."""

    uri: str = "sqlite:///mlruns/mlflow.db"
    experiment: str = "varjepa"


class RetrainConfig(Section):
    """Everything that one retrain job needs."""

    data: DataSection
    contract: ContractSection = ContractSection()
    preprocess: PreprocessSection = PreprocessSection()
    model: ModelSection = ModelSection()
    masking: MaskingSection = MaskingSection()
    objective: ObjectiveSection = ObjectiveSection()
    training: TrainingSection = TrainingSection()
    probe: ProbeSection = ProbeSection()
    uncertainty: UncertaintySection = UncertaintySection()
    generator: GeneratorSection = GeneratorSection()
    gate: GateSection = GateSection()
    registry: RegistrySection = RegistrySection()
    tracking: TrackingSection = TrackingSection()

    @model_validator(mode="after")
    def _check(self) -> Self:
        labelled = self.data.label is not None and self.data.task != "none"
        if self.uncertainty.known is not None and self.uncertainty.known not in self.data.drop:
            raise ValueError(
                f'uncertainty.known is "{self.uncertainty.known}", which must be no feature: name it in data.drop'
            )
        if not labelled and self.training.selection in ("probe", "selective_probe"):
            raise ValueError(f"training.selection is {self.training.selection}, which needs data.label")
        if self.model.kind == "t_jepa" and self.training.selection in ("elbo", "selective_probe"):
            lacking = {"elbo": "ELBO", "selective_probe": "uncertainty"}[self.training.selection]
            raise ValueError(
                f"training.selection is {self.training.selection}, but model.kind t_jepa has no {lacking}; "
                "choose auto, probe or rankme"
            )
        return self
