"""What figures of a retrain mean, in a word."""

from typing import NamedTuple

from varjepa.amounts import figure


class Figure(NamedTuple):
    """A figure on the terminal.

    Attributes:
        words: its name, with its unit and an arrow to where it is better.
        digits: its format.
        limits: (limit, verdict) by rising value; the last one holds beyond all limits. Empty: no verdict.
    """

    words: str
    digits: str = ".4f"
    limits: tuple[tuple[float, str], ...] = ()


BEYOND = float("inf")

FIGURES = {
    "calibration/ece": Figure(
        "error of probabilities, ECE ↓", ".4f", ((0.02, "good"), (0.05, "fair"), (0.1, "poor"), (BEYOND, "bad"))
    ),
    "calibration/latent_pit_ks_median": Figure(
        "latents against their prior, KS ↓", ".4f", ((0.05, "good"), (0.15, "fair"), (0.3, "poor"), (BEYOND, "bad"))
    ),
    "imputation/rmse_to_mean": Figure(
        "error of gaps, share of the mean's ↓", ".4f",
        ((0.5, "good"), (0.8, "fair"), (0.97, "poor"), (1.03, "no better than the mean"),
         (BEYOND, "worse than the mean")),
    ),
    "samples/auc": Figure(
        "drawn rows told from real, AUC ↓", ".4f",
        ((0.6, "good, 0.5 is ideal"), (0.75, "fair, 0.5 is ideal"), (0.9, "poor, easily told"),
         (BEYOND, "bad, always told")),
    ),
    "anomaly/auroc": Figure(
        "damaged rows found, AUC ↑", ".4f",
        ((0.6, "bad, 0.5 is chance"), (0.75, "poor"), (0.9, "fair"), (BEYOND, "good")),
    ),
    "elbo/val": Figure("ELBO of validation rows, nats ↑"),
    "prediction/val": Figure("squared error of latents ↓"),
    "latent/active_units": Figure("active dimensions of the embedding ↑", ",.0f", ((1, "collapsed"), (BEYOND, ""))),
    "latent/rankme": Figure("effective rank of the embedding ↑", ".1f", ((1.5, "collapsed"), (BEYOND, ""))),
}  # fmt: skip
"""Metric -> how it is shown."""


OPEN = "open: less than promised, which may be chance"
"""What the verdict on a promise means."""


def held(promised: float, measured: float, rows: float) -> str:
    """Whether a promised share was held on some rows, in a word.

    Rows for calibration are taken to be half as many, so that the share itself varies: with probability 97.5% a promise
    that holds on average is not called broken.

    Examples:
        >>> held(0.9, 0.91, 500), held(0.9, 0.88, 500), held(0.9, 0.82, 574)
        ('held', 'open', 'broken')
    """
    if measured >= promised:
        return "held"
    deviation = (promised * (1 - promised) * 3 / max(rows, 1.0)) ** 0.5
    return "open" if measured >= promised - 1.96 * deviation else "broken"


def verdict(name: str, value: float) -> str:
    """A word on a figure.

    Examples:
        >>> verdict("samples/auc", 0.99), verdict("anomaly/auroc", 0.95), verdict("elbo/val", -0.6)
        ('bad, always told', 'good', '')
    """
    return next((words for limit, words in FIGURES[name].limits if value <= limit), "")


MEASURES = {"accuracy": "accuracy", "r2": "R2"}
"""Metrics that compare, as people write them; more is better."""


def losing_sentence(metrics: dict[str, float]) -> str:
    """A sentence where the embedding adds nothing to the raw columns; else empty.

    Whether what ships is behind them, and whether that may be chance, says the reason of the gate.

    Examples:
        >>> losing_sentence({"head/accuracy": 0.85, "probe/accuracy": 0.78, "boosted/accuracy": 0.85})
        'The embedding loses here: boosted trees on raw columns have accuracy 0.8500, a linear model on it 0.7800; ...'
        >>> losing_sentence({"head/accuracy": 0.90, "probe/accuracy": 0.88, "raw/accuracy": 0.85})
        ''
    """
    for name, measure in MEASURES.items():
        ships, embedding = metrics.get(f"head/{name}"), metrics.get(f"probe/{name}")
        raw = {words: metrics[key] for group, words in BASELINES.items() if (key := f"{group}/{name}") in metrics}
        if not raw:
            continue
        words, best = max(raw.items(), key=lambda item: item[1])
        if embedding is not None and best > embedding:
            what = "" if ships is None else f"; what ships {figure(ships)}"
            return (
                f"The embedding loses here: {words} on raw columns have {measure} {figure(best)}, a linear model on it "
                f"{figure(embedding)}{what}."
            )
    return ""


BASELINES = {"raw": "linear models", "boosted": "boosted trees"}
"""Group of metrics -> the baseline."""
