"""Predictors that see a row as a set of feature tokens: AutoInt and FT-Transformer."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from rtdl_revisiting_models import FTTransformerBackbone, MultiheadAttention
from torch import Tensor, nn

from varjepa.config.predictors import AutoIntSection, FTTransformerSection
from varjepa.evaluation.benchmark.predictors.attention import QKV, QKV_RESIDUAL, self_attention
from varjepa.evaluation.benchmark.predictors.stacking import LEAVES, Leaf, StackedLinear, Streams


class FeatureTokens(nn.Module):
    """One linear map per feature, and learned tokens in front of them.

    Args:
        widths: numbers per feature.
        d_token: width of a token.
        n_cls: learned tokens.

    Shape:
        [B, D, W] -> [B, n_cls + D, d_token]
    """

    def __init__(self, *, widths: Sequence[int], d_token: int, n_cls: int = 0) -> None:
        super().__init__()
        # Drawn feature by feature, so that padding does not change the weights of the numbers that are there.
        drawn = [torch.rand(width, d_token) for width in (*widths, n_cls + len(widths))]
        *maps, bias = ((2 * part - 1) * d_token**-0.5 for part in drawn)
        self.weight = nn.Parameter(nn.utils.rnn.pad_sequence(maps, batch_first=True))  # [D, W, d_token]
        self.bias = nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        n_cls = len(self.bias) - len(self.weight)
        x = x[..., : self.weight.shape[1]]
        tokens = F.pad(torch.einsum("bdw,dwt->bdt", x, self.weight), (0, 0, n_cls, 0))
        return tokens + self.bias


class StackedFeatureTokens(nn.Module):
    """`FeatureTokens` of every run; [R B, D, W] -> [R B, n_cls + D, d_token]."""

    def __init__(self, layers: Sequence[FeatureTokens], _: Streams) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        runs, n_features, width, d_token = self.weight.shape
        n_cls = self.bias.shape[1] - n_features
        blocks = (
            x[..., :width].reshape(runs, -1, n_features, width).transpose(1, 2).reshape(runs * n_features, -1, width)
        )
        products = torch.bmm(blocks, self.weight.view(-1, width, d_token)).view(runs, n_features, -1, d_token)
        tokens = F.pad(products.transpose(1, 2), (0, 0, n_cls, 0)) + self.bias[:, None]  # [R, B, n_cls + D, d_token]
        return tokens.reshape(-1, n_cls + n_features, d_token)


class AutoIntLayer(nn.Module):
    """Multi-head attention beside a linear map of its input, and a ReLU of their sum.

    NOTE[DIFF] scores are divided by the root of the head's width, which the paper does not do.

    Shape:
        [B, D, d_token] -> [B, D, d_token]

    References:
        Song et al. 2019, "AutoInt", eq. 5-8.
    """

    def __init__(self, *, d_token: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        # The paper's maps have no bias.
        self.projection = nn.Linear(d_token, 4 * d_token, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self_attention(self.projection(x), n_parts=QKV_RESIDUAL, n_heads=self.n_heads))


class AutoInt(nn.Module):
    """Feature tokens, attention layers, and one linear map of all tokens side by side.

    Args:
        widths: numbers per feature.
        d_out: outputs.
        sizes: of tokens and layers.

    Shape:
        [B, D, W] -> [B, d_out]
    """

    def __init__(self, *, widths: Sequence[int], d_out: int, sizes: AutoIntSection) -> None:
        super().__init__()
        self.tokens = FeatureTokens(widths=widths, d_token=sizes.d_token)
        self.layers = nn.ModuleList(
            AutoIntLayer(d_token=sizes.d_token, n_heads=sizes.n_heads) for _ in range(sizes.n_layers)
        )
        self.output = nn.Linear(len(widths) * sizes.d_token, d_out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.tokens(x)
        for layer in self.layers:
            x = layer(x)
        return self.output(x.flatten(1))


class Backbone(FTTransformerBackbone):
    """The blocks of FT-Transformer; the last one computes only the token that is read, its authors' computes all."""

    def forward(self, x: Tensor) -> Tensor:
        for number, block in enumerate(self.blocks, start=1):
            normed = block["attention_normalization"](x) if "attention_normalization" in block else x
            if number == len(self.blocks):
                x = x[:, :1]
            x = x + block["attention"](normed[:, : x.shape[1]], normed)
            x = x + block["ffn"](block["ffn_normalization"](x))
        return self.output(x[:, 0])


class FTTransformer(nn.Module):
    """Feature tokens behind a CLS token, and pre-norm transformer blocks; the CLS token gives the output.

    Args:
        widths: numbers per feature.
        d_out: outputs.
        sizes: of blocks, and dropout rates.

    Shape:
        [B, D, W] -> [B, d_out]

    References:
        Gorishniy et al. 2021, "Revisiting deep learning models for tabular data", section 3.3.
    """

    def __init__(self, *, widths: Sequence[int], d_out: int, sizes: FTTransformerSection) -> None:
        super().__init__()
        self.tokens = FeatureTokens(widths=widths, d_token=sizes.d_block, n_cls=1)
        self.backbone = Backbone(
            d_out=d_out, n_blocks=sizes.n_blocks, d_block=sizes.d_block, attention_n_heads=sizes.n_heads,
            attention_dropout=sizes.attention_dropout, ffn_d_hidden=None, ffn_dropout=sizes.ffn_dropout,
            ffn_d_hidden_multiplier=sizes.ffn_multiplier, residual_dropout=0.0,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.backbone(self.tokens(x))


class StackedAttention(nn.Module):
    """Multi-head attention of every run, from one product; [R B, Q, d], [R B, L, d] -> [R B, Q, d]."""

    def __init__(self, layers: Sequence[MultiheadAttention], streams: Streams) -> None:
        super().__init__()
        # The number of heads has no public name.
        self.n_heads, self.streams = layers[0]._n_heads, streams  # noqa: SLF001 (see above)
        self.rate = layers[0].dropout.p if layers[0].dropout is not None else 0.0
        self.projection = StackedLinear([_beside(layer.W_q, layer.W_k, layer.W_v) for layer in layers], streams)
        self.out = nn.Identity() if layers[0].W_out is None else StackedLinear([m.W_out for m in layers], streams)

    def forward(self, x_q: Tensor, x_kv: Tensor) -> Tensor:
        keep = None
        if self.training and self.rate > 0:
            keep = self.streams.keep((len(x_q) * self.n_heads, x_q.shape[1], x_kv.shape[1]), self.rate)
        if x_q.shape == x_kv.shape:
            mixed = self_attention(self.projection(x_kv), n_parts=QKV, n_heads=self.n_heads, keep=keep)
        else:
            mixed = self._cross(x_q, x_kv, keep)
        return self.out(mixed)

    def _cross(self, x_q: Tensor, x_kv: Tensor, keep: Tensor | None) -> Tensor:
        """The same for few queries; plain, because it is little work."""
        batch, queries, width = x_q.shape
        q = self.projection(x_q, slice(0, width)).view(batch, queries, self.n_heads, -1)
        packed = self.projection(x_kv, slice(width, None))
        k, v = packed.view(batch, -1, 2, self.n_heads, width // self.n_heads).permute(2, 0, 3, 1, 4)
        weights = (q.transpose(1, 2) @ k.mT * q.shape[-1] ** -0.5).softmax(-1)  # [R B, H, Q, L]
        if keep is not None:
            weights = weights * keep.view(weights.shape)
        return (weights @ v).transpose(1, 2).reshape(batch, queries, width)


def _beside(*layers: nn.Linear) -> nn.Linear:
    """One linear map with the outputs of `layers` side by side."""
    width = sum(layer.out_features for layer in layers)
    # Drawing weights here would move the global generator under another thread that builds its network.
    joined = nn.utils.skip_init(nn.Linear, layers[0].in_features, width)
    with torch.no_grad():
        joined.weight.copy_(torch.cat([layer.weight for layer in layers]))
        joined.bias.copy_(torch.cat([layer.bias for layer in layers]))
    return joined


TOKEN_LEAVES: dict[type[nn.Module], Leaf] = {
    **LEAVES,
    FeatureTokens: StackedFeatureTokens,
    MultiheadAttention: StackedAttention,
}
"""Counterparts of all leaves of the predictors."""
