"""A transformer block as one differentiable operation for the CPU, with a hand-written backward pass.

Autograd would keep and copy more tensors than the block needs, and its bookkeeping takes a good part of a step. Under
`torch.autocast` to bfloat16 the matrix products and the activations between them have 16 bits. The residual stream,
the normalisation, the parameters and their gradients keep their own type.
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
    """Flat positions (int64) that dropout zeroes, None for none, and the factor that the survivors get."""

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
    """The same function as `varjepa.nn.transformer.Block`.

    Shape:
        x [B, L, d], blank, number of heads, `Dropped`, the block's weights from `ready_weights` -> [B, L, d]
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, blank: Blank, n_heads: int, dropped: Dropped, *weights: Tensor) -> Tensor:
        w, shape, dtype = BlockWeights(*weights), Tokens(x.shape[0], x.shape[1], n_heads), weights[0].dtype
        # Types are chosen by hand below, so autocast must not choose others.
        with torch.autocast(x.device.type, enabled=False):
            x = x.reshape(-1, x.shape[2])  # [B L, d]
            n1, *moments1 = _normalised(x, w.norm_attention, w.norm_attention_bias)
            n1 = n1.to(dtype)
            heads = _split(F.linear(n1, w.qkv, w.qkv_bias), shape, blank)
            mixed = mix(heads, backward=any(ctx.needs_input_grad))
            attended, inverse = _joined(mixed, shape)  # both [B L, d]
            # The sum promotes: the residual stream keeps 32 bits where the branch has 16.
            y = x + _drop_(F.linear(attended, w.out, w.out_bias), dropped.attention)
            n2, *moments2 = _normalised(y, w.norm_feedforward, w.norm_feedforward_bias)
            n2 = n2.to(dtype)
            # Dropped before the ReLU: its output is 0 there, so the backward pass needs no positions for `hidden`.
            hidden = _relu_(_drop_(F.linear(n2, w.expand, w.expand_bias), dropped.hidden))  # [B L, d_feedforward]
            out = y + _drop_(F.linear(hidden, w.contract, w.contract_bias), dropped.feedforward)
        # mixed.weights comes last, as its length varies: one tensor per chunk, or none.
        ctx.save_for_backward(x, y, n1, n2, attended, inverse, hidden, *moments1, *moments2, *heads, *mixed.weights)
        ctx.rest = (w, blank, dropped, shape, mixed.shifted)
        return out.view(*shape[:2], -1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        x, y, n1, n2, attended, inverse, hidden, *more = ctx.saved_tensors
        moments1, moments2, heads, kept = more[:2], more[2:4], Heads(*more[4:7]), more[7:]
        w, blank, dropped, shape, shifted = ctx.rest
        grad, dtype = grads[0].reshape(x.shape), n1.dtype  # [B L, d]

        # Feed-forward part. The gradient is copied: its own tensor is still needed for the residual path.
        branch = _drop_(grad.to(dtype, copy=True), dropped.feedforward)
        contract, contract_bias = branch.t() @ hidden, branch.sum(0)
        inner = _relu_backward_(branch @ w.contract, hidden)
        expand, expand_bias = inner.t() @ n2, inner.sum(0)
        through, *norm_feedforward = _normalised_backward(
            inner @ w.expand, y, moments2, w.norm_feedforward, w.norm_feedforward_bias
        )
        grad = through.add_(grad)  # gradient of y: through the branch, and past it

        branch = _drop_(grad.to(dtype, copy=True), dropped.attention)
        out, out_bias = branch.t() @ attended, branch.sum(0)
        sums = _joined_backward(branch @ w.out, attended, inverse, shape)  # [B H, L, d / H + 1]
        qkv = _split_backward(mix_backward(heads, kept, shifted, sums), shape, blank)  # [B L, 3 d]
        qkv_weight, qkv_bias = qkv.t() @ n1, qkv.sum(0)
        through, *norm_attention = _normalised_backward(
            qkv @ w.qkv, x, moments1, w.norm_attention, w.norm_attention_bias
        )
        gradients = BlockWeights(
            qkv_weight, qkv_bias, out, out_bias, expand, expand_bias, contract, contract_bias,
            *norm_attention, *norm_feedforward,
        )  # fmt: skip
        return through.add_(grad).view(*shape[:2], -1), None, None, None, *gradients


def ready_weights(blocks: Sequence[BlockWeights], n_heads: int, keep: float, dtype: torch.dtype) -> list[BlockWeights]:
    """Prepares the parameters of blocks of equal widths for `FusedBlock`: differentiable, and all blocks at once.

    Parameters of matrix products get the type of the products. Factors on activations are applied to the parameters
    instead, which are far smaller: 1 / sqrt(d) of the queries, and the factor that dropout gives survivors.

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
        # A ReLU commutes with a positive factor, so the dropout before it can be scaled in `contract`: the weight gets
        # the factors of both dropouts, the bias only that of the one behind it.
        out, out_bias, contract, contract_bias = out * keep, out_bias * keep, contract * keep**2, contract_bias * keep
    stacked = (qkv, qkv_bias, out, out_bias, expand, expand_bias, contract, contract_bias)
    ready = zip(*(part.to(dtype).unbind() for part in stacked), strict=True)
    return [BlockWeights(*products, *block[N_PRODUCTS:]) for products, block in zip(ready, blocks, strict=True)]


@lru_cache
def _queries_scale(d: int, n_heads: int, dtype: torch.dtype) -> Tensor:
    """Factors [3 d] that divide queries, but not keys and values, by the root of a head's width."""
    # The first caller may be in inference mode, but training could not use an inference tensor from the cache.
    with torch.inference_mode(mode=False):
        scale = torch.ones(3 * d, dtype=dtype)
        scale[:d] = (d // n_heads) ** -0.5
    return scale


def block_at(x: Tensor, positions: Tensor, n_heads: int, w: BlockWeights) -> Tensor:
    """Output of `FusedBlock` at some positions, the same for all rows, without dropout, blanks or a gradient.

    Keys and values need all tokens, everything else only the requested ones.

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
        )  # q [B H, P, d / H], k [B H, L, d / H]
        mixed = mix(Heads(q, k, with_ones(kv[:, :, 1].transpose(1, 2), None)), backward=False)
        attended = mixed.out.view(batch, n_heads, count, -1).transpose(1, 2).reshape(-1, d)  # [B P, d]
        y = x[:, positions].view(-1, d) + F.linear(attended, w.out, w.out_bias)
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
    # `out` is >= 0, so its bits as an integer are 0 or >= 1: clamped to 1, a mask that leaves or clears grad's bits.
    grad.view(torch.int16).mul_(out.view(torch.int16).clamp_max(1))
    return grad


def _split(qkv: Tensor, shape: Tokens, blank: Blank) -> Heads:
    """Packs queries, keys and values [B L, 3 H d]; here and below d is the width of a head."""
    batch, length, heads = shape
    qkv = qkv.view(batch, length, 3, heads, -1)
    # One copy for q and k together; `with_ones` copies v anyway.
    q, k = qkv[:, :, :2].permute(2, 0, 3, 1, 4).contiguous().view(2, batch * heads, length, -1)
    return Heads(q, k, with_ones(qkv[:, :, 2].transpose(1, 2), blank))


def _split_backward(parts: tuple[Tensor, Tensor, Tensor], shape: Tokens, blank: Blank) -> Tensor:
    """Gradients of q, k and v side by side, [B L, 3 H d]."""
    batch, length, heads = shape
    qkv = parts[0].new_empty(batch, length, 3, heads, parts[0].shape[2])
    for number, part in enumerate(parts):
        qkv[:, :, number] = part.unflatten(0, (batch, heads)).transpose(1, 2)
    if blank is not None:
        # `with_ones` replaced these values by 0, so they have no influence; `mix_backward` does not know that.
        qkv[blank[0], blank[1], 2] = 0.0
    return qkv.view(batch * length, -1)


@lru_cache
def _indicator(heads: int, d: int, dtype: torch.dtype) -> Tensor:
    """Which columns of [., H d] belong to which head, 0 or 1, [H, H d].

    A product with it repeats one number per head d times, or adds up d; torch is slow on such short axes.
    """
    return torch.eye(heads, dtype=dtype).repeat_interleave(d, dim=1)


def _joined(mixed: Mixed, shape: Tokens) -> tuple[Tensor, Tensor]:
    """Outputs of the heads side by side, and the reciprocals of their normalisers in the same places, [B L, H d]."""
    batch, length, heads = shape
    sums = mixed.sums[..., :-1].unflatten(0, (batch, heads)).transpose(1, 2)  # [B, L, H, d]
    inverse = mixed.inverse.view(batch, heads, length).transpose(1, 2).reshape(-1, heads)  # [B L, H]
    inverse = inverse @ _indicator(heads, sums.shape[3], sums.dtype)  # [B L, H d]
    return sums.reshape(batch * length, -1) * inverse, inverse


def _joined_backward(grad: Tensor, attended: Tensor, inverse: Tensor, shape: Tokens) -> Tensor:
    """Turns the gradient [B L, H d] of the heads' outputs into the `grad_sums` of `mix_backward`."""
    batch, length, heads = shape
    grad, d = grad * inverse, grad.shape[1] // heads
    sums = grad.new_empty(batch, heads, length, d + 1)
    sums[..., :-1] = grad.view(batch, length, heads, d).transpose(1, 2)
    # out = sum / norm, so d out / d norm = -out / norm: the last column, the gradient of the normaliser.
    along = grad.mul_(attended) @ _indicator(heads, d, grad.dtype).t()  # [B L, H]
    sums[..., -1] = along.neg_().view(batch, length, heads).transpose(1, 2)
    return sums.view(batch * heads, length, -1)
