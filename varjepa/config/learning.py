"""Sections about learning: the model, its masks, its objective and the loop."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from varjepa.config.base import OPERATIONAL, NonNegative, Positive, Section, Share, Weight


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
    epoch_rows: Positive | None = None
    """Training rows of an epoch, rounded to whole batches: of a table with more, every epoch sees the next ones, until
    all were seen. For tables so large that one would not wait a pass for the first evaluation. Without it an epoch is a
    pass."""
    batch_size: Positive = 512
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Peak learning rate of AdamW."""
    lr_batch: Positive | None = None
    """Batch size that `lr` was chosen for: batches of another size take `lr` times the root of the ratio. Without it
    `lr` is taken as it is."""
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
    """Compile the transformer blocks with torch.compile, on a GPU only: one program for all of equal widths; pays on
    long runs."""
    cuda_graphs: Annotated[bool, OPERATIONAL] = False
    """On one GPU, record the steps of each size of masks and replay them, which keeps small steps from waiting for
    Python. What is learned does not depend on it. Off until it has been run: no GPU was at hand."""
    memory: Annotated[float, Field(gt=0)] = 4.0
    """GiB up to which training rows are held in memory; more are read from disk in shards, each a random sample of the
    rows. The working folder then needs room for one more copy of them while training lasts."""
    checkpoint_minutes: Annotated[Weight, OPERATIONAL] = 2.0
    """Minutes of training between two checkpoints within an epoch; there is one after every epoch as well. What is
    learned does not depend on it."""
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
