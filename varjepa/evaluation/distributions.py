"""Distributions of test statistics. Scipy's module of them takes a second to import, and scoring does without it."""

from typing import Any

from scipy.special import ndtri


def normal_quantile(share: float) -> float:
    """The number below which a standard normal variable lies with this probability, in (0, 1)."""
    return float(ndtri(share))


def student_above(statistic: float, freedom: float) -> float:
    """Probability that Student's variable of so many degrees of freedom exceeds a number."""
    from scipy.stats import t as student

    return float(student.sf(statistic, freedom))


def student_quantile(share: float, freedom: float) -> float:
    """The number below which Student's variable lies with this probability, in (0, 1)."""
    from scipy.stats import t as student

    return float(student.ppf(share, freedom))


def student_exceeded(share: float, freedom: float) -> float:
    """The number that Student's variable exceeds with this probability, in (0, 1)."""
    from scipy.stats import t as student

    return float(student.isf(share, freedom))


def binomial_up_to(count: float, trials: float, share: float) -> float:
    """Probability of at most `count` successes in so many trials."""
    from scipy.stats import binom

    return float(binom.cdf(count, trials, share))


def binomial_above(count: float, trials: float, share: float) -> float:
    """Probability of more than `count` successes in so many trials."""
    from scipy.stats import binom

    return float(binom.sf(count, trials, share))


def binomial_chances(trials: int, share: float) -> Any:
    """Probabilities of 0, 1, ... `trials` successes, float64 [trials + 1]."""
    import numpy as np
    from scipy.stats import binom

    return binom.pmf(np.arange(trials + 1), trials, share)
