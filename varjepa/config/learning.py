"""Sections about learning: the model, its masks, its objective and the loop."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from varjepa.config.base import OPERATIONAL, NonNegative, Positive, Section, Share, Weight

Kind = Literal["var_t_jepa", "t_jepa"]

VARIATIONAL: tuple[Kind, ...] = ("var_t_jepa",)
"""Kinds with an ELBO and with latent uncertainty; the others have neither."""


class ModelSection(Section):
    """What kind of model, and its sizes (var-jepa.md section 3; published names in brackets)."""

    kind: Kind = "var_t_jepa"
    """var_t_jepa: variational, with latent uncertainty. t_jepa: the deterministic baseline, without it."""
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
    """CLS tokens in front of the sequence of each encoder; in T-JEPA the register tokens."""
    n_pool: Positive = 2
    """Tokens that the context is pooled to for the auxiliary and target encoders (L_pool). No effect on t_jepa."""
    n_aux: Positive = 1
    """Learned tokens in the predictor's input that take the place of z. t_jepa only."""
    ema: Share = 0.996
    """Weight of the target encoder in its moving average with the context encoder. It rises linearly to 1 over
    `training.max_epochs`. t_jepa only."""
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
    """Lower bound of the decoder scale, in standardised units. Without it, columns that can be reconstructed exactly
    would drive the scale to 0. No effect on t_jepa."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for width, heads in ((self.d_hidden, self.n_heads), (self.pred_d, self.pred_n_heads)):
            if width % heads:
                raise ValueError(f"a width of {width} cannot be divided among {heads} attention heads")
        return self

    @property
    def is_variational(self) -> bool:
        """Whether the kind is one of `VARIATIONAL`."""
        return self.kind in VARIATIONAL


class MaskingSection(Section):
    """How many features are context and target in one step. Sizes are drawn uniformly between the two shares of D."""

    ctx_share_min: Share = 0.10
    ctx_share_max: Share = 0.30
    trg_share_min: Share = 0.10
    trg_share_max: Share = 0.60
    num_targets: Positive = 4
    """Target masks per row (K)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.ctx_share_min > self.ctx_share_max or self.trg_share_min > self.trg_share_max:
            raise ValueError("a minimum share exceeds its maximum share")
        return self


class ObjectiveSection(Section):
    """Weights of the five loss terms and the KL schedules (eq. 22-26, 53-55). t_jepa has a single loss term."""

    weight_rec: Weight = 0.1
    weight_gen: Weight = 1.0
    kl_sx_final: Weight = 1e-4
    kl_z_final: Weight = 1e-6
    kl_sy_final: Weight = 1e-5
    kl_sx_anneal_epochs: Weight = 15
    kl_z_anneal_epochs: Weight = 15
    kl_sy_anneal_epochs: Weight = 15


class TrainingSection(Section):
    """The optimiser and the training loop."""

    max_epochs: Positive = 12
    epoch_rows: Positive | None = None
    """Training rows of an epoch, rounded to whole batches. Consecutive epochs share a pass over the table: each takes
    the next rows. For tables so large that one pass takes too long before the first evaluation. If not given, an epoch
    is a whole pass."""
    batch_size: Positive = 512
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Peak learning rate of AdamW."""
    lr_batch: Positive | None = None
    """Batch size that `lr` was chosen for. For another `batch_size`, `lr` is multiplied by the square root of the
    ratio. If not given, `lr` is not scaled."""
    warmup_epochs: Weight = 1.0
    """Epochs of linear warm-up."""
    lr_end_share: Share = 0.01
    """The learning rate decays by a half cosine to this share of its peak at `max_epochs`. 1: constant."""
    weight_decay: Weight = 1e-5
    """Of the matrices of linear maps; biases, normalisations, embeddings and learned tokens have none."""
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    """Largest norm of the gradient."""
    seed: NonNegative = 0
    """Seed of weights, batches, masks, latent samples and dropout."""
    device: str = "auto"
    """auto: the GPU if there is one, otherwise the CPU; or cpu, cuda, cuda:1, ..."""
    devices: Positive = 1
    """Processes that share every batch: one per GPU, or several on the CPU. Results are equal up to rounding."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """bfloat16: matrix products in 16 bits; weights, sums over rows and loss stay in 32 bits. auto: bfloat16 if the
    device supports 16-bit products natively, otherwise float32."""
    compile: bool = False
    """Compile the transformer blocks with torch.compile, on a GPU only. Blocks of equal width share one program. Useful
    for long runs."""
    cuda_graphs: Annotated[bool, OPERATIONAL] = False
    """On a single GPU, record the step of each mask size as a CUDA graph and replay it, so that small steps do not wait
    for Python. The result of training does not depend on it. Off by default because it has not been run on a GPU
    yet."""
    memory: Annotated[float, Field(gt=0)] = 4.0
    """GiB of training rows that are held in memory. Larger tables are read from shards on disk, each a random sample of
    the rows. During training the working folder then needs room for one more copy of the rows."""
    checkpoint_minutes: Annotated[Weight, OPERATIONAL] = 2.0
    """Minutes of training between two checkpoints within an epoch. There is also one after every epoch. The result of
    training does not depend on it."""
    selection: Literal["auto", "probe", "selective_probe", "elbo", "rankme"] = "auto"
    """Criterion that selects the checkpoint. probe: validation loss of a linear probe. selective_probe: the same on the
    80% least uncertain rows. elbo: validation ELBO. rankme: effective rank of the validation embedding. auto: probe
    with a label; without one elbo, for t_jepa rankme. t_jepa has no ELBO and no latent uncertainty."""
    tie_share: Share = 0.005
    """Scores within this share of the best score count as ties. The validation ELBO (t_jepa: RankMe) breaks ties. 0: no
    ties."""
    eval_every: Positive = 1
    """Epochs between evaluations on the validation rows (E)."""
    patience: Positive = 5
    """Evaluations without improvement after which training stops (P)."""
    eval_rows: Positive = 10_000
    """An evaluation during training uses at most this many rows of each part."""
