"""Simulated pairs."""

import torch

from varjepa.evaluation.probe import fit_probe
from varjepa.study.pairs import simulate_pairs


def test_a_seed_is_a_world() -> None:
    pairs, again, other = (simulate_pairs(rows=4000, seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(pairs, again, strict=True))
    assert not torch.equal(pairs.x, other.x)
    assert pairs.x.shape == pairs.y.shape == (4000, 32)
    # 6 standard errors of a fair coin.
    assert abs(pairs.label.float().mean() - 0.5) < 6 * 0.5 / 4000**0.5
    train, test = pairs.split(3000)
    assert (len(train.x), len(test.label)) == (3000, 1000)
    for name, expected in (("x", 0.98), ("y", 0.93)):
        probe = fit_probe(getattr(train, name), train.label, n_classes=2, l2=1e-3)
        assert float((probe.predict(getattr(test, name)).argmax(1) == test.label).float().mean()) > expected
