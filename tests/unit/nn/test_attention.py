import pytest
import torch
import torch.nn.functional as F
import torch.utils.flop_counter

from varjepa.nn import packed
from varjepa.nn.attention import Attention, AttentionPooling, InducedAttention, attend, attend_by_torch
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


FAR = [
    (180.0, 192.0, 204.0), (-204.0, -192.0, -180.0), (-90.0, 59.0, 61.0), (30.0, 31.0, 300.0), (4096.0, 4096.0, 4104.0),
]  # fmt: skip
"""Scores of the keys of a row beyond what exp can hold, or far below what it can tell from 0."""


def far_heads(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """q [rows, 1, 1, 4], k and v [rows, 1, 3, 4] with the scores of `FAR`."""
    q = torch.zeros(len(FAR), 1, 1, 4)
    q[..., 0] = 128.0  # times 4^-0.5 is 64
    k = 0.1 * torch.randn(len(FAR), 1, 3, 4, generator=torch.Generator().manual_seed(0))
    k[..., 0] = torch.tensor(FAR)[:, None] / 64
    v = torch.randn(len(FAR), 1, 3, 4, generator=torch.Generator().manual_seed(1))
    return tuple(part.to(dtype).requires_grad_() for part in (q, k, v))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kept", [0, packed.KEPT], ids=["recomputed", "kept"])
def test_far_scores_give_the_same_by_both_formulations(
    dtype: torch.dtype, masked: bool, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "KEPT", kept)
    q, k, v = far_heads(dtype)
    valid = torch.ones(len(FAR), 3, dtype=torch.bool)
    valid[:, 2] = not masked  # the largest score must not count where its key is blank
    # The exact softmax of the same rounded numbers; a bfloat16 keeps 8 bits of what comes out.
    exact = tuple(part.detach().double().requires_grad_() for part in (q, k, v))
    scores = (exact[0] * 0.5 @ exact[1].mT).masked_fill(~valid[:, None, None], -torch.inf)
    expected = scores.softmax(-1) @ exact[2]
    gradient = torch.randn(expected.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    tolerance = {torch.float64: 1e-8, torch.float32: 1e-3, torch.bfloat16: 0.03}[dtype]
    close = {"rtol": tolerance, "atol": tolerance}
    for call in (attend, attend_by_torch):
        out = call(q, k, v, valid if masked else None)
        torch.testing.assert_close(out.double(), expected, **close)
        mine = torch.autograd.grad(out, (q, k, v), gradient.to(dtype))
        theirs = torch.autograd.grad(expected, exact, gradient, retain_graph=True)
        # Gradients of the scores add up to 0 in a row: what rounding leaves of them is multiplied by k or by q.
        sizes = (k.detach().abs().amax((1, 2, 3), keepdim=True), q.detach().abs().max(), torch.ones(()))
        for found, wanted, size in zip(mine, theirs, sizes, strict=True):
            torch.testing.assert_close(found.double() / size.double(), wanted / size.double(), **close)


def test_a_far_row_leaves_the_others_as_they_are_to_the_bit() -> None:
    q, k, v = (part.detach().float() for part in heads(4, 6, 9))
    alone = attend(q[:2], k[:2], v[:2])
    assert torch.equal(attend(torch.cat([q[:2], 1e3 * q[2:]]), k, v)[:2], alone)


def test_the_weights_of_180_192_and_204_are_those_of_a_softmax() -> None:
    q, k = torch.tensor([[[[1.0]]]]), torch.tensor([180.0, 192.0, 204.0]).view(1, 1, 3, 1)
    for dtype in (torch.float32, torch.bfloat16):
        for column in range(3):  # values that read one weight
            v = torch.eye(3)[:, column].view(1, 1, 3, 1)
            found = attend(*(part.to(dtype) for part in (q, k, v)))
            weight = float(torch.tensor([180.0, 192.0, 204.0]).softmax(0)[column])
            assert float(found) == pytest.approx(weight, rel=0.01)


def test_large_scores_stay_finite() -> None:
    q, k, v = heads(2, 3, 4, scale=100.0)
    out = PackedAttention.apply(q, k, v, None)
    torch.testing.assert_close(out, attend_by_torch(q, k, v))
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
    induced = InducedAttention(d_model=8, n_heads=2, n_points=3)
    for of in (attention, induced):
        torch.testing.assert_close(of(x, valid)[valid], of(other, valid)[valid])
    torch.testing.assert_close(pooling(x, valid), pooling(other, valid))


def test_pooling_ignores_order() -> None:
    torch.manual_seed(0)
    pooling, x = AttentionPooling(d_model=8, n_pool=2, n_heads=2), torch.randn(3, 7, 8)
    torch.testing.assert_close(pooling(x), pooling(x[:, torch.randperm(7)]))


def test_by_way_of_points_tokens_attend_to_each_other_in_no_order() -> None:
    torch.manual_seed(0)
    attention, x, order = InducedAttention(d_model=8, n_heads=2, n_points=3), torch.randn(3, 7, 8), torch.randperm(7)
    torch.testing.assert_close(attention(x, None)[:, order], attention(x[:, order], None))
    other = x.clone()
    other[:, 0] += 1.0
    assert ((attention(other, None) - attention(x, None))[:, 1:].abs() > 1e-6).any(-1).all()


def test_points_are_two_steps_of_softmax() -> None:
    torch.manual_seed(0)
    attention, x = InducedAttention(d_model=6, n_heads=1, n_points=2), torch.randn(1, 5, 6)
    k, v = attention.points.key_value(x[0]).chunk(2, dim=-1)
    weights = torch.softmax(attention.points.queries @ k.T / 6**0.5, dim=-1)  # [P, L]
    points = attention.norm(attention.points.out(weights @ v))
    k, v = attention.key_value(points).chunk(2, dim=-1)
    weights = torch.softmax(attention.query(x[0]) @ k.T / 6**0.5, dim=-1)  # [L, P]
    torch.testing.assert_close(attention(x, None)[0], attention.out(weights @ v))


def test_the_work_of_points_is_proportional_to_the_tokens() -> None:
    def products(length: int) -> int:
        with torch.utils.flop_counter.FlopCounterMode(display=False) as counter:
            attention(torch.randn(1, length, 8), None)
        return counter.get_total_flops()

    attention = InducedAttention(d_model=8, n_heads=2, n_points=4)
    assert products(2000) - products(1000) == products(3000) - products(2000)
