"""Fits heads of every kind on the same training rows."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch

from varjepa.config.heads import FEATURES, HEAD, ProbeSection
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.evaluation.arrays import Floats
from varjepa.inference.heads.aside import Aside, halved_threads
from varjepa.inference.heads.boosted import fit_boosted
from varjepa.inference.heads.forest import fit_forest
from varjepa.inference.heads.head import Head, name_of
from varjepa.inference.heads.held_out import held_out_outputs
from varjepa.inference.heads.inputs import Components, RawColumns
from varjepa.inference.heads.label_transform import TRANSFORM, LabelTransform, fit_transformed, is_skewed
from varjepa.inference.heads.labelled import HeadData, folds_of
from varjepa.inference.heads.linear import fit_linear
from varjepa.inference.heads.mlp import fit_mlp
from varjepa.inference.heads.stacked import StackedHead, combined

log = logging.getLogger("varjepa")

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

MOST = 20_000
"""Training rows up to which heads are fitted again without each fold. Of larger tables validation rows are enough."""


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
        fitted: heads, by kind and features.
        left_out: outputs of heads for the training rows, by the head's name; see `held_out`.
    """

    train: HeadData
    validation: HeadData
    preprocessor: Preprocessor
    n_classes: int
    section: ProbeSection
    seed: int
    fitted: dict[tuple[HEAD, FEATURES], Head] = field(default_factory=dict)
    left_out: dict[str, Floats] = field(default_factory=dict)
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

    def held_out(self, head: Head) -> Floats:
        """Outputs [N, C] or [N, 1] for the training rows by such heads as were not fitted on their folds.

        What was computed once is not computed again.
        """
        if isinstance(head, StackedHead):
            return combined(head.weights, [self.held_out(member) for member in head.members])
        if name_of(head) not in self.left_out:
            folds = folds_of(len(self.train.labels), self.train.clusters, self.seed)
            self.left_out[name_of(head)] = held_out_outputs(
                head, self.train, folds, n_classes=self.n_classes, seed=self.seed
            )
        return self.left_out[name_of(head)]

    @property
    def by_training_rows(self) -> bool:
        """Whether training rows, left out in turn, show how good heads are, beside the validation rows."""
        return 0 < len(self.train.labels) <= MOST and len(self.validation.labels) > 0

    @property
    def is_skewed(self) -> bool:
        """Whether transformations of a numeric label are worth a try."""
        return self.n_classes == 0 and is_skewed(self.train.labels.double().cpu().numpy())

    def fit_side_by_side(self) -> None:
        """Fits the heads that the choice needs, where there are cores for two.

        Networks take about as long as all others, which are fitted aside: trees first, as linear models of very wide
        inputs draw components as networks do, and wait for these. Trees on embeddings draw them, too. Without either,
        linear models are fitted beside trees.
        """
        keys = self._needed()
        here = [key for key in keys if key[0] == "mlp" or (key[0] in TREES and key[1] != "raw")]
        here = here or [key for key in keys if key[0] not in TREES]
        others = sorted((key for key in keys if key not in here), key=lambda key: key[0] not in TREES)
        with halved_threads() as cores_for_two:
            if not cores_for_two:
                return
            aside = Aside(lambda: self._ready(others))
            self.fitted |= self._ready(here)
        self.fitted |= aside.result()

    def _ready(self, keys: Sequence[tuple[HEAD, FEATURES]]) -> dict[tuple[HEAD, FEATURES], Head]:
        """Fits heads, and those that the choice is among without each fold, too."""
        heads = {key: self._fit(*key) for key in keys}
        for key in self.wanted():
            if self.by_training_rows and key in heads:
                self.held_out(heads[key])
        return heads

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
            return replace(self, train=parts[0], validation=parts[1], fitted={}, left_out={}).head(kind, features)

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
