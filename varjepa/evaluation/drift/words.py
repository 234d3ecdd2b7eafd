"""The finding of a test in one sentence, for people."""

import math
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from varjepa.amounts import counted, share
from varjepa.data.cells import FALSE_WORDS, TRUE_WORDS
from varjepa.evaluation.drift.samples import Categories, Numbers
from varjepa.evaluation.drift.tests import Finding, Subject
from varjepa.visible import shortened

STATISTICS = {
    "elbo": "the ELBO of the rows",
    "kl_sy": "the divergence between the predictor and the rest of a row",
    "prediction_error": "the error of the predicted latents",
    "surprise": "the surprise of cells, given the others of their row",
    "latent_uncertainty": "the latent uncertainty",
    "predicted": "the predictions of the head",
    "probability": "the confidence of the head",
    "correct": "the accuracy of the head",
    "calibration": "the gap between accuracy and confidence of the head",
    "residual": "the error of the head",
    "pit": "the place of the label in its predictive distribution",
    "covered": "whether the interval holds the label",
}
"""Statistics of rows, in words; latents are named by their number."""

TITLES = {
    "elbo": "ELBO of rows",
    "kl_sy": "divergence of the predictor",
    "prediction_error": "error of predicted latents",
    "surprise": "surprise of cells",
    "latent_uncertainty": "latent uncertainty",
    "predicted": "predictions",
    "probability": "confidence",
    "correct": "accuracy",
    "calibration": "confidence minus accuracy",
    "residual": "error",
    "pit": "place of the label",
    "covered": "interval holds the label",
}
"""The same, short enough for a table or a figure."""

DIRECTION = "embedding, direction "

_LATENT = re.compile(r"latent_\d+")

WORDS_SHOWN = 5


def described(name: str) -> str:
    """A statistic in words.

    Examples:
        >>> described("latent_2")
        'the embedding along direction 2'
    """
    kind, _, number = name.rpartition("_")
    return f"the embedding along direction {number}" if kind == "latent" and number.isdigit() else STATISTICS[name]


def title(subject: Subject) -> str:
    """Its name; with a word before it where a column or the label is called like something that the model says.

    Examples:
        >>> empty = Categories(names=(), counts=())
        >>> title(Subject("age", "column", empty, empty)), title(Subject("probability", "column", empty, empty))
        ('age', 'column probability')
    """
    name, group = subject.name, subject.group
    return name if group == "model" or not (name in STATISTICS or _LATENT.fullmatch(name)) else f"{group} {name}"


def heading(subject: Subject) -> str:
    """The same for people: what the model says has words of its own.

    Examples:
        >>> empty = Categories(names=(), counts=())
        >>> [heading(Subject(name, "model", empty, empty)) for name in ("probability", "latent_2")]
        ['confidence', 'embedding, direction 2']
        >>> [heading(Subject(name, "column", empty, empty)) for name in ("age", "confidence", "elbo")]
        ['age', 'column confidence', 'column elbo']
    """
    if subject.group == "model":
        return TITLES.get(subject.name) or f"{DIRECTION}{subject.name.rpartition('_')[2]}"
    taken = subject.name in TITLES.values() or subject.name.startswith(DIRECTION)
    return f"{subject.group} {subject.name}" if taken else title(subject)


def sentence(finding: Finding, words: Mapping[str, int] | None = None) -> str:
    """What changed, from what to what.

    Args:
        finding: of any verdict.
        words: new categories of the column and their rows.
    """
    subject, test = finding.subject, finding.comparison
    what = described(subject.name) if subject.group == "model" else shortened(title(subject))
    match finding.aspect, subject.reference, subject.new:
        case "missing", reference, new:
            before, now = (sample.missing / max(sample.missing + sample.present, 1) for sample in (reference, new))
            return f"{what} is missing in {share(now, 2)} of the rows; in the reference, in {share(before, 2)}."
        case "new categories", Categories() as reference, Categories() as new:
            before, now = ((sample.other or 0) / max(sample.present, 1) for sample in (reference, new))
            such_as = _such_as(words or {})
            if subject.group == "label":
                spelled = _spelled_otherwise(words or {}, reference.names)
                return (
                    f"{what} holds classes that the model does not know in {share(now, 2)} of the labelled "
                    f"rows{such_as}; in the reference, in {share(before, 2)}.{spelled}"
                )
            in_reference = f"in the reference, in {share(before, 2)}"
            return f"{what} has a new category in {share(now, 2)} of the rows{such_as}; {in_reference}."
        case _, Numbers() as reference, Numbers() as new:
            if test.shift is None:
                return f"{what}: there are no values to compare{' in the reference' if new.present else ''}."
            means = _means(reference, new)
            shift = f"{test.shift:+z.2f} standard deviations" if math.isfinite(test.shift) else "from one value only"
            return (
                f"{what}: {share(test.effect)} of the rows have moved; the mean went from {means[0]} to {means[1]} "
                f"({shift})."
            )
        case _, Categories() as reference, Categories() as new:
            points, largest = 100 * test.effect, _largest(reference, new)
            return f"{what}: the shares of categories changed by {points:.1f} points, most of all {largest}."
    raise TypeError(f"{subject.name} is a number in one sample and a category in the other")


def respelled(word: str, classes: Sequence[str]) -> str | None:
    """The class that a label seems to mean in another spelling: other case, blanks around it, other words for true.

    Examples:
        >>> respelled(" YES", ("no", "yes")), respelled("true", ("no", "yes")), respelled("maybe", ("no", "yes"))
        ('yes', 'yes', None)
    """
    plain = word.strip().casefold()
    same = [name for name in classes if name.strip().casefold() == plain]
    for meaning in (TRUE_WORDS, FALSE_WORDS):
        if not same and plain in meaning:
            same = [name for name in classes if name.strip().casefold() in meaning]
    return same[0] if len(same) == 1 else None


def _spelled_otherwise(words: Mapping[str, int], classes: Sequence[str]) -> str:
    pairs = [
        f'"{shortened(word)}" for "{shortened(name)}"'
        for word in words
        if (name := respelled(word, classes)) is not None
    ]
    return f" They look like known classes in another spelling: {', '.join(pairs[:WORDS_SHOWN])}." if pairs else ""


def _means(reference: Numbers, new: Numbers) -> tuple[str, str]:
    """Both means, with as many digits as it takes to tell them apart."""
    if reference.days:
        return str(np.datetime64(round(reference.mean), "D")), str(np.datetime64(round(new.mean), "D"))
    return apart(lambda digits: (f"{reference.mean:z.{digits}g}", f"{new.mean:z.{digits}g}"), 4)


def apart(written: Callable[[int], tuple[str, str]], digits: int) -> tuple[str, str]:
    """Two numbers in words that differ, if the numbers do.

    Args:
        written: both with so many digits.
        digits: that are enough where the numbers differ by more.

    Examples:
        >>> apart(lambda digits: (f"{2014.6:.{digits}g}", f"{2015.2:.{digits}g}"), 4)
        ('2014.6', '2015.2')
    """
    pairs = [written(more) for more in range(digits, digits + 5)]
    return next((pair for pair in pairs if pair[0] != pair[1]), pairs[0])


def _largest(reference: Categories, new: Categories) -> str:
    """The category whose share changed most, and both shares."""
    shares = [np.array(sample.cells) / max(sample.present, 1) for sample in (reference, new)]  # [cells] each
    # As in `cells`: other categories are the last of them.
    names = [*(f'"{shortened(name)}"' for name in reference.names), "other categories"]
    place = int(np.abs(shares[1] - shares[0]).argmax())
    before, now = apart(lambda digits: (share(shares[0][place], digits), share(shares[1][place], digits)), 1)
    return f"{names[place]} from {before} to {now}"


def _such_as(words: Mapping[str, int]) -> str:
    """The most frequent new categories, in words; equally frequent ones in alphabetical order."""
    top = sorted(words.items(), key=lambda item: (-item[1], item[0]))[:WORDS_SHOWN]
    return (
        ", such as " + ", ".join(f'"{shortened(word)}" ({counted(count, "row")})' for word, count in top) if top else ""
    )
