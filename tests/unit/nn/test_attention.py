import pytest
import torch
import torch.nn.functional as F

from varjepa.nn.attention import Attention, AttentionPooling, attend
from varjepa.nn.packed import PackedAttention, blank_tokens


def heads(batch: int, queries: int, length: int, seed: int = 0, scale: float = 1.0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((batch, 3, queries, 4), (batch, 3, length, 4), (batch, 3, length, 4))
    return [(torch.randn(s, generator=generator, dtype=torch.float64) * scale).requires_grad_() for s in shapes]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("length", [1, 5, 33])
def test_packed_attention_equals_torch(length: int, masked: bool) -> None:
    q, k, v = heads(4, 6, length)
    valid = torch.rand(4, length, generator=torch.Generator().manual_seed(1)) < 0.6
    valid[:, 0] = True
    bias = (
        torch.zeros(4, 1, 1, length, dtype=q.dtype).masked_fill(~valid[:, None, None], -torch.inf) if masked else None
    )
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    ours = PackedAttention.apply(q, k, v, blank_tokens(valid) if masked else None)
    torch.testing.assert_close(ours, expected)
    gradient = torch.randn_like(expected)
    mine, theirs = (torch.autograd.grad(output, (q, k, v), gradient) for output in (ours, expected))
    for ours, expected in zip(mine, theirs, strict=True):
        torch.testing.assert_close(ours, expected)


def test_large_scores_stay_finite() -> None:
    q, k, v = heads(2, 3, 4, scale=100.0)
    out = PackedAttention.apply(q, k, v, None)
    assert torch.isfinite(out).all()
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(out.sum(), (q, k, v)))


@pytest.mark.parametrize("length", [4, 100], ids=["short", "fused"])
def test_a_row_without_valid_keys_gives_zero(length: int) -> None:
    q, k, v = (part.detach().float() for part in heads(2, 3, length))
    valid = torch.ones(2, length, dtype=torch.bool)
    valid[0] = False
    out = attend(q, k, v, valid)
    assert torch.equal(out[0], torch.zeros_like(out[0]))
    assert out[1].abs().sum() > 0


def test_invalid_tokens_have_no_influence() -> None:
    torch.manual_seed(0)
    x, valid = torch.randn(2, 6, 8), torch.tensor([[1, 1, 1, 0, 0, 1], [1, 0, 1, 1, 1, 1]], dtype=torch.bool)
    other = torch.where(valid[..., None], x, 1e3 * torch.randn_like(x))
    attention, pooling = Attention(d_model=8, n_heads=2), AttentionPooling(d_model=8, n_pool=3, n_heads=2)
    torch.testing.assert_close(attention(x, valid)[valid], attention(other, valid)[valid])
    torch.testing.assert_close(pooling(x, valid), pooling(other, valid))


def test_pooling_ignores_order() -> None:
    torch.manual_seed(0)
    pooling, x = AttentionPooling(d_model=8, n_pool=2, n_heads=2), torch.randn(3, 7, 8)
    torch.testing.assert_close(pooling(x), pooling(x[:, torch.randperm(7)]))
