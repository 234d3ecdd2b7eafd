"""A transformer block as one differentiable operation for the CPU, its backward pass written out.

Autograd keeps and copies more than is needed here, and spends a good part of a step on its books. Under
`torch.autocast` to bfloat16 the matrix products and what lies between them have 16 bits; the residual stream, the
normalisation, parameters and their gradients keep theirs.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from varjepa.nn.packed import Blank, Heads, Mixed, mix, mix_backward, with_ones

LAYER_NORM_EPS = 1e-5


class BlockWeights(NamedTuple):
    """Parameters of a block, those of its matrix products first."""

    qkv: Tensor
    qkv_bias: Tensor
    out: Tensor
    out_bias: Tensor
    expand: Tensor
    expand_bias: Tensor
    contract: Tensor
    contract_bias: Tensor
    norm_attention: Tensor
    norm_attention_bias: Tensor
    norm_feedforward: Tensor
    norm_feedforward_bias: Tensor


N_PRODUCTS = 8
"""Parameters of a block that belong to matrix products."""


class Dropped(NamedTuple):
    """Flat positions (int64) that dropout zeroes, None for none, and what the survivors are multiplied by."""

    attention: Tensor | None = None
    hidden: Tensor | None = None
    feedforward: Tensor | None = None
    keep: float = 1.0


class Tokens(NamedTuple):
    """Sizes of a batch: rows, tokens of a row, attention heads."""

    batch: int
    length: int
    heads: int


class FusedBlock(torch.autograd.Function):
    """What `varjepa.nn.transformer.Block` computes.

    Shape:
        x [B, L, d], blank, number of heads, `Dropped`, what `ready_weights` makes of a block -> [B, L, d]
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, blank: Blank, n_heads: int, dropped: Dropped, *weights: Tensor) -> Tensor:
        w, shape, dtype = BlockWeights(*weights), Tokens(x.shape[0], x.shape[1], n_heads), weights[0].dtype
        with torch.autocast(x.device.type, enabled=False):
            x = x.reshape(-1, x.shape[2])  # [B L, d]
            n1, *moments1 = _normalised(x, w.norm_attention, w.norm_attention_bias)
            n1 = n1.to(dtype)
            heads = _split(F.linear(n1, w.qkv, w.qkv_bias), shape, blank)
            mixed = mix(heads, backward=any(ctx.needs_input_grad))
            said, inverse = _joined(mixed, shape)
            y = x + _drop_(F.linear(said, w.out, w.out_bias), dropped.attention)
            n2, *moments2 = _normalised(y, w.norm_feedforward, w.norm_feedforward_bias)
            n2 = n2.to(dtype)
            hidden = _relu_(_drop_(F.linear(n2, w.expand, w.expand_bias), dropped.hidden))
            out = y + _drop_(F.linear(hidden, w.contract, w.contract_bias), dropped.feedforward)
        ctx.save_for_backward(x, y, n1, n2, said, inverse, hidden, *moments1, *moments2, *heads, *mixed.weights)
        ctx.rest = (w, blank, dropped, shape)
        return out.view(*shape[:2], -1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        x, y, n1, n2, said, inverse, hidden, *more = ctx.saved_tensors
        moments1, moments2, heads, kept = more[:2], more[2:4], Heads(*more[4:7]), more[7:]
        w, blank, dropped, shape = ctx.rest
        grad, dtype = grads[0].reshape(x.shape), n1.dtype

        branch = _drop_(grad.to(dtype, copy=True), dropped.feedforward)
        contract, contract_bias = branch.t() @ hidden, branch.sum(0)
        inner = _relu_backward_(branch @ w.contract, hidden)
        expand, expand_bias = inner.t() @ n2, inner.sum(0)
        through, *norm_feedforward = _normalised_backward(
            inner @ w.expand, y, moments2, w.norm_feedforward, w.norm_feedforward_bias
        )
        grad = through.add_(grad)

        branch = _drop_(grad.to(dtype, copy=True), dropped.attention)
        out, out_bias = branch.t() @ said, branch.sum(0)
        sums = _joined_backward(branch @ w.out, said, inverse, shape)
        qkv = _split_backward(mix_backward(heads, kept, sums), shape, blank)
        qkv_weight, qkv_bias = qkv.t() @ n1, qkv.sum(0)
        through, *norm_attention = _normalised_backward(
            qkv @ w.qkv, x, moments1, w.norm_attention, w.norm_attention_bias
        )
        found = BlockWeights(
            qkv_weight, qkv_bias, out, out_bias, expand, expand_bias, contract, contract_bias,
            *norm_attention, *norm_feedforward,
        )  # fmt: skip
        return through.add_(grad).view(*shape[:2], -1), None, None, None, *found


def ready_weights(blocks: Sequence[BlockWeights], n_heads: int, keep: float, dtype: torch.dtype) -> list[BlockWeights]:
    """Parameters of blocks of equal widths as `FusedBlock` takes them, differentiable, and all at once.

    Those of matrix products get the type of the products, and what scales activations is applied to them, as they are
    far smaller: the root of d in the queries, and what dropout multiplies survivors by.

    Args:
        blocks: at least one.
        n_heads: attention heads.
        keep: see `Dropped`.
        dtype: of the products.
    """
    qkv, qkv_bias, out, out_bias, expand, expand_bias, contract, contract_bias = (
        torch.stack(parts) for parts in list(zip(*blocks, strict=True))[:N_PRODUCTS]
    )
    scale = _queries_scale(out.shape[1], n_heads, out.dtype)
    qkv, qkv_bias = qkv * scale[:, None], qkv_bias * scale
    if keep != 1.0:
        out, out_bias, contract, contract_bias = out * keep, out_bias * keep, contract * keep**2, contract_bias * keep
    stacked = (qkv, qkv_bias, out, out_bias, expand, expand_bias, contract, contract_bias)
    ready = zip(*(part.to(dtype).unbind() for part in stacked), strict=True)
    return [BlockWeights(*of_one, *block[N_PRODUCTS:]) for of_one, block in zip(ready, blocks, strict=True)]


@lru_cache
def _queries_scale(d: int, n_heads: int, dtype: torch.dtype) -> Tensor:
    """What divides queries, but not keys and values, by the root of a head's width, [3 d]."""
    with torch.inference_mode(mode=False):  # training needs it, too, whoever comes first
        scale = torch.ones(3 * d, dtype=dtype)
        scale[:d] = (d // n_heads) ** -0.5
    return scale


def block_at(x: Tensor, positions: Tensor, n_heads: int, w: BlockWeights) -> Tensor:
    """What `FusedBlock` says of some positions, the same for all rows, without dropout, blanks or a gradient.

    Keys and values need all tokens, everything else only those asked for.

    Shape:
        x [B, L, d], positions int64 [P] -> [B, P, d]
    """
    (batch, length, d), count, dtype = x.shape, len(positions), w.qkv.dtype
    with torch.autocast(x.device.type, enabled=False):
        n1 = _normalised(x, w.norm_attention, w.norm_attention_bias)[0].to(dtype)
        q = F.linear(n1[:, positions].view(-1, d), w.qkv[:d], w.qkv_bias[:d])
        kv = F.linear(n1.view(-1, d), w.qkv[d:], w.qkv_bias[d:]).view(batch, length, 2, n_heads, -1)
        q, k = (
            part.view(batch, -1, n_heads, d // n_heads).transpose(1, 2).flatten(0, 1)
            for part in (q, kv[:, :, 0].contiguous())
        )
        mixed = mix(Heads(q, k, with_ones(kv[:, :, 1].transpose(1, 2), None)), backward=False)
        said = mixed.out.view(batch, n_heads, count, -1).transpose(1, 2).reshape(-1, d)
        y = x[:, positions].view(-1, d) + F.linear(said, w.out, w.out_bias)
        n2 = _normalised(y, w.norm_feedforward, w.norm_feedforward_bias)[0].to(dtype)
        hidden = _relu_(F.linear(n2, w.expand, w.expand_bias))
        return y.add_(F.linear(hidden, w.contract, w.contract_bias)).view(batch, count, d)


def _normalised(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return torch.native_layer_norm(x, weight.shape, weight, bias, LAYER_NORM_EPS)


def _normalised_backward(grad: Tensor, x: Tensor, moments: list[Tensor], weight: Tensor, bias: Tensor) -> list[Tensor]:
    return torch.ops.aten.native_layer_norm_backward(
        grad.to(x.dtype), x, weight.shape, *moments, weight, bias, (True, True, True)
    )


def _drop_(x: Tensor, index: Tensor | None) -> Tensor:
    if index is not None:
        x.view(-1).index_fill_(0, index, 0.0)
    return x


def _relu_(x: Tensor) -> Tensor:
    if x.dtype != torch.bfloat16:
        return x.relu_()
    # A bfloat16 is negative where the integer of the same bits is, and torch is five times as fast on integers.
    x.view(torch.int16).clamp_min_(0)
    return x


def _relu_backward_(grad: Tensor, out: Tensor) -> Tensor:
    """The gradient where `out`, of a ReLU, is positive, and 0 elsewhere."""
    if grad.dtype != torch.bfloat16:
        return torch.ops.aten.threshold_backward(grad, out, 0)
    grad.view(torch.int16).mul_(out.view(torch.int16).clamp_max(1))
    return grad


def _split(qkv: Tensor, shape: Tokens, blank: Blank) -> Heads:
    """Packs [B L, 3 H d]."""
    batch, length, heads = shape
    qkv = qkv.view(batch, length, 3, heads, -1)
    q, k = qkv[:, :, :2].permute(2, 0, 3, 1, 4).contiguous().view(2, batch * heads, length, -1)
    return Heads(q, k, with_ones(qkv[:, :, 2].transpose(1, 2), blank))


def _split_backward(parts: tuple[Tensor, Tensor, Tensor], shape: Tokens, blank: Blank) -> Tensor:
    """Gradients of q, k and v side by side, [B L, 3 H d]."""
    batch, length, heads = shape
    qkv = parts[0].new_empty(batch, length, 3, heads, parts[0].shape[2])
    for number, part in enumerate(parts):
        qkv[:, :, number] = part.unflatten(0, (batch, heads)).transpose(1, 2)
    if blank is not None:
        qkv[blank[0], blank[1], 2] = 0.0
    return qkv.view(batch * length, -1)


@lru_cache
def _indicator(heads: int, d: int, dtype: torch.dtype) -> Tensor:
    """Which columns of [., H d] belong to which head, 0 or 1, [H, H d].

    A product with it repeats one number per head d times, or adds up d; torch is slow on such short axes.
    """
    return torch.eye(heads, dtype=dtype).repeat_interleave(d, dim=1)


def _joined(mixed: Mixed, shape: Tokens) -> tuple[Tensor, Tensor]:
    """What the heads say side by side, and the reciprocals of the normalisers in the same places, both [B L, H d]."""
    batch, length, heads = shape
    sums = mixed.sums[..., :-1].unflatten(0, (batch, heads)).transpose(1, 2)  # [B, L, H, d]
    inverse = mixed.inverse.view(batch, heads, length).transpose(1, 2).reshape(-1, heads)
    inverse = inverse @ _indicator(heads, sums.shape[3], sums.dtype)
    return sums.reshape(batch * length, -1) * inverse, inverse


def _joined_backward(grad: Tensor, said: Tensor, inverse: Tensor, shape: Tokens) -> Tensor:
    """The gradient [B L, H d] of what the heads say as `mix_backward` takes it."""
    batch, length, heads = shape
    grad, d = grad * inverse, grad.shape[1] // heads
    sums = grad.new_empty(batch, heads, length, d + 1)
    sums[..., :-1] = grad.view(batch, length, heads, d).transpose(1, 2)
    along = grad.mul_(said) @ _indicator(heads, d, grad.dtype).t()  # [B L, H]
    sums[..., -1] = along.neg_().view(batch, length, heads).transpose(1, 2)
    return sums.view(batch * heads, length, -1)
