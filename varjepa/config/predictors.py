"""Settings of the downstream predictors. The defaults are those of the paper, if it gives them (section 4.2, D.6.4)."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from varjepa.config.base import NonNegative, Positive, Section, Weight

Rate = Annotated[float, Field(ge=0, lt=1)]
"""Rate of dropout (rounded to steps of 1/256), or weight of a moving average."""


def _check_heads(width: int, heads: int) -> None:
    if width % heads:
        raise ValueError(f"a width of {width} cannot be divided among {heads} attention heads")


class DCNSection(Section):
    """DCNv2: crossed features beside a deep part."""

    n_cross: Positive = 2
    """Cross layers."""
    rank: Positive = 64
    """Rank of the cross matrices if the input is wider than `full_width`."""
    full_width: NonNegative = 256
    """Inputs up to this width get full cross matrices. For wider inputs, full matrices would dominate the cost."""


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
    """At most this many epochs."""
    patience: Positive = 16
    """Training stops after this many epochs without a better validation score (classification: accuracy, ties by loss;
    regression: loss), as published."""
    patience_steps: Positive = 900
    """Patience is at most this many optimiser steps, rounded up to whole epochs, to save time on large tables."""
    batch_size: Positive = 128
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Learning rate of AdamW, constant."""
    weight_decay: Weight = 0.01
    weight_average: Rate = 0.998
    """Weight of the old value in the moving average of the weights, per step. The average is validated and used. 0: no
    average, as published."""
    dropout: Rate = 0.1
    """Dropout rate of MLP, ResNet and the deep part of DCNv2."""
    dcn: DCNSection = DCNSection()
    autoint: AutoIntSection = AutoIntSection()
    ft_transformer: FTTransformerSection = FTTransformerSection()
    xgboost: BoostingSection = BoostingSection()
