"""Principal components against a full decomposition."""

import pytest
import torch

from varjepa.evaluation.latents import components
from varjepa.evaluation.latents.components import principal_components


def rows(count: int, width: int) -> torch.Tensor:
    """Rows whose dimensions differ in their spread."""
    drawn = torch.randn(count, width, generator=torch.Generator().manual_seed(0))
    return drawn * 2.0 ** -torch.arange(width) + 5


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(("count", "width"), [(300, 12), (20, 60)])
def test_equal_a_full_decomposition_up_to_sign(
    count: int, width: int, monkeypatch: pytest.MonkeyPatch, *, exact: bool
) -> None:
    if not exact:
        monkeypatch.setattr(components, "MOST_EXACT", 1)  # as for many rows of many dimensions
    x = rows(count, width)
    found = principal_components(x, 4, seed=0)
    _, values, basis = torch.linalg.svd(x - x.mean(0), full_matrices=False)
    torch.testing.assert_close((found.basis * basis.T[:, :4]).sum(0).abs(), torch.ones(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.deviations, values[:4] / count**0.5, rtol=1e-4, atol=0)
    points = found.project(x, 4)
    torch.testing.assert_close(points.std(0, correction=0), found.deviations, rtol=1e-4, atol=0)
    torch.testing.assert_close(found.project(x, 2), points[:, :2])


def test_directions_are_orthonormal_also_where_rows_do_not_vary() -> None:
    basis = principal_components(rows(10, 40), 10, seed=0).basis  # ten rows about their mean span nine directions
    torch.testing.assert_close(basis.T @ basis, torch.eye(10), atol=1e-5, rtol=0)


def test_equal_seeds_give_equal_directions_and_leave_torchs_generator_alone() -> None:
    x = rows(100, 30)
    before = torch.get_rng_state()
    first, second = (principal_components(x, 3, seed=1) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("count", "width"), [(50, 1), (1, 5)])
def test_missing_directions_are_zero(count: int, width: int) -> None:
    found = principal_components(rows(count, width), 4, seed=0)
    points = found.project(rows(count, width), 2)
    assert (found.basis.shape[1], points.shape) == (1, (count, 2))
    assert (points[:, 1] == 0).all()


def test_whitening_does_not_stretch_rounding_errors() -> None:
    """A latent that hardly varies was made as large as any, and with it the rounding errors of other batch sizes."""
    x = torch.randn(500, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([3.0, 1.0, 0.1, 1e-6])
    found = principal_components(x, 4, seed=0)
    deviations = ((x - found.center) @ found.whitening).std(0)
    torch.testing.assert_close(deviations[:3], torch.ones(3), rtol=0.01, atol=0)
    rounded = (x + 1e-6 - found.center) @ found.whitening
    assert float((rounded - (x - found.center) @ found.whitening).abs().max()) < 1e-3
