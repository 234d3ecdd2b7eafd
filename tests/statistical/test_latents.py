"""Residuals of a calibrated predictor are standard normal."""

import torch

from tests.small_networks import random_table, small_network
from varjepa.config import MaskingSection
from varjepa.evaluation.latents.latents import predictor_residuals
from varjepa.evaluation.latents.pit import ks_per_column
from varjepa.evaluation.uncertainty.calibration import pit_values
from varjepa.nn.random import Randomness


def test_predictor_residuals_are_standard_where_posterior_is_prior() -> None:
    network, table = small_network(), random_table(512, missing=0.0)

    class Echo(torch.nn.Module):
        """A predictor that knows the posterior: what it predicts is calibrated by construction."""

        def forward(self, s_x, z, masks, random=None):
            from varjepa.nn.gaussian import DiagonalGaussian

            index = masks.targets[:, 0, :, None].expand(-1, -1, 16)
            return DiagonalGaussian(*(part.gather(1, index)[:, None] for part in self.posterior))

    echo = Echo()
    original = network.infer

    def infer(*arguments):
        posterior = original(*arguments)
        echo.posterior = posterior.s_w
        return posterior

    network.infer, network.predictor = infer, echo
    residuals = predictor_residuals(network, table, MaskingSection(), Randomness.seeded(0), batch_size=128)
    assert residuals.shape == (512, table.observed.shape[1] * 16)
    values = pit_values(residuals[residuals.isfinite()].numpy().astype(float))
    # One-sample KS critical value at a false-alarm rate of 1e-6 is about 2.7 / sqrt(n).
    assert ks_per_column(values[:, None])[0] < 2.7 / len(values) ** 0.5
    # Of 96 columns, each with n values of different rows: 1e-6 each.
    count = residuals.isfinite().sum(0).numpy()
    assert (ks_per_column(pit_values(residuals.numpy().astype(float))) < 2.7 / count**0.5).all()
