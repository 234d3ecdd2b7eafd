"""Settings of the downstream predictors. The defaults are those of the paper, if it gives them (section 4.2, D.6.4)."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from varjepa.config.base import Draws, Layers, NonNegative, Positive, Rate, Section, Weight, Width

Dropout = Annotated[float, Field(ge=0, lt=1)]
"""Rate of dropout (rounded to steps of 1/256), or weight of a moving average."""


def _check_heads(width: int, heads: int) -> None:
    if width % heads:
        raise ValueError(f"a width of {width} cannot be divided among {heads} attention heads")


class DCNSection(Section):
    """DCNv2: crossed features beside a deep part."""

    n_cross: Layers = 2
    """Cross layers."""
    rank: Width = 64
    """Rank of the cross matrices if the input is wider than `full_width`."""
    full_width: NonNegative = 256
    """Inputs up to this width get full cross matrices. For wider inputs, full matrices would dominate the cost."""


class AutoIntSection(Section):
    """AutoInt: attention layers over feature tokens."""

    d_token: Width = 128
    n_layers: Layers = 3
    n_heads: Layers = 2

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_heads(self.d_token, self.n_heads)
        return self


class FTTransformerSection(Section):
    """FT-Transformer: sizes are not published; dropout rates are the defaults of its authors for two blocks."""

    d_block: Width = 64
    n_blocks: Layers = 2
    n_heads: Layers = 8
    ffn_multiplier: Annotated[float, Field(gt=0, le=1000)] = 4 / 3
    """Hidden width of the feed-forward part (ReGLU) as a multiple of `d_block`."""
    attention_dropout: Dropout = 0.15
    ffn_dropout: Dropout = 0.05

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_heads(self.d_block, self.n_heads)
        return self


class BoostingSection(Section):
    """XGBoost; threads also of LightGBM."""

    n_trees: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    max_depth: Layers = 3
    lr: Rate = 0.1
    n_threads: Draws = 1


class TabMSection(Section):
    """TabM: the defaults of its authors."""

    k: Draws = 32
    """Members, networks that share most weights."""
    n_blocks: Layers = 3
    d_block: Width = 512


class RealMLPSection(Section):
    """RealMLP: the defaults of its authors."""

    epochs: Positive = 256


class PredictorSettings(Section):
    """How the predictors are built and trained."""

    trials: Draws = 8
    """Settings that are tried for every predictor alike. The first trial has the settings below, which are the
    published ones; the others are drawn at random, and the best on the validation rows is kept. 1: the settings below,
    as in the paper."""

    epochs: Positive = 50
    """At most this many epochs."""
    patience: Positive = 16
    """Training stops after this many epochs without a better validation score (classification: accuracy, ties by loss;
    regression: loss), as published."""
    patience_steps: Positive = 900
    """Patience is at most this many optimiser steps, rounded up to whole epochs, to save time on large tables."""
    batch_size: Positive = 128
    lr: Rate = 1e-3
    """Learning rate of AdamW, constant."""
    weight_decay: Weight = 0.01
    weight_average: Dropout = 0.998
    """Weight of the old value in the moving average of the weights, per step. The average is validated and used. 0: no
    average, as published."""
    dropout: Dropout = 0.1
    """Dropout rate of MLP, ResNet and the deep part of DCNv2."""
    dcn: DCNSection = DCNSection()
    autoint: AutoIntSection = AutoIntSection()
    ft_transformer: FTTransformerSection = FTTransformerSection()
    tabm: TabMSection = TabMSection()
    realmlp: RealMLPSection = RealMLPSection()
    xgboost: BoostingSection = BoostingSection()
    """XGBoost in the first trial; others are stopped early on the validation rows."""
