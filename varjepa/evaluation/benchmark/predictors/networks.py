"""The neural predictors by name, one module per run and all runs as one stack."""

from collections.abc import Sequence
from typing import Literal

import torch
from rtdl_revisiting_models import MLP, ResNet
from torch import Tensor, nn

from varjepa.config.predictors import DCNSection, PredictorSettings
from varjepa.evaluation.benchmark.predictors.stacking import Streams, stack_modules
from varjepa.evaluation.benchmark.predictors.tokens import TOKEN_LEAVES, AutoInt, FTTransformer
from varjepa.nn.random import initial_weights

NeuralName = Literal["mlp", "dcnv2", "resnet", "autoint", "ft_transformer"]

FLAT = ("mlp", "dcnv2", "resnet")
"""Predictors that read all numbers of a row side by side; the others read feature tokens."""

D_HIDDEN, N_HIDDEN = 128, 2
"""Hidden layers of the MLP and of the deep part of DCNv2."""

RESNET_BLOCKS, RESNET_WIDTH, RESNET_HIDDEN = 3, 128, 256


class CrossLayer(nn.Module):
    """x_0 * (W x + b) + x, with W a product of two thin matrices where `rank` says so.

    Shape:
        x_0 [B, F], x [B, F] -> [B, F]

    References:
        Wang et al. 2021, "DCN V2", eq. 1 and 2.
    """

    def __init__(self, *, d_in: int, rank: int | None) -> None:
        super().__init__()
        full = nn.Linear(rank or d_in, d_in)
        self.map = full if rank is None else nn.Sequential(nn.Linear(d_in, rank, bias=False), full)

    def forward(self, x_0: Tensor, x: Tensor) -> Tensor:
        return torch.addcmul(x, x_0, self.map(x))


class DCNv2(nn.Module):
    """Cross layers beside an MLP, and one linear map of both (the paper's parallel structure).

    Args:
        d_in: numbers per row.
        d_out: outputs.
        dropout: of the MLP.
        sizes: of the cross layers.

    Shape:
        [B, d_in] -> [B, d_out]
    """

    def __init__(self, *, d_in: int, d_out: int, dropout: float, sizes: DCNSection) -> None:
        super().__init__()
        rank = sizes.rank if d_in > sizes.full_width else None
        self.cross = nn.ModuleList(CrossLayer(d_in=d_in, rank=rank) for _ in range(sizes.n_cross))
        self.deep = MLP(d_in=d_in, d_out=None, n_blocks=N_HIDDEN, d_block=D_HIDDEN, dropout=dropout)
        self.output = nn.Linear(d_in + D_HIDDEN, d_out)

    def forward(self, x: Tensor) -> Tensor:
        crossed = x  # [B, F], as every layer's result: each multiplies by the input once more
        for layer in self.cross:
            crossed = layer(x, crossed)
        return self.output(torch.cat([crossed, self.deep(x)], dim=1))


def new_network(name: NeuralName, widths: Sequence[int], d_out: int, settings: PredictorSettings) -> nn.Module:
    """One network with fresh weights from torch's global generator.

    Args:
        name: of the predictor.
        widths: numbers per feature.
        d_out: outputs.
        settings: sizes and dropout rates.

    Returns:
        a module from [B, sum of widths] (see `FLAT`) or [B, D, W] to [B, d_out].
    """
    d_in, rate = sum(widths), settings.dropout
    if name == "mlp":
        return MLP(d_in=d_in, d_out=d_out, n_blocks=N_HIDDEN, d_block=D_HIDDEN, dropout=rate)
    if name == "dcnv2":
        return DCNv2(d_in=d_in, d_out=d_out, dropout=rate, sizes=settings.dcn)
    if name == "resnet":
        # NOTE[DIFF] one dropout rate is published; inside the block, as in the defaults of ResNet's authors.
        return ResNet(d_in=d_in, d_out=d_out, n_blocks=RESNET_BLOCKS, d_block=RESNET_WIDTH, d_hidden=RESNET_HIDDEN,
                      d_hidden_multiplier=None, dropout1=rate, dropout2=0.0)  # fmt: skip
    if name == "autoint":
        return AutoInt(widths=widths, d_out=d_out, sizes=settings.autoint)
    return FTTransformer(widths=widths, d_out=d_out, sizes=settings.ft_transformer)


def new_stack(
    name: NeuralName, widths: Sequence[int], d_out: int, settings: PredictorSettings, *, seeds: Sequence[int],
    streams: Streams,
) -> nn.Module:  # fmt: skip
    """All runs of a predictor as one module, the weights of each from its seed alone.

    Args:
        name: of the predictor.
        widths: numbers per feature.
        d_out: outputs.
        settings: sizes and dropout rates.
        seeds: one per run.
        streams: where dropout draws from.

    Returns:
        a module from [R B, ...] to [R B, d_out]; every parameter and buffer has R as its first axis.
    """
    networks = []
    for seed in seeds:  # one after the other, as each would be built alone
        with initial_weights(seed):
            networks.append(new_network(name, widths, d_out, settings))
    return stack_modules(networks, streams, TOKEN_LEAVES)
