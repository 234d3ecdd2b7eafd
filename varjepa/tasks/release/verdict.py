"""Whether a model is any good, in words: its figures beside those of common models on the same test rows."""

from collections.abc import Mapping

from varjepa.amounts import figure
from varjepa.evaluation.bootstrap import Interval

SHARES = {"accuracy": "accuracy", "r2": "R2"}
"""Figures that models are compared by, the larger the better, and how to write them."""

RIVALS = {"boosted": "boosted trees on raw columns", "raw": "a linear model on raw columns"}
"""Common models that are fitted to the same rows, by their group of metrics."""


def main_figure(metrics: Mapping[str, float]) -> str | None:
    """Name of the figure by which a model of this label is judged; None without a label.

    Examples:
        >>> main_figure({"head/r2": 0.5, "head/rmse": 1.0})
        'r2'
    """
    return next((name for name in SHARES if f"head/{name}" in metrics), None)


GUESSES = {
    "accuracy": ("guess/accuracy", "always naming the most frequent class"),
    "r2": (None, "always naming the mean of the label"),
}
"""Figure of models -> the same figure of a guess that looks at no column, and the guess. The R2 of a mean is 0."""

BEYOND, CHANCE = "beyond chance", "may be chance"
"""Words of the paired test of what ships against the best common model (`varjepa.inference.probing.against_raw`)."""


SHIPPED = {"boosted on raw": "boosted", "linear on raw": "raw"}
"""Heads that are one of the common models, and its group of metrics."""


def verdicts(
    metrics: Mapping[str, float], intervals: Mapping[str, Interval], tested: str = "", head: str = ""
) -> list[str]:
    """Sentences that say how good the predictions and the embedding are, the most important one first.

    Args:
        metrics: of a run.
        intervals: of some of them, by their names.
        tested: what the paired test of what ships against the best common model said; it outranks intervals.
        head: name of what ships, such as "linear on raw". A model is not compared with itself.

    Examples:
        >>> verdicts({"head/accuracy": 0.9, "raw/accuracy": 0.8}, {"head/accuracy": Interval(0.88, 0.92)})
        ['The predictions have accuracy 0.9000: better than a linear model on raw columns (0.8000).']
    """
    name = main_figure(metrics)
    if name is None:
        return ["There is no label, so nothing says how well it predicts: judge it by ELBO, imputation and samples."]
    rivals = {text: f"{group}/{name}" for group, text in RIVALS.items() if f"{group}/{name}" in metrics}
    words = {rival: _word(f"head/{name}", rival, metrics, intervals) for rival in rivals.values()}
    best = max(words, key=lambda rival: metrics[rival], default="")
    words |= {best: "worse than"} if BEYOND in tested else {best: "about as good as"} if CHANCE in tested else {}
    own, same = metrics[f"head/{name}"], RIVALS.get(SHIPPED.get(head, ""), "")
    ships = same in rivals and metrics[rivals[same]] == own
    others = {text: rival for text, rival in rivals.items() if not ships or text != same}
    start = f"The predictions have {SHARES[name]} {figure(own)}" + (f" and come from {same}" if ships else "")
    sentences = [_sentence(start, others, words, metrics)]
    sentences += guessing(metrics, intervals)
    if f"probe/{name}" in metrics and rivals:
        probe = f"probe/{name}"
        words = {rival: _word(probe, rival, metrics, intervals) for rival in rivals.values()}
        start = f"A linear model on the embedding alone has {SHARES[name]} {figure(metrics[probe])}"
        sentences.append(_sentence(start, rivals, words, metrics))
    return sentences


def guessing(metrics: Mapping[str, float], intervals: Mapping[str, Interval] | None = None) -> list[str]:
    """A sentence where the predictions are no better than a guess that looks at no column; else nothing.

    Args:
        metrics: of a run.
        intervals: of some of them; a guess inside of that of the predictions is as good.

    Examples:
        >>> guessing({"head/accuracy": 0.95, "guess/accuracy": 0.96})
        ['The predictions are not shown to be better than always naming the most frequent class (accuracy 0.9600).']
        >>> guessing({"head/r2": 0.4})
        []
    """
    name = main_figure(metrics)
    if name is None:
        return []
    own, (key, words) = f"head/{name}", GUESSES[name]
    guess = 0.0 if key is None else metrics.get(key)
    low, _ = (intervals or {}).get(own, Interval(metrics[own], metrics[own]))
    if guess is None or low > guess:
        return []
    return [f"The predictions are not shown to be better than {words} ({SHARES[name]} {figure(guess)})."]


def _sentence(start: str, rivals: Mapping[str, str], words: Mapping[str, str], metrics: Mapping[str, float]) -> str:
    against = [f"{words[rival]} {text} ({figure(metrics[rival])})" for text, rival in rivals.items()]
    return start + (f": {', '.join(against)}." if against else ".")


def _word(own: str, rival: str, metrics: Mapping[str, float], intervals: Mapping[str, Interval]) -> str:
    """Better and worse are said where neither lies within the interval of the other; else the rows cannot tell.

    Nor can they where they are too few for an interval of either.
    """
    if own not in intervals and rival not in intervals:
        return "about as good as"
    for one, other in ((own, rival), (rival, own)):
        low, high = intervals.get(one, (metrics[one], metrics[one]))
        if low <= metrics[other] <= high:
            return "about as good as"
    return "better than" if metrics[own] > metrics[rival] else "worse than"
