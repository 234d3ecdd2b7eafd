"""Settings of the downstream predictors: defaults are those of the paper where it gives them (section 4.2, D.6.4)."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from varjepa.config.base import NonNegative, Positive, Section, Weight

Rate = Annotated[float, Field(ge=0, lt=1)]
"""Of dropout (applied in steps of 1/256), or of a moving average."""


def _check_heads(width: int, heads: int) -> None:
    if width % heads:
        raise ValueError(f"a width of {width} cannot be shared by {heads} attention heads")


class DCNSection(Section):
    """DCNv2: crossed features beside a deep part."""

    n_cross: Positive = 2
    """Cross layers."""
    rank: Positive = 64
    """Rank of the cross matrices where the input is wider than `full_width`."""
    full_width: NonNegative = 256
    """Inputs up to this width get full cross matrices; beyond, those are most of the model and of its cost."""


class AutoIntSection(Section):
    """AutoInt: attention layers over feature tokens."""

    d_token: Positive = 128
    n_layers: Positive = 3
    n_heads: Positive = 2

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_heads(self.d_token, self.n_heads)
        return self


class FTTransformerSection(Section):
    """FT-Transformer: sizes are not published; dropout rates are the defaults of its authors for two blocks."""

    d_block: Positive = 64
    n_blocks: Positive = 2
    n_heads: Positive = 8
    ffn_multiplier: Annotated[float, Field(gt=0)] = 4 / 3
    """Hidden width of the feed-forward part (ReGLU) as a multiple of `d_block`."""
    attention_dropout: Rate = 0.15
    ffn_dropout: Rate = 0.05

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_heads(self.d_block, self.n_heads)
        return self


class BoostingSection(Section):
    """XGBoost."""

    n_trees: Positive = 100
    max_depth: Positive = 3
    lr: Annotated[float, Field(gt=0)] = 0.1
    n_threads: Positive = 1


class PredictorSettings(Section):
    """How the six predictors are built and trained."""

    epochs: Positive = 50
    """At most this many."""
    patience: Positive = 16
    """Epochs without a better validation score (accuracy, equal ones by loss; values: loss) after which training
    stops, as published."""
    patience_steps: Positive = 900
    """No more optimiser steps than this, rounded up to whole epochs: 16 epochs of a large table mostly cost time."""
    batch_size: Positive = 128
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Learning rate of AdamW, constant."""
    weight_decay: Weight = 0.01
    weight_average: Rate = 0.998
    """Share of the moving average of the weights that stays at a step; the average is what is validated and kept.
    0 keeps the weights of the last step, as published."""
    dropout: Rate = 0.1
    """Of MLP, ResNet and the deep part of DCNv2."""
    dcn: DCNSection = DCNSection()
    autoint: AutoIntSection = AutoIntSection()
    ft_transformer: FTTransformerSection = FTTransformerSection()
    xgboost: BoostingSection = BoostingSection()
