"""The gate's stated error rates and power."""

import numpy as np
import pytest

from tests.unit.evaluation.gate.simulated_pairs import groups, pair, ruled
from varjepa.evaluation.gate.paired_tests import p_worse


def test_equal_challengers_are_rarely_called_better_and_mostly_promoted() -> None:
    """200 pairs of models that are equal in expectation, drawn with new test rows each."""
    rng = np.random.default_rng(0)
    verdicts = [ruled(*pair(rng), groups=groups(rng)) for _ in range(200)]
    better = sum(verdict.outcome == "better" for verdict in verdicts)
    # An interval of 95% errs on this side in 2.5% of the pairs; more than 10% would be 7 standard errors off.
    assert better <= 20
    assert better <= 5 + 3 * 5**0.5
    # All tests of a veto share an error rate of 2.5%, and a limit has to be passed on top.
    assert sum(bool(verdict.vetoes) for verdict in verdicts) <= 10
    # The difference has a standard error of 0.007: 1.96 of them must fit between it and the margin of 0.02.
    assert sum(verdict.promote for verdict in verdicts) >= 0.7 * 200


def test_challengers_that_are_worse_are_refused() -> None:
    """By 0.03, one and a half margins: the interval's lower end must then stay below minus the margin."""
    rng = np.random.default_rng(1)
    verdicts = [ruled(*pair(rng, gain=-0.03)) for _ in range(200)]
    # At the margin 2.5% would pass; here the true difference lies 0.01, about 1.5 standard errors, beyond it.
    assert sum(verdict.promote for verdict in verdicts) <= 4
    large = [ruled(*pair(rng, gain=0.03, rows=8000)) for _ in range(20)]
    assert all(verdict.outcome == "better" for verdict in large)


def test_p_values_are_exact_for_pairs_and_uniform_for_numbers() -> None:
    rng = np.random.default_rng(9)
    assert p_worse(np.array([-1.0] * 5 + [1.0] + [0.0] * 100)) == pytest.approx(7 / 64)
    assert p_worse(np.zeros(10)) == 1.0
    values = np.array([p_worse(rng.normal(size=40)) for _ in range(1000)])
    # 4 standard errors of 1,000 draws at 0.05 are 0.028.
    assert abs((values < 0.05).mean() - 0.05) < 0.028
