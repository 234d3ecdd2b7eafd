"""Fits heads on training rows and picks the one that ships on validation rows."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from torch import Tensor

from varjepa.config.heads import FEATURES, HEAD, ProbeSection
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.evaluation.arrays import Floats, Ints
from varjepa.evaluation.bootstrap import cluster_numbers
from varjepa.evaluation.gate.paired_tests import Pairs, p_worse
from varjepa.evaluation.uncertainty.calibration import fit_temperature
from varjepa.inference.heads.aside import Aside, halved_threads
from varjepa.inference.heads.boosted import fit_boosted
from varjepa.inference.heads.few_rows import ENOUGH, MOST, refitted_outputs
from varjepa.inference.heads.forest import fit_forest
from varjepa.inference.heads.head import Head, name_of
from varjepa.inference.heads.inputs import Components, HeadRows, RawColumns
from varjepa.inference.heads.label_transform import TRANSFORM, LabelTransform, fit_transformed, is_skewed
from varjepa.inference.heads.linear import fit_linear
from varjepa.inference.heads.mlp import fit_mlp
from varjepa.inference.heads.stacked import StackedHead, comparable, stacking_weights

log = logging.getLogger("varjepa")

FOLDS = 5
"""Folds of training rows, and of the validation rows that weight a stacked head."""

CHUNK = 8192
"""Rows predicted at a time."""

READ: dict[HEAD, tuple[FEATURES, ...]] = {
    "linear": ("embedding", "raw"),
    "boosted": ("raw",),
    "forest": ("raw",),
    "mlp": ("both",),
}
"""What each kind of head reads where `probe.features` is auto. Kinds and features stand from simple to complex."""

BASELINES: tuple[tuple[HEAD, FEATURES], ...] = (("linear", "embedding"), ("linear", "raw"), ("boosted", "raw"))
"""Heads that every probe compares with."""

TREES: tuple[HEAD, ...] = ("boosted", "forest")
"""Kinds of head that draw nothing from torch's generator, so that another thread can fit them."""

TRANSFORMS: tuple[TRANSFORM, ...] = ("log", "quantile")
"""Transformations of skewed labels to choose from."""

DOUBT = 0.05
"""Chance at most that a head replaces a simpler one that is equally good, all tests together."""


class HeadData(NamedTuple):
    """Rows with labels.

    Attributes:
        rows: embeddings and cells of N rows.
        labels: class numbers or values [N].
        clusters: uint64 [N], rows with the same number belong together; None for independent rows.
    """

    rows: HeadRows
    labels: Tensor
    clusters: NDArray[np.uint64] | None = None


def folds_of(rows: int, clusters: NDArray[np.uint64] | None, seed: int) -> NDArray[np.int64]:
    """The fold of each row [N], 0 to `FOLDS` - 1; rows of a cluster are in one fold."""
    numbers = np.arange(rows) if clusters is None else np.unique(clusters, return_inverse=True)[1]  # [N]
    order = np.random.default_rng([seed, 34]).permutation(int(numbers.max(initial=-1)) + 1)
    return order[numbers] % FOLDS


@dataclass
class Fitting:
    """Fits heads of every kind on the same rows; a head that was fitted once is not fitted again.

    Attributes:
        train: training rows.
        validation: other rows, which choose penalties; may be none.
        preprocessor: of the table.
        n_classes: C, or 0 for regression.
        section: of the configuration.
        seed: of folds, subsamples and weights.
    """

    train: HeadData
    validation: HeadData
    preprocessor: Preprocessor
    n_classes: int
    section: ProbeSection
    seed: int
    fitted: dict[tuple[HEAD, FEATURES], Head] = field(default_factory=dict)
    _components: Components | None = None

    @property
    def components(self) -> Components:
        """Principal components of the training embeddings."""
        if self._components is None:
            self._components = Components.fit(self.train.rows.flat, self.seed)
        return self._components

    def head(self, kind: HEAD, features: FEATURES) -> Head:
        """A head of this kind on these features; a stacked one combines all kinds."""
        key = (kind, features)
        if key not in self.fitted:
            self.fitted[key] = self._fit(kind, features)
        return self.fitted[key]

    def fit_side_by_side(self) -> None:
        """Fits the heads that the choice needs, where there are cores for two: trees aside, the others meanwhile."""
        keys = self._needed()
        trees = [key for key in keys if key[0] in TREES and key[1] == "raw"]  # those on embeddings draw components
        with halved_threads() as cores_for_two:
            if not cores_for_two:
                return
            aside = Aside(lambda: {key: self._fit(*key) for key in trees})
            for key in keys:
                if key not in trees:
                    self.head(*key)
        self.fitted |= aside.result()

    def _needed(self) -> list[tuple[HEAD, FEATURES]]:
        """The baselines, and the heads that the configuration asks for."""
        return list(dict.fromkeys([*BASELINES, *self.wanted()]))

    def _fit(self, kind: HEAD, features: FEATURES) -> Head:
        log.info("head: fitting %s on %s", kind, features)
        train, n_classes, seed = self.train, self.n_classes, self.seed
        folds = folds_of(len(train.labels), train.clusters, seed)
        components = self.components if features != "raw" else None
        if kind == "linear":
            readings = RawColumns.readings(self.preprocessor)
            validation = (self.validation.rows, self.validation.labels)
            return fit_linear(
                (train.rows, train.labels), validation, features, readings, n_classes=n_classes, l2=self.section.l2
            )
        if kind == "boosted":
            return fit_boosted(
                train.rows, train.labels, features, components, n_classes=n_classes, held=folds == 0, seed=seed,
                clusters=train.clusters,
            )  # fmt: skip
        if kind == "forest":
            return fit_forest(
                train.rows, train.labels, features, components, n_classes=n_classes, held=folds == 0, seed=seed
            )
        return fit_mlp(
            train.rows, train.labels, features, components, sizes=self.preprocessor.sizes, n_classes=n_classes,
            folds=folds, seed=seed,
        )  # fmt: skip

    def transformed(self, kind: HEAD, features: FEATURES, name: TRANSFORM) -> Head:
        """A regressor of a transformed label; `validation` gives the errors for smearing."""
        labels, truth = (part.labels.double().cpu().numpy() for part in (self.train, self.validation))
        log.info("head: fitting %s on %s to the label's %s", kind, features, name)

        def fit(transform: LabelTransform) -> Head:
            parts = [
                part._replace(labels=torch.from_numpy(transform.forward(values)).to(part.labels.device))
                for part, values in ((self.train, labels), (self.validation, truth))
            ]
            return replace(self, train=parts[0], validation=parts[1], fitted={}).head(kind, features)

        return fit_transformed(name, labels, fit, (self.validation.rows, truth))

    def simple(self) -> Iterator[Head]:
        """Heads that are no combination, from simple to complex, as the configuration asks for."""
        yield from (self.head(*key) for key in self.wanted())

    def wanted(self) -> Iterator[tuple[HEAD, FEATURES]]:
        """Kinds and features of the heads of `simple`, in its order."""
        wanted, features = self.section.head, self.section.features
        for kind, read in READ.items():
            if wanted in ("auto", "stacked", kind):
                yield from ((kind, each) for each in (read if features == "auto" else (features,)))


@dataclass(frozen=True)
class Judged:
    """A head and its losses on the validation rows.

    Attributes:
        head: the candidate.
        losses: of every validation row [N], log losses or squared errors.
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
        losses: mean loss of every candidate on the validation rows, by its name.
        compared: mean loss that those that every model is compared with start by, where it is another.
    """

    head: Head
    reason: str
    losses: dict[str, float]
    compared: dict[str, float]


def choose_head(fitting: Fitting) -> Chosen:
    """The best head that every model is compared with, unless another is better on the validation rows beyond doubt.

    Linear models and boosted trees are fitted anyway, and none of them is the simpler one: of these the smallest mean
    loss (log loss, or squared error) decides, where validation rows are few also on training rows (`few_rows`). More
    complex heads are compared with it, from simple to complex, by paired one-sided tests of their losses. One replaces
    the best so far if it is better at a level that holds for all tests together. Asking linear models to be beaten
    beyond doubt, too, cost two points of accuracy on tables of 500 rows, whose few validation rows prove nothing
    (docs/measured/heads.md).
    """
    candidates, labels = list(fitting.simple()), fitting.validation.labels.double().cpu().numpy()
    if not len(labels):
        return Chosen(candidates[0], "there are no validation rows to choose by", {}, {})
    outputs = [all_outputs(head, fitting.validation.rows) for head in candidates]
    judged = [Judged.of(head, output, labels) for head, output in zip(candidates, outputs, strict=True)]
    for head in _of_transformed_labels(fitting, min(judged, key=lambda one: one.losses.mean()).head):
        candidates.append(head)
        outputs.append(all_outputs(head, fitting.validation.rows))
        judged.append(Judged.of(head, outputs[-1], labels))
    if fitting.section.head in ("auto", "stacked") and len(candidates) > 1:
        judged.append(_stacked(candidates, outputs, labels, fitting))
    losses = {name_of(one.head): float(one.losses.mean()) for one in judged}
    if fitting.section.head == "stacked" or len(judged) == 1:
        return Chosen(judged[-1].head, "the configuration names it", losses, {})
    compared = [number for number, key in enumerate(fitting.wanted()) if key in BASELINES] or [0]
    more = len(compared) > 1 and len(labels) < ENOUGH and len(fitting.train.labels) <= MOST
    means = [_mean_loss(fitting, judged[number], outputs[number], more=more) for number in compared]
    start = compared[int(np.argmin(means))]
    others = [one for number, one in enumerate(judged) if number not in compared]
    where = "rows that it was not fitted on" if more else "the validation rows"
    reason = f"its mean loss on {where} is {min(means):.4g}, and " if len(compared) > 1 else ""
    head, reason = _best(judged[start], others, reason, cluster_numbers(fitting.validation.clusters))
    names = [name_of(judged[number].head) for number in compared]
    return Chosen(head, reason, losses, dict(zip(names, means, strict=True)) if more else {})


def _mean_loss(fitting: Fitting, one: Judged, outputs: Floats, *, more: bool) -> float:
    """Of a head that every model is compared with, on validation rows, or on training rows left out in turn as well."""
    if not more:
        return float(one.losses.mean())
    train, labels = fitting.train, fitting.validation.labels.double().cpu().numpy()
    folds = folds_of(len(train.labels), train.clusters, fitting.seed)
    again = refitted_outputs(one.head, train.rows, train.labels, folds, n_classes=fitting.n_classes, seed=fitting.seed)
    each = np.concatenate([train.labels.double().cpu().numpy(), labels])
    return float(Judged.of(one.head, np.concatenate([again, outputs]), each).losses.mean())


def _of_transformed_labels(fitting: Fitting, best: Head) -> Iterator[Head]:
    """The best regressor on transformed labels, where labels are skewed; the choice is then made as among all heads."""
    if fitting.n_classes == 0 and is_skewed(fitting.train.labels.double().cpu().numpy()):
        yield from (fitting.transformed(best.kind, best.features, name) for name in TRANSFORMS)


def _best(start: Judged, others: Sequence[Judged], reason: str, clusters: Ints | None) -> tuple[Head, str]:
    """The head to start with, unless one of the others is better on the validation rows beyond doubt; and why.

    Args:
        start: the best head that every model is compared with.
        others: from simple to complex.
        reason: of the start.
        clusters: number of each row's cluster [N]; None where rows are independent.
    """
    best, reason = start, f"{reason}no other head is better on the validation rows beyond doubt"
    for one in others:
        gains = one.losses - best.losses  # below 0 where the candidate is better
        p = p_worse(Pairs(gains, clusters))
        if gains.mean() < 0 and p <= DOUBT / len(others):
            reason = (
                f"its mean loss on the validation rows is {one.losses.mean():.4g}, that of {name_of(best.head)} "
                f"{best.losses.mean():.4g} (p {p:.1g})"
            )
            best = one
    return best.head, reason


def _stacked(members: Sequence[Head], outputs: Sequence[Floats], labels: Floats, fitting: Fitting) -> Judged:
    """A combination of all candidates; its losses are those of weights from other folds of the validation rows."""
    each = [comparable(torch.from_numpy(output)).numpy() for output in outputs]
    folds = folds_of(len(labels), fitting.validation.clusters, fitting.seed)
    combined = np.zeros_like(each[0])
    for fold in np.unique(folds):
        held = folds == fold
        used = ~held if not held.all() else held
        weights = stacking_weights([output[used] for output in each], labels[used])
        combined[held] = np.tensordot(weights, np.stack([output[held] for output in each]), axes=1)
    final = stacking_weights(each, labels)
    head = StackedHead(tuple(members), tuple(float(weight) for weight in final))
    return Judged.of(head, combined, labels)


def all_outputs(head: Head, rows: HeadRows) -> Floats:
    """Outputs of a head for many rows, [N, C] or [N, 1]."""
    count = len(rows.flat)
    parts = [head.outputs(rows.take(slice(start, start + CHUNK))).cpu() for start in range(0, max(count, 1), CHUNK)]
    return torch.cat(parts).numpy()
