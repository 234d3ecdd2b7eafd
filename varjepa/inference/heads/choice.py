"""Picks the head that ships, by rows that the heads were not fitted on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from scipy.special import log_softmax

from varjepa.evaluation.arrays import Floats
from varjepa.evaluation.uncertainty.calibration import fit_temperature
from varjepa.inference.heads.candidates import BASELINES, Fitting
from varjepa.inference.heads.head import Head, name_of
from varjepa.inference.heads.label_transform import TRANSFORM
from varjepa.inference.heads.labelled import folds_of
from varjepa.inference.heads.stacked import StackedHead, combined, comparable, stacking_weights
from varjepa.inference.heads.unseen import Unseen

TRANSFORMS: tuple[TRANSFORM, ...] = ("log", "quantile")
"""Transformations of skewed labels to choose from."""

GAIN = 0.005
"""Half a percent, as reasons say: share of the mean loss by which a head must be better than a simpler one."""


@dataclass(frozen=True)
class Judged:
    """A head and its losses on rows that it was not fitted on.

    Attributes:
        head: the candidate.
        losses: of every row [N], log losses or squared errors.
    """

    head: Head
    losses: Floats

    @classmethod
    def of(cls, head: Head, outputs: Floats, labels: Floats) -> Self:
        """Losses of outputs [N, C] or [N, 1] on labels [N], probabilities after a temperature."""
        if outputs.shape[1] == 1:
            return cls(head, (outputs[:, 0] - labels) ** 2)
        numbers = labels.astype(np.int64)
        chances = log_softmax(outputs / fit_temperature(outputs, numbers), axis=1)
        return cls(head, -chances[np.arange(len(numbers)), numbers])


class Chosen(NamedTuple):
    """The head that ships.

    Attributes:
        head: it.
        reason: of the choice, in words.
        losses: mean loss of every candidate, by its name.
        rows: that the losses are of, in words.
    """

    head: Head
    reason: str
    losses: dict[str, float]
    rows: str


def choose_head(fitting: Fitting) -> Chosen:
    """The best head that every model is compared with, unless another is better by a share `GAIN` of the mean loss.

    All heads are judged by their losses (log loss, or squared error) on the same rows (`Unseen`). Of linear models and
    boosted trees, which are fitted anyway, none is the simpler one: the smallest mean loss decides. The others follow,
    from simple to complex; each is compared with the best so far.

    What is equally good within `GAIN` costs nothing to leave out, and more to ship. To ask for significance instead
    left most of what other heads add on tables of some thousand rows (docs/measured/heads.md).
    """
    candidates, unseen = list(fitting.simple()), Unseen(fitting)
    if not len(fitting.validation.labels):
        return Chosen(candidates[0], "there are no validation rows to choose by", {}, unseen.words)
    labels = unseen.labels
    outputs = [unseen.outputs(head) for head in candidates]
    judged = [Judged.of(head, output, labels) for head, output in zip(candidates, outputs, strict=True)]
    for head in _of_transformed_labels(fitting, min(judged, key=lambda one: one.losses.mean()).head):
        candidates.append(head)
        outputs.append(unseen.outputs(head))
        judged.append(Judged.of(head, outputs[-1], labels))
    if fitting.section.head in ("auto", "stacked") and len(candidates) > 1:
        judged.append(_stacked(candidates, outputs, unseen))
    losses = {name_of(one.head): float(one.losses.mean()) for one in judged}
    if fitting.section.head == "stacked" or len(judged) == 1:
        return Chosen(judged[-1].head, "the configuration names it", losses, unseen.words)
    compared = [judged[number] for number, key in enumerate(fitting.wanted()) if key in BASELINES] or judged[:1]
    start = min(compared, key=lambda one: one.losses.mean())
    others = [one for one in judged if all(one is not each for each in compared)]
    head, reason = _best(start, others, unseen.words)
    return Chosen(head, reason, losses, unseen.words)


def _of_transformed_labels(fitting: Fitting, best: Head) -> Iterator[Head]:
    """The best regressor on transformed labels, where labels are skewed; the choice is then made as among all heads."""
    if fitting.is_skewed:
        yield from (fitting.transformed(best.kind, best.features, name) for name in TRANSFORMS)


def _best(start: Judged, others: Sequence[Judged], rows: str) -> tuple[Head, str]:
    """The head to start with, unless one of the others is better by enough; and why.

    Args:
        start: the best head that every model is compared with.
        others: from simple to complex.
        rows: that the losses are of, in words.
    """
    best, compared = start, "no other head is better by half a percent"
    for one in others:
        before = best.losses.mean()
        if one.losses.mean() < (1 - GAIN) * before:
            best, compared = one, f"that of {name_of(best.head)} is {before:.4g}"
    return best.head, f"its mean loss on {rows} is {best.losses.mean():.4g}, and {compared}"


def _stacked(members: Sequence[Head], outputs: Sequence[Floats], unseen: Unseen) -> Judged:
    """A combination of all candidates; its losses are those of weights from other folds of the rows."""
    labels, each = unseen.labels, [comparable(torch.from_numpy(output)).numpy() for output in outputs]
    folds = folds_of(len(labels), unseen.clusters, unseen.fitting.seed)
    mixed = np.zeros_like(each[0])
    for fold in np.unique(folds):
        held = folds == fold
        used = ~held if not held.all() else held
        weights = stacking_weights([output[used] for output in each], labels[used])
        mixed[held] = combined(weights, [output[held] for output in each])
    final = stacking_weights(each, labels)
    used = final > 0 if final.any() else final == 0  # a head without weight need not be computed
    kept = [(member, float(weight)) for member, weight, one in zip(members, final, used, strict=True) if one]
    head = StackedHead(tuple(member for member, _ in kept), tuple(weight for _, weight in kept))
    return Judged.of(head, mixed, labels)
