"""What bins are for: an amount that is mostly zero and whose bands decide the label can be read from the embedding."""

import numpy as np
import polars as pl
import torch

from varjepa.config import DataSection, PreprocessSection, parse_config
from varjepa.data.encode.tensors import to_tensors
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.evaluation.probe import fit_probe, probe_loss
from varjepa.models.embedding import embed
from varjepa.models.new_network import new_network

ROWS, DRAWS = 1500, 6

CONFIG = parse_config({"data": {"name": "t"}, "model": {"d_hidden": 16, "n_layers": 1}})


def loss(seed: int, n_bins: int) -> float:
    """Log loss of a linear probe of an untrained network on new rows."""
    rng = np.random.default_rng(seed)
    amount = np.where(rng.random(2 * ROWS) < 0.8, 0.0, rng.lognormal(8, 1, 2 * ROWS).round())
    likely = (amount > 2000) & (amount < 4000) | (amount > 8000)  # neither rising nor falling
    label = torch.from_numpy(rng.random(2 * ROWS) < np.where(likely, 0.9, 0.1)).long()
    table = pl.DataFrame({"amount": amount, "other": rng.normal(size=2 * ROWS)})
    preprocessor = fit(table.head(ROWS).lazy(), DataSection(name="t"), PreprocessSection(n_bins=n_bins))
    tensors = to_tensors(preprocessor.encode(table.lazy()).collect(), preprocessor)
    config = CONFIG.model_copy(update={"training": CONFIG.training.model_copy(update={"seed": seed})})
    points = embed(new_network(preprocessor.sizes, config), tensors).mean.flatten(1)
    probe = fit_probe(points[:ROWS], label[:ROWS], n_classes=2, l2=1e-3)
    return probe_loss(probe, points[ROWS:], label[ROWS:], n_classes=2)


def test_bands_of_an_amount_that_is_mostly_zero_are_readable() -> None:
    """A gain in all six draws would be chance in 1.6% of runs of an encoding without gain."""
    gains = [loss(seed, 0) - loss(seed, 16) for seed in range(DRAWS)]
    assert min(gains) > 0, gains
