"""Rank and active units of latents."""

import numpy as np
import pytest
import torch

from varjepa.evaluation.latents.latents import active_units, rankme


def test_latent_diagnostics_know_dead_from_alive() -> None:
    alive = torch.randn(2000, 8, generator=torch.Generator().manual_seed(0))
    assert rankme(alive) == pytest.approx(8, abs=0.1)
    assert rankme(alive[:, :1].expand(-1, 8)) == pytest.approx(1, abs=1e-6)
    assert active_units(torch.cat([alive, torch.zeros(2000, 3) + 5], dim=1)) == 8


@pytest.mark.parametrize("shape", [(256, 2560), (2560, 256)])
def test_rankme_of_oblong_embeddings_is_that_of_their_singular_values(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    plain = torch.randn(*shape, generator=generator, dtype=torch.float64)
    low = torch.randn(shape[0], 9, generator=generator) @ torch.randn(9, shape[1], generator=generator)
    for embedding in (plain, low.double() + 1e-4 * plain, torch.zeros(*shape)):
        shares = np.linalg.svd(embedding.numpy().astype(np.float64), compute_uv=False)
        shares = shares[shares > 0] / max(shares.sum(), 1e-300)
        assert rankme(embedding) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-6)
