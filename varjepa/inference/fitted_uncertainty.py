"""What the uncertainty of a classifier is fitted from: errors, resampled heads, training rows to compare with."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from varjepa.config.heads import MEASURE, UncertaintySection
from varjepa.evaluation.latents.components import principal_components
from varjepa.evaluation.probe import LinearProbe, best_probe, fit_probe
from varjepa.evaluation.uncertainty.calibration import fit_temperature
from varjepa.evaluation.uncertainty.certificate import Certificate
from varjepa.inference.heads.boosted import BoostedHead, resampled_boosted
from varjepa.inference.heads.candidates import Fitting
from varjepa.inference.heads.head import Head
from varjepa.inference.heads.held_out import REFIT_ITERATIONS
from varjepa.inference.heads.labelled import FOLDS, folds_of
from varjepa.inference.heads.linear import LinearHead
from varjepa.inference.heads.unseen import Unseen

N_COMPONENTS, N_REFERENCE = 32, 2000
"""For `distance`: principal components, and training rows to compare with."""

L2_ERROR = (1e-2, 1e-1, 1.0)
"""Ridge penalties of the error probe: large, as it has up to thousands of inputs and few errors to learn from."""


@dataclass(frozen=True)
class FittedUncertainty:
    """Everything fitted for the uncertainty of a classifier.

    Attributes:
        temperature: divides the logits of the head that ships.
        measure: the measure that ships.
        reason: of the choice.
        error: logistic probe of the linear probe's errors on log scales, [D d] inputs; None for kinds of network
            without scales, and where there are no errors.
        members: linear probes on resampled training rows; empty if another head ships.
        center: [F], mean of the training embeddings.
        basis: [F, k], their first principal components, scaled to unit variance.
        neighbours: [R, k], training rows in that basis.
        certificate: None without calibration rows.
        resampled: heads of the kind that ships, on resampled training rows; empty if the linear probe ships.
        second: another head, for a second opinion; None in models of older versions.
        error_model: logistic probe of the head's errors on `error_inputs`; None where it was not fitted.
        error_inputs: measures that it reads.
    """

    temperature: float
    measure: MEASURE
    reason: str
    error: LinearProbe | None
    members: tuple[LinearProbe, ...]
    center: Tensor
    basis: Tensor
    neighbours: Tensor
    certificate: Certificate | None
    resampled: tuple[Head, ...] = ()
    second: Head | None = None
    error_model: LinearProbe | None = None
    error_inputs: tuple[MEASURE, ...] = ()

    def tensors(self) -> dict[str, Tensor]:
        """All arrays by name, for saving."""
        probes = {f"members.{number}": probe for number, probe in enumerate(self.members)}
        probes |= {} if self.error is None else {"error": self.error}
        probes |= {} if self.error_model is None else {"error_model": self.error_model}
        named = {f"{key}.{name}": value for key, probe in probes.items() for name, value in probe.tensors().items()}
        return named | {"center": self.center, "basis": self.basis, "neighbours": self.neighbours}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], **plain: object) -> Self:
        """The inverse of `tensors`; `plain` holds the other fields."""

        def probe(key: str) -> LinearProbe | None:
            parts = {name.removeprefix(f"{key}."): t for name, t in tensors.items() if name.startswith(f"{key}.")}
            return LinearProbe(**parts, l2=0.0) if parts else None

        members: list[LinearProbe] = []
        # Their number is not stored: they are counted until a name is missing.
        while (member := probe(f"members.{len(members)}")) is not None:
            members.append(member)
        arrays = {name: tensors[name] for name in ("center", "basis", "neighbours")}
        probes = {"error": probe("error"), "members": tuple(members), "error_model": probe("error_model")}
        return cls(**probes, **arrays, **plain)  # type: ignore[arg-type]  # a dict of several types


def weighted_scale(error: LinearProbe, scale: Tensor) -> Tensor:
    """Probability [N] that a row is predicted wrongly, from the log scales [N, D, d] of its latents alone."""
    return error.predict(scale.log().flatten(1)).softmax(1)[:, 1]


def fit_uncertainty(
    fitting: Fitting, probe: LinearProbe, head: Head, scale: Tensor | None, *, section: UncertaintySection
) -> FittedUncertainty:
    """Fits everything that the measures need on training rows; error model, choice and certificate come later.

    Args:
        fitting: of the heads, with training and validation rows; the latter may be none, and have a say in the
            temperature.
        probe: the linear probe on the embedding.
        head: the classifier that ships.
        scale: scales of the training rows' latents [N, D, d]; None for kinds of network without them.
        section: of the configuration.
    """
    train, seed = fitting.train, fitting.seed
    x, labels, rng = train.rows.flat, train.labels, np.random.default_rng([seed, 31])
    error, folds = None, folds_of(len(labels), train.clusters, seed)
    if scale is not None and np.ptp(folds):  # rows of one cluster leave none to fit on
        guesses = torch.from_numpy(fitting.held_out(LinearHead(probe)).argmax(1)).to(labels.device)
        error = _fit_error(scale.log().flatten(1), guesses != labels.long(), folds)
    unseen = Unseen(fitting)
    temperature = fit_temperature(unseen.outputs(head), unseen.labels.astype(np.int64))
    members: list[LinearProbe] = []
    ships = isinstance(head, LinearHead) and head.features == "embedding"
    # A bootstrap sample of training rows per member; all members have the probe's penalty.
    for _ in range(section.ensemble if ships else 0):
        picks = torch.from_numpy(rng.integers(len(x), size=len(x))).to(x.device)
        members.append(
            fit_probe(
                x[picks], labels[picks], n_classes=len(probe.bias), l2=probe.l2, max_iterations=REFIT_ITERATIONS,
                like=probe,
            )
        )  # fmt: skip
    resampled: tuple[Head, ...] = ()
    if isinstance(head, BoostedHead):
        resampled = resampled_boosted(head, train.rows, labels, count=section.ensemble, seed=seed)
    components = principal_components(x, N_COMPONENTS, seed=seed)
    # Divided by its standard deviation along each component, the embedding is whitened: [F, k].
    center, basis = components.center, components.whitening
    chosen = torch.from_numpy(rng.permutation(len(x))[:N_REFERENCE]).to(x.device)
    return FittedUncertainty(
        temperature=temperature, measure="max_probability", reason="", error=error, members=tuple(members),
        center=center, basis=basis, neighbours=(x[chosen] - center) @ basis, certificate=None, resampled=resampled,
        second=second_head(fitting, head),
    )  # fmt: skip


def second_head(fitting: Fitting, head: Head) -> Head:
    """Another head for a second opinion: trees on raw columns; where trees ship, networks or the linear probe."""
    if isinstance(head, BoostedHead):
        return fitting.fitted.get(("mlp", "both")) or fitting.head("linear", "embedding")
    return fitting.head("boosted", "raw")


def _fit_error(scale: Tensor, wrong: Tensor, fold: NDArray[np.int64]) -> LinearProbe | None:
    """Logistic probe of the linear probe's errors on log scales; None where there is nothing to learn from.

    Args:
        scale: log scales of the latents [N, D d].
        wrong: whether linear probes that were fitted on other folds predict rows wrongly, bool [N]: on the rows that it
            was fitted on, a probe errs less often and elsewhere than on new ones, or never.
        fold: of each row [N].
    """
    last = torch.from_numpy(fold == FOLDS - 1).to(scale.device)
    if not mixed(wrong):
        return None
    # The last fold chooses the penalty: validation rows choose among the measures later, so they must not.
    parts = [(scale[rows], wrong[rows]) for rows in (~last, last)]
    known = all(mixed(errors) for _, errors in parts)
    some = best_probe(*parts, n_classes=2, l2=L2_ERROR) if known else None
    return fit_probe(scale, wrong, n_classes=2, l2=some.l2 if some else max(L2_ERROR), like=some)


def mixed(wrong: Tensor) -> bool:
    """Whether there are both right and wrong rows to learn from."""
    return bool(wrong.any()) and not bool(wrong.all())
