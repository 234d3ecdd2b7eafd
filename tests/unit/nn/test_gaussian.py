import pytest
import torch
from torch.distributions import Normal, kl_divergence

from varjepa.nn.gaussian import LOGVAR_RANGE, LOGVAR_TAIL, DiagonalGaussian, GaussianHead, bounded_logvar
from varjepa.nn.random import Randomness, StackedRandomness
from varjepa.nn.stacked import StackedDecoder, StackedGaussian


def gaussian(seed: int) -> tuple[DiagonalGaussian, Normal]:
    generator = torch.Generator().manual_seed(seed)
    mean, logvar = (torch.randn(5, 7, generator=generator, dtype=torch.float64) * s for s in (2.0, 3.0))
    return DiagonalGaussian(mean, logvar), Normal(mean, (0.5 * logvar).exp())


@pytest.mark.parametrize("seed", range(5))
def test_against_torch_distributions(seed: int) -> None:
    (ours, theirs), (other, other_theirs) = gaussian(seed), gaussian(seed + 100)
    torch.testing.assert_close(ours.kl(other), kl_divergence(theirs, other_theirs))
    standard = Normal(torch.zeros_like(ours.mean), torch.ones_like(ours.mean))
    torch.testing.assert_close(ours.kl_standard(), kl_divergence(theirs, standard))
    torch.testing.assert_close(ours.log_prob(other.mean), theirs.log_prob(other.mean))
    torch.testing.assert_close(ours.scale, theirs.scale)


def test_sampling_is_reparameterised_and_seeded() -> None:
    mean, logvar = torch.zeros(100_000, requires_grad=True), torch.full((100_000,), 1.0, requires_grad=True)
    sample = DiagonalGaussian(mean, logvar).sample(Randomness.seeded(1))
    sample.sum().backward()
    torch.testing.assert_close(mean.grad, torch.ones_like(mean))
    torch.testing.assert_close(logvar.grad, (0.5 * sample).detach())
    # 6 standard errors of a standard deviation from 100,000 draws: false alarms below 1e-8.
    assert abs(float(sample.detach().std() / 2.718281828**0.5) - 1) < 6 / (2 * 100_000) ** 0.5
    again = DiagonalGaussian(mean, logvar).sample(Randomness.seeded(1))
    assert torch.equal(sample, again)


def test_head_stays_finite_on_extreme_inputs() -> None:
    head = GaussianHead(d_in=3, d_out=2)
    out = head(torch.full((4, 3), 1e20))
    assert torch.isfinite(out.kl_standard()).logical_or(out.mean.abs() > 1e18).all()
    assert torch.isfinite(out.scale).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_log_variance_keeps_its_value_inside_and_a_gradient_everywhere(dtype: torch.dtype) -> None:
    low, high = LOGVAR_RANGE
    inside = torch.linspace(low, high, 1001, dtype=dtype)
    far = torch.cat([high + torch.logspace(-6, 15, 400, dtype=dtype), low - torch.logspace(-6, 15, 400, dtype=dtype)])
    raw = torch.cat([inside, far]).requires_grad_()
    out = bounded_logvar(raw)
    assert torch.equal(out[:1001], inside)
    assert torch.equal(bounded_logvar(inside), inside)  # also where no value lies beyond
    assert out.min() >= low - LOGVAR_TAIL
    assert out.max() <= high + LOGVAR_TAIL
    order = raw.detach().argsort()
    assert (out.detach()[order].diff() >= 0).all()
    (slope,) = torch.autograd.grad(out.sum(), raw)
    beyond = (raw.detach() - raw.detach().clamp(low, high)).abs()
    torch.testing.assert_close(slope, (1 + beyond / LOGVAR_TAIL) ** -2)
    assert (slope > 0).all()


def test_a_log_variance_far_below_comes_back_by_its_gradient() -> None:
    raw = torch.full((4,), -40.0, requires_grad=True)
    optimizer = torch.optim.Adam([raw], lr=0.5)
    for _ in range(120):
        optimizer.zero_grad()
        DiagonalGaussian(torch.zeros(4), bounded_logvar(raw)).kl_standard().sum().backward()
        optimizer.step()
    assert (raw > LOGVAR_RANGE[0]).all()


def test_heads_of_one_run_and_of_a_stack_bound_alike_and_learn_beyond_the_range() -> None:
    x, head = torch.randn(1, 6, 3), GaussianHead(d_in=3, d_out=2, init_logvar=-20.0)
    stacked = StackedGaussian(d_in=3, d_hidden=4, n_layers=0, d_out=2, random=StackedRandomness.seeded([0]))
    layer = stacked.mlp.layers[0]
    with torch.no_grad():
        layer.weight.copy_(head.linear.weight.t())
        layer.bias.copy_(head.linear.bias)
    plain, run = head(x), stacked(x)
    torch.testing.assert_close(plain.logvar, run.logvar)
    run.logvar.sum().backward()
    assert (layer.bias.grad[..., 2:] != 0).all()
    decoder = StackedDecoder(d_in=3, d_hidden=4, n_layers=0, d_out=2, random=StackedRandomness.seeded([0]))
    with torch.no_grad():
        decoder.logvar.fill_(-20.0)
    decoder(x).logvar.sum().backward()
    assert (decoder.logvar.grad != 0).all()
