"""How unlikely each class of a row is: the scores that prediction sets are made of.

| score | of a class | sets |
| --- | --- | --- |
| lac | 1 minus its probability (Sadinle et al. 2019) | the smallest |
| aps | probability of all classes that are more probable (Romano et al. 2020) | adapt to hard rows |
| raps | the same, and a penalty for ranks beyond the first ones (Angelopoulos et al. 2021) | adapt, and stay small |

In aps and raps the most probable class has minus its own probability, so that rows differ in it, too: a set keeps its
promise without being drawn at random, and a row has the same set wherever it stands.
"""

from typing import Literal, NamedTuple

import numpy as np

from varjepa.evaluation.arrays import Floats, Ints

SCORE = Literal["lac", "aps", "raps"]


class ClassScore(NamedTuple):
    """A score and its settings.

    Attributes:
        name: of the score.
        penalty: of raps, for each rank beyond `free`.
        free: ranks without a penalty.
    """

    name: SCORE
    penalty: float = 0.0
    free: int = 1

    def __call__(self, probabilities: Floats) -> Floats:
        """Scores of all classes [N, C] from their probabilities [N, C]; larger = less likely.

        Examples:
            >>> ClassScore("aps")(np.array([[0.5, 0.3, 0.2]])).round(2).tolist()
            [[-0.5, 0.5, 0.8]]
        """
        if self.name == "lac":
            return 1 - probabilities
        order = np.argsort(-probabilities, axis=1, kind="stable")  # [N, C], the most probable class first
        sorted_probabilities = np.take_along_axis(probabilities, order, axis=1)
        above = np.cumsum(sorted_probabilities, axis=1) - sorted_probabilities
        above[:, 0] = -sorted_probabilities[:, 0]
        above += self.penalty * np.maximum(np.arange(probabilities.shape[1]) + 1 - self.free, 0)
        scores = np.empty_like(above)
        np.put_along_axis(scores, order, above, axis=1)
        return scores


CANDIDATES = (
    ClassScore("lac"),
    ClassScore("aps"),
    *(ClassScore("raps", penalty, free) for penalty in (0.01, 0.1) for free in (1, 2)),
)
"""The simplest one first."""


def of_labels(scores: Floats, labels: Ints) -> Floats:
    """The score of each row's own class [N]; inf for a class that there is no score for.

    Args:
        scores: of all classes [N, C].
        labels: class numbers [N]; C for a class that training has not seen.
    """
    known = labels < scores.shape[1]
    own = scores[np.arange(len(labels)), np.where(known, labels, 0)]
    return np.where(known, own, np.inf)
