"""Rank and active units of latents."""

import pytest
import torch

from varjepa.evaluation.latents.latents import active_units, rankme


def test_latent_diagnostics_know_dead_from_alive() -> None:
    alive = torch.randn(2000, 8, generator=torch.Generator().manual_seed(0))
    assert rankme(alive) == pytest.approx(8, abs=0.1)
    assert rankme(alive[:, :1].expand(-1, 8)) == pytest.approx(1, abs=1e-6)
    assert active_units(torch.cat([alive, torch.zeros(2000, 3) + 5], dim=1)) == 8
