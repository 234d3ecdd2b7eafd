"""Attention over few tokens as batched matrix products on packed heads, with a hand-written backward pass.

Torch's fused kernels are made for long sequences; with 10 to 60 tokens per row most of their time on a CPU is
overhead. A handful of products on contiguous memory does the same in a third to a tenth of the time. Heads are
processed in chunks whose square matrices stay in the cache.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from varjepa.nn.gaussian import widened

SCORE_LIMIT = 60.0
"""A softmax whose row maximum is within +-60 needs no shift: sums of exp(60) are far inside the range of 16 and 32
bits. Other rows are shifted by their maximum."""

SHORT_LIMIT = 16.0
"""The same for scores that were rounded to 16 bits: up to here that moves them by 0.03 at most, as rounding queries and
keys does. Larger ones are computed in 32 bits."""

SMALLEST_SUM = 1e-30
"""Below any normaliser there can be, exp(-60); its reciprocal times a gradient is still a number in 16 and 32 bits."""

CHUNK = 2**21
"""Attention weights computed at a time."""

KEPT = 2**24
"""Up to this many weights are kept for the backward pass; more are computed again there."""

Blank = tuple[Tensor, Tensor] | None
"""Rows and positions (int64 [n] each) of tokens that nothing may attend to; None where there are none."""


def blank_tokens(valid: Tensor | None) -> Blank:
    """Where `valid`, bool [B, L], is false; None is valid everywhere."""
    if valid is None:
        return None
    rows, positions = (~valid).nonzero(as_tuple=True)
    return (rows, positions) if len(rows) else None


class Heads(NamedTuple):
    """Inputs of attention, heads packed into the batch.

    Attributes:
        q: [B H, Q, d], already divided by the root of d.
        k: [B H, L, d].
        v_one: [B H, L, d + 1]: values, and a last column of ones; both 0 where the key is blank, so that one product
            gives the weighted sum and its normaliser over the other keys.
    """

    q: Tensor
    k: Tensor
    v_one: Tensor

    @property
    def n_weights(self) -> int:
        """Attention weights in all."""
        return len(self.q) * self.q.shape[1] * self.k.shape[1]

    def chunks(self, *others: Tensor) -> Iterator[tuple["Heads", tuple[Tensor, ...]]]:
        """Parts of the packed batch, each with about `CHUNK` weights, and the same parts of other tensors."""
        size = max(1, CHUNK // (self.q.shape[1] * self.k.shape[1]))  # heads of a chunk: at least one, however long
        if size >= len(self.q):
            yield self, others
            return
        # `split` returns views, so callers may write their results into the parts of `others`.
        for parts in zip(*(tensor.split(size) for tensor in (*self, *others)), strict=True):
            yield Heads(*parts[:3]), parts[3:]

    def weights(self, *, shifted: bool) -> Tensor:
        """Attention weights before normalisation, [B H, Q, L].

        Args:
            shifted: whether to keep them in range and exact whatever the scores, in twice the time: scores have 32
                bits, and rows beyond `SCORE_LIMIT` are shifted by their maximum. Otherwise see `within_limit`.
        """
        if not shifted:
            # In place: the scores are not needed again, as the derivative of exp is exp.
            return torch.bmm(self.q, self.k.transpose(1, 2)).exp_()
        blank = self.v_one[:, None, :, -1] == 0  # [B H, 1, L]
        # A blank key's score must not be the maximum: the weights of the others would vanish beside it.
        scores = torch.bmm(widened(self.q), widened(self.k).transpose(1, 2)).masked_fill_(blank, -torch.inf)
        return shifted_exp_(scores).to(self.q.dtype)


def within_limit(normaliser: Tensor) -> bool:
    """Whether the sums of unshifted weights show that these are good; false for sums that are not numbers."""
    limit = SHORT_LIMIT if normaliser.dtype == torch.bfloat16 else SCORE_LIMIT
    smallest, largest = normaliser.aminmax()
    return bool((smallest >= math.exp(-limit)) & (largest <= math.exp(limit)))


def shifted_exp_(scores: Tensor) -> Tensor:
    """Takes exp of scores [..., L] in place, those of rows beyond `SCORE_LIMIT` minus the row's maximum.

    Other rows keep their values to the bit, whatever rows lie beside them. Rows of -inf alone become 0.
    """
    largest = scores.amax(-1, keepdim=True)  # [..., 1]
    far = (largest.abs() > SCORE_LIMIT) & (largest > -torch.inf)
    return scores.sub_(torch.where(far, largest, 0.0)).exp_()


class Mixed(NamedTuple):
    """Results of attention.

    Attributes:
        sums: [B H, Q, d + 1]: weighted sums and, in the last column, their normalisers.
        inverse: [B H, Q, 1]: reciprocals of the normalisers; finite also without a valid key, where the sums are 0.
        weights: of each chunk, or none where the backward pass computes them again.
        shifted: of each chunk, whether its scores are shifted.
    """

    sums: Tensor
    inverse: Tensor
    weights: list[Tensor]
    shifted: list[bool]

    @property
    def out(self) -> Tensor:
        """Output of attention, [B H, Q, d]."""
        return self.sums[..., :-1] * self.inverse


def with_ones(v: Tensor, blank: Blank) -> Tensor:
    """Values [B, H, L, d], of any strides, as `Heads.v_one`."""
    batch, heads, length, d = v.shape
    packed = v.new_empty(batch, heads, length, d + 1)
    packed[..., :d] = v
    packed[..., d] = 1.0
    if blank is not None:
        # A blank key adds 0 to the weighted sum and to the normaliser, so scores need no mask.
        packed[blank[0], :, blank[1]] = 0.0
    return packed.view(batch * heads, length, d + 1)


def mix(heads: Heads, *, backward: bool) -> Mixed:
    """Attention; `backward` says whether `mix_backward` will be called."""
    sums = heads.q.new_empty(*heads.q.shape[:2], heads.v_one.shape[2])  # [B H, Q, d + 1]
    keep, kept, shifted = backward and heads.n_weights <= KEPT, [], []
    for part, (sums_part,) in heads.chunks(sums):
        # The normalisers tell afterwards whether the fast way was good: there are L times fewer than scores.
        for shift in (False, True):
            weights = part.weights(shifted=shift)
            torch.bmm(weights, part.v_one, out=sums_part)
            if shift or within_limit(sums_part[..., -1]):
                break
        shifted.append(shift)
        if keep:
            kept.append(weights)
    return Mixed(sums, sums[..., -1:].clamp(min=SMALLEST_SUM).reciprocal_(), kept, shifted)


def mix_backward(
    heads: Heads, kept: list[Tensor], shifted: list[bool], grad_sums: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of q [B H, Q, d], k [B H, L, d] and v [B H, L, d]; that of a blank key's value is meaningless.

    Args:
        heads: the inputs.
        kept: `Mixed.weights`.
        shifted: `Mixed.shifted`.
        grad_sums: [B H, Q, d + 1]: gradient g of `Mixed.out` times `inverse`, and in the last column minus the sum over
            d of g times `Mixed.out`, times `inverse`.
    """
    grad_q, grad_k, grad_v = (torch.empty_like(part) for part in heads)
    # q, k and v are views of the three gradients, filled chunk by chunk.
    for number, (part, (sums, q, k, v)) in enumerate(heads.chunks(grad_sums, grad_q, grad_k, grad_v)):
        weights = kept[number] if kept else part.weights(shifted=shifted[number])
        torch.bmm(weights.transpose(1, 2), sums, out=v)
        # Gradient of the scores: that of the weights times the weights. A shift is a constant of its row: the softmax,
        # and so its gradient, is the same without it.
        scores = torch.bmm(sums, part.v_one.transpose(1, 2)).mul_(weights)
        torch.bmm(scores, part.k, out=q)
        torch.bmm(scores.transpose(1, 2), part.q, out=k)
    return grad_q, grad_k, grad_v[..., :-1]  # the column of ones is a constant: its gradient is dropped


class PackedAttention(torch.autograd.Function):
    """softmax(q k^T / sqrt(d)) v over the keys that are not blank; 0 where all are.

    Shape:
        q [B, H, Q, d], k [B, H, L, d], v [B, H, L, d], blank -> [B, H, Q, d]
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, blank: Blank) -> Tensor:
        d = q.shape[-1]
        heads = Heads((q * d**-0.5).flatten(0, 1), k.flatten(0, 1), with_ones(v, blank))
        mixed = mix(heads, backward=any(ctx.needs_input_grad))
        out = mixed.out
        ctx.save_for_backward(*heads, mixed.inverse, out, *mixed.weights)
        ctx.blank, ctx.shifted = blank, mixed.shifted
        return out.view(*q.shape)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v_one, inverse, out, *weights = ctx.saved_tensors
        grad = grads[0].flatten(0, 1)  # [B H, Q, d]
        # out = sum / norm: the last column is the gradient of the normaliser, the others those of the sums.
        grad_sums = torch.cat([grad, -(grad * out).sum(-1, keepdim=True)], dim=-1).mul_(inverse)
        grad_q, grad_k, grad_v = mix_backward(Heads(q, k, v_one), weights, ctx.shifted, grad_sums)
        shape = grads[0].shape[:2]
        grad_q, grad_k, grad_v = (part.unflatten(0, shape) for part in (grad_q, grad_k, grad_v))
        if ctx.blank is not None:
            grad_v[ctx.blank[0], :, ctx.blank[1]] = 0.0
        # The saved q was already scaled; its input was not.
        return grad_q.mul_(q.shape[-1] ** -0.5), grad_k, grad_v, None
