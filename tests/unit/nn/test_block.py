"""The fused block: what the plain one computes, forward and backward."""

import pytest
import torch

from varjepa.nn import packed
from varjepa.nn.block import Dropped
from varjepa.nn.random import Randomness
from varjepa.nn.transformer import TransformerEncoder


def encoder(dropout: float = 0.0, dtype: torch.dtype = torch.float64, n_layers: int = 3) -> TransformerEncoder:
    torch.manual_seed(0)
    made = TransformerEncoder(d_model=12, n_layers=n_layers, n_heads=3, d_feedforward=20, dropout=dropout).to(dtype)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return made


def plain(of: TransformerEncoder, x: torch.Tensor, valid: torch.Tensor | None, random: Randomness | None):
    for block, dropped in zip(of.blocks, of.dropped(x, random), strict=True):
        x = block(x, valid, dropped)
    return of.norm(x)


def rows(length: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(5, length, 12, generator=generator, dtype=torch.float64)
    valid = torch.rand(5, length, generator=generator) < 0.7
    valid[0] = False
    return x.requires_grad_(), valid


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("chunk", [1, 2**21], ids=["chunks", "whole"])
@pytest.mark.parametrize("kept", [0, 2**24], ids=["recomputed", "kept"])
def test_fused_equals_plain(
    masked: bool, dropout: float, chunk: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "CHUNK", chunk)
    monkeypatch.setattr(packed, "KEPT", kept)
    of = encoder(dropout)
    x, valid = rows(7)
    mask = valid if masked else None
    expected = plain(of, x, mask, Randomness.seeded(4))
    ours = of(x, mask, Randomness.seeded(4))
    torch.testing.assert_close(ours, expected)
    wanted = (x, *of.parameters())
    gradient = torch.randn_like(expected)
    mine, theirs = (torch.autograd.grad(output, wanted, gradient) for output in (ours, expected))
    for ours, expected in zip(mine, theirs, strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("masked", [False, True])
def test_fused_equals_plain_where_scores_are_far(masked: bool) -> None:
    of = encoder()
    with torch.no_grad():
        for block in of.blocks:
            block.attention.qkv.weight[:24] *= 20.0  # queries and keys: scores of several hundred
    x, valid = rows(7)
    # One tensor per formulation, so that both start from the same numbers and no row of invalid tokens is compared.
    expected, ours = plain(of, x, valid if masked else None, None), of(x, valid if masked else None)
    torch.testing.assert_close(ours, expected)
    wanted = (x, *of.parameters())
    mine, theirs = (torch.autograd.grad(output.square().sum(), wanted) for output in (ours, expected))
    for found, right in zip(mine, theirs, strict=True):
        torch.testing.assert_close(found, right)


@pytest.mark.parametrize("bits", [32, 16])
def test_some_positions_are_those_of_the_whole(bits: int) -> None:
    torch.manual_seed(0)
    of = TransformerEncoder(d_model=12, n_layers=3, n_heads=3, d_feedforward=20, dropout=0.0)
    x, positions = torch.randn(5, 7, 12), torch.tensor([1, 6, 3])
    with torch.autocast("cpu", torch.bfloat16, enabled=bits == 16):
        found, whole = of.at(x, positions), of(x)
    torch.testing.assert_close(found, whole[:, positions], **({"atol": 0.02, "rtol": 0.02} if bits == 16 else {}))


def test_sixteen_bits_stay_close_and_keep_the_type_of_the_parameters() -> None:
    of = encoder(dtype=torch.float32, n_layers=1)
    x, valid = rows(9)
    x = x.detach().float().requires_grad_()
    found = {}
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            out = of(x, valid)
        found[enabled] = [out, *torch.autograd.grad(out.square().sum(), (x, *of.parameters()))]
    for exact, rounded in zip(found[False], found[True], strict=True):
        assert rounded.dtype == torch.float32
        # bfloat16 keeps 8 bits: 0.4% a rounding, some of which add up.
        assert (rounded - exact).norm() < 0.03 * exact.norm()


def test_without_a_gradient_or_training_the_same_is_said() -> None:
    of = encoder(0.1).eval()
    x, valid = rows(4)
    with torch.inference_mode():
        found = of(x, valid, Randomness.seeded(0))
    torch.testing.assert_close(found, plain(of, x, valid, None))
    assert of.dropped(x, Randomness.seeded(0)) == [Dropped()] * 3
    assert of(x, valid).requires_grad  # what inference left behind does not stand in the way of training


def test_an_encoder_without_blocks_only_normalises() -> None:
    of = TransformerEncoder(d_model=12, n_layers=0, n_heads=3, d_feedforward=20, dropout=0.1).double()
    x, valid = rows(6)
    torch.testing.assert_close(of(x, valid, Randomness.seeded(2)), of.norm(x))
