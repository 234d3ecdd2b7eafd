"""Sections about learning: the model, its masks, its objective and the loop."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from varjepa.config.base import (
    LARGE,
    OPERATIONAL,
    Layers,
    OpenSection,
    Positive,
    Rate,
    Rows,
    Seed,
    Share,
    Weight,
    Width,
)
from varjepa.config.encoder_sizes import AUTO, SIZES, WIDE_FEATURES, Preset, completed, preset_for

MOST_WEIGHTS = 100_000_000_000
"""400 GiB in 32 bits: more than any one machine trains."""

Kind = Literal["var_t_jepa", "t_jepa"]

VARIATIONAL: tuple[Kind, ...] = ("var_t_jepa",)
"""Kinds with an ELBO and with latent uncertainty; the others have neither."""


class ModelSection(OpenSection):
    """What kind of model, and its sizes (arXiv 2603.20111, appendix A; published names in brackets).

    A size that is not given, or null, is for `size` to choose. With `auto` it stays open until there is a table
    (`sized`), and is null in plain data until then; as an attribute it is the published one.
    """

    from_table: ClassVar[tuple[str, ...]] = SIZES

    kind: Kind = "var_t_jepa"
    """var_t_jepa: variational, with latent uncertainty. t_jepa: the deterministic baseline, without it."""
    size: Literal["auto", Preset] = "auto"
    """Sizes of the encoders and the predictor, as far as they are not given one by one: d_hidden, n_layers, n_heads,
    d_feedforward, pred_d, pred_n_layers, pred_n_heads, pred_d_feedforward, n_points. published: the paper's for Adult,
    eight layers of width 64. medium: two of these layers. small: one. wide: two layers of width 32, with points. auto:
    small, medium or wide, by the rows and features of the table; a finished model records the numbers."""
    d_hidden: Width = 64
    """Width of tokens, latents and encoders (d_hidden; d = d_z = d_hidden)."""
    n_layers: Layers = 8
    """Layers of the context encoder and of the target encoder (num_layers)."""
    n_heads: Layers = 4
    """Attention heads of both encoders (num_heads)."""
    d_feedforward: Width = 256
    """Width of the feed-forward part of both encoders (d_feedforward)."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.001
    """Dropout rate of both encoders (dropout)."""
    n_cls: Layers = 1
    """CLS tokens in front of the sequence of each encoder; in T-JEPA the register tokens."""
    n_pool: Layers = 2
    """Tokens that the context is pooled to for the auxiliary and target encoders (L_pool). No effect on t_jepa."""
    n_aux: Layers = 1
    """Learned tokens in the predictor's input that take the place of z. t_jepa only."""
    ema: Share | None = None
    """Weight of the target encoder in its moving average with the context encoder, at first. It rises linearly to 1
    over `training.max_epochs`. If not given, the published 0.996, or less in a training of fewer than 5,000 steps, so
    that nothing of the initial weights is left in the target encoder. t_jepa only."""
    pred_d: Width = 16
    """Width of the predictor (pred_d)."""
    pred_n_layers: Layers = 4
    """Layers of the predictor."""
    pred_n_heads: Layers = 4
    """Attention heads of the predictor (pred_num_heads)."""
    pred_d_feedforward: Width = 256
    """Width of the feed-forward part of the predictor (pred_d_feedforward)."""
    n_points: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Learned points through which the features of a row attend to each other, in both encoders and the predictor: the
    cost is then proportional to the number of features. 0: every feature attends to every other, as published."""
    pred_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.002
    """Dropout rate of the predictor (pred_dropout)."""
    noise_floor: Annotated[float, Field(gt=0, le=LARGE)] = 0.05
    """Lower bound of the decoder scale, in standardised units. Without it, columns that can be reconstructed exactly
    would drive the scale to 0. No effect on t_jepa."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.size not in (AUTO, "published"):
            for key, value in completed(self.size, self._given).items():
                object.__setattr__(self, key, value)  # frozen only once it is complete
        return self

    @property
    def _open(self) -> set[str]:
        """Sizes that the table decides."""
        return super()._open if self.size == AUTO else set()

    def sized(self, *, rows: int, features: int) -> "ModelSection":
        """The section with all sizes as numbers, for a table of so many rows and features.

        Given sizes stay, so a section that has all of them stays as it is, whatever the table.
        """
        return self._decided(completed(preset_for(rows, features), self._given))

    @property
    def _given(self) -> dict[str, int]:
        return {key: getattr(self, key) for key in SIZES if key in self.model_fields_set}

    @model_validator(mode="after")
    def _check(self) -> Self:
        for pair in (("d_hidden", "n_heads"), ("pred_d", "pred_n_heads")):
            width, heads = (getattr(self, key) for key in pair)
            if width % heads and not self._open.intersection(pair):
                raise ValueError(f"a width of {width} cannot be divided among {heads} attention heads")
        if self._weights > MOST_WEIGHTS:
            raise ValueError(
                f"the layers of model have about {self._weights:.1e} weights ({self._weights * 4 / 2**30:,.0f} GiB), "
                f"which no machine holds; expected at most {MOST_WEIGHTS:.0e}"
            )
        return self

    @property
    def _weights(self) -> int:
        """Weights of the matrices in both encoders and the predictor, about."""
        encoder = self.n_layers * self.d_hidden * (4 * self.d_hidden + 2 * self.d_feedforward)
        return 2 * encoder + self.pred_n_layers * self.pred_d * (4 * self.pred_d + 2 * self.pred_d_feedforward)

    @property
    def is_variational(self) -> bool:
        """Whether the kind is one of `VARIATIONAL`."""
        return self.kind in VARIATIONAL


class MaskingSection(OpenSection):
    """How many features are context and target in one step. Sizes are drawn uniformly between the two shares of D."""

    from_table: ClassVar[tuple[str, ...]] = ("num_targets",)

    ctx_share_min: Share = 0.10
    """Smallest share of the features that are context."""
    ctx_share_max: Share = 0.30
    """Largest share of the features that are context."""
    trg_share_min: Share = 0.10
    """Smallest share of the features that are one target."""
    trg_share_max: Share = 0.60
    """Largest share of the features that are one target."""
    num_targets: Layers = 4
    """Target masks per row (K). If not given, 4, or 1 for a table of 200 features or more, whose masks hold many."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.ctx_share_min > self.ctx_share_max or self.trg_share_min > self.trg_share_max:
            raise ValueError("a minimum share exceeds its maximum share")
        return self

    def sized(self, features: int) -> "MaskingSection":
        """The section with its number of target masks, for a table of so many features. A given number stays.

        Examples:
            >>> MaskingSection().sized(199).num_targets, MaskingSection().sized(200).num_targets
            (4, 1)
            >>> MaskingSection(num_targets=3).sized(200).num_targets
            3
        """
        return self._decided({"num_targets": 1 if features >= WIDE_FEATURES else self.num_targets})


MOST_EPOCHS, PASSED_ROWS, PASSED_CELLS = 6, 100_000, 100_000_000
"""Default of `training.max_epochs`: at most so many epochs, which together pass about so many training rows, and cells.
More rows bought a better ELBO and little else (docs/measured/sizes.md); more cells take hours."""

LARGEST_BATCH, SMALLEST_BATCH, EPOCH_STEPS = 512, 16, 4
"""Default of `training.batch_size`: the largest one, or as many fewer rows as give an epoch so many steps. With one
step an epoch the predictor of a small table learns too little, with more than four the embedding loses
(docs/measured/sizes.md)."""


def epochs_for(rows: int, features: int) -> int:
    """The default number of epochs, for a table of which an epoch passes so many rows.

    Each epoch of a large table is worth several of a small one, and the cells that training passes are what it costs.

    Examples:
        >>> epochs_for(10_000, 14), epochs_for(60_000, 14), epochs_for(10_000_000, 14), epochs_for(14_000, 1_500)
        (6, 1, 1, 4)
    """
    passed = min(PASSED_ROWS, PASSED_CELLS // max(1, features))
    return max(1, min(MOST_EPOCHS, passed // max(1, rows)))


def batch_for(rows: int) -> int:
    """The default number of rows in a batch, for so many training rows.

    Examples:
        >>> batch_for(100_000), batch_for(800), batch_for(20)
        (512, 200, 16)
    """
    return max(SMALLEST_BATCH, min(LARGEST_BATCH, rows // EPOCH_STEPS))


ANNEALED = 1 / 3
"""Share of the epochs in which KL weights rise, by default. A fixed number would not end within few epochs."""


class ObjectiveSection(OpenSection):
    """Weights of the five loss terms and the KL schedules (eq. 22-26, 53-55). t_jepa has a single loss term.

    NOTE[DIFF]: the published KL weights are 1e-6 to 1e-4, where a bound has 1. With 0.01 the embeddings of real tables
    are better or as good, and the predictor's distributions close to calibrated (docs/measured/sizes.md); `configs/`
    has the published ones.
    """

    from_table: ClassVar[tuple[str, ...]] = ("kl_sx_anneal_epochs", "kl_z_anneal_epochs", "kl_sy_anneal_epochs")

    weight_rec: Weight = 0.1
    """Weight of the reconstruction of the context from s_x."""
    weight_gen: Weight = 1.0
    """Weight of the reconstruction of the targets from s_y."""
    kl_sx_final: Weight = 0.01
    """Weight of the KL divergence of s_x from its prior, at the end of its schedule."""
    kl_z_final: Weight = 0.01
    """Weight of the KL divergence of z from its prior, at the end of its schedule."""
    kl_sy_final: Weight = 0.01
    """Weight of the KL divergence of s_y from what the predictor expects of it, at the end of its schedule."""
    kl_sx_anneal_epochs: Weight = MOST_EPOCHS * ANNEALED
    """Epochs in which the weight of the KL divergence of s_x rises from 0. If not given, a third of
    `training.max_epochs`."""
    kl_z_anneal_epochs: Weight = MOST_EPOCHS * ANNEALED
    """Epochs in which the weight of the KL divergence of z rises from 0. If not given, a third of
    `training.max_epochs`."""
    kl_sy_anneal_epochs: Weight = MOST_EPOCHS * ANNEALED
    """Epochs in which the weight of the KL divergence of s_y rises from 0. If not given, a third of
    `training.max_epochs`."""

    def sized(self, epochs: int) -> "ObjectiveSection":
        """The section with its schedules, for so many epochs of training. Given ones stay.

        Examples:
            >>> section = ObjectiveSection(kl_z_anneal_epochs=0).sized(6)
            >>> section.kl_sx_anneal_epochs, section.kl_z_anneal_epochs, section.kl_sy_anneal_epochs
            (2.0, 0.0, 2.0)
        """
        return self._decided(dict.fromkeys(self.from_table, epochs * ANNEALED))


ADAMW: dict[str, Any] = {"optimizer": "adamw", "lr": 1e-3}
"""Defaults of `training` for AdamW."""


class TrainingSection(OpenSection):
    """The optimiser and the training loop.

    Numbers of epochs and of rows in a batch that are not given, or null, follow from the table (`sized`). They are null
    in plain data until then; as attributes they are the largest ones.
    """

    from_table: ClassVar[tuple[str, ...]] = ("max_epochs", "batch_size")

    @model_validator(mode="before")
    @classmethod
    def _rate_of_its_optimizer(cls, given: Any) -> Any:
        return {**ADAMW, **given} if isinstance(given, Mapping) and given.get("optimizer") == "adamw" else given

    max_epochs: Positive = MOST_EPOCHS
    """Passes over the training rows, or parts of a pass (`epoch_rows`). If not given, 6, or as many fewer as pass
    100,000 rows and 100 million cells in all: more improved embeddings little."""
    epoch_rows: Rows | None = None
    """Training rows of an epoch, rounded to whole batches. Consecutive epochs share a pass over the table: each takes
    the next rows. For tables so large that one pass takes too long before the first evaluation. If not given, an epoch
    is a whole pass."""
    batch_size: Positive = LARGEST_BATCH
    """Training rows of a step. If not given, 512, or a quarter of fewer than 2,048 training rows."""
    optimizer: Literal["muon", "adamw"] = "muon"
    """muon: Muon for the matrices of linear maps, AdamW for everything else. adamw: AdamW for all. If not given, muon;
    for t_jepa adamw, as its embeddings keep few dimensions under Muon. NOTE[DIFF]: AdamW is published; Muon reaches as
    much in half the epochs (docs/measured/sizes.md)."""
    lr: Rate = 4e-3
    """Peak learning rate. If not given, 0.004 for muon, 0.001 for adamw."""
    lr_batch: Positive | None = None
    """Batch size that `lr` was chosen for. For another `batch_size`, `lr` is multiplied by the square root of the
    ratio. If not given, `lr` is not scaled."""
    warmup_epochs: Weight = 1.0
    """Epochs of linear warm-up."""
    lr_end_share: Share = 0.01
    """The learning rate decays by a half cosine to this share of its peak at `max_epochs`. 1: constant."""
    weight_decay: Weight = 1e-5
    """Of the matrices of linear maps; biases, normalisations, embeddings and learned tokens have none."""
    clip_norm: Annotated[float, Field(gt=0, le=LARGE)] = 1.0
    """Largest norm of the gradient."""
    seed: Seed = 0
    """Seed of weights, batches, masks, latent samples and dropout."""
    device: str = "auto"
    """auto: the GPU if there is one, otherwise the CPU; or cpu, cuda, cuda:1, ..."""
    devices: Annotated[int, Field(ge=1, le=10_000)] = 1
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
    memory: Annotated[float, Field(gt=0, le=1_000_000)] = 4.0
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
    """An evaluation during training uses at most this many rows of each part, and of tables of hundreds of features no
    more than have 4 million cells."""

    def sized(self, *, rows: int, features: int) -> "TrainingSection":
        """The section with its epochs and batches, for so many training rows and features. Given numbers stay.

        Examples:
            >>> sized = TrainingSection().sized(rows=800, features=9)
            >>> sized.max_epochs, sized.batch_size
            (6, 200)
            >>> TrainingSection(max_epochs=3).sized(rows=40_000, features=9).max_epochs
            3
        """
        passed = min(rows, self.epoch_rows or rows)
        return self._decided({"max_epochs": epochs_for(passed, features), "batch_size": batch_for(passed)})
