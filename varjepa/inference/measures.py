"""Uncertainty measures in one common form: one number per row and measure, larger = less sure.

| measure | definition |
| --- | --- |
| max_probability, entropy | the probe's calibrated probabilities: 1 - the largest, and their entropy |
| ensemble | 1 - largest mean probability of probes that were fitted on resampled training rows |
| propagated | entropy of the mean probability over samples of s_w, in an aleatoric and an epistemic part |
| mask_mean, mask_disagreement | embeddings from random contexts: 1 - largest mean probability, and disagreement |
| weighted_scale | probability of an error, linear in the log scales of q(s_w | ...) |
| scale_mean, scale_p90 | mean and 90th percentile of the scales of q(s_w | ...) (the paper's) |
| surprise | KL(q(s_y | ...), p(s_y | s_x, z)), averaged over targets and random contexts |
| reconstruction | -log p(w | s_w), averaged over observed cells |
| distance | mean distance to the ten nearest training rows, in whitened principal components of the embedding |

Samples and contexts are the same for every row, so a measure does not depend on the rows beside it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from varjepa.config.heads import MEASURE, UncertaintySection
from varjepa.data.tensors.table import TableTensors
from varjepa.evaluation.latents.components import principal_components
from varjepa.evaluation.probe import LinearProbe, best_probe, fit_probe
from varjepa.evaluation.uncertainty.calibration import fit_temperature
from varjepa.evaluation.uncertainty.certificate import Certificate
from varjepa.models.embedding import Embedding
from varjepa.models.masks import same_for_all
from varjepa.models.network import TableNetwork, VariationalNetwork
from varjepa.nn.gaussian import DiagonalGaussian
from varjepa.nn.random import Randomness
from varjepa.objective.elbo import masked_mean

N_COMPONENTS, N_REFERENCE, N_NEIGHBOURS = 32, 2000, 10
"""For `distance`: principal components, training rows to compare with, and nearest ones to average over."""

L2_ERROR = (1e-2, 1e-1, 1.0)
"""Ridge penalties of the error probe: large, as it has up to thousands of inputs and few errors to learn from."""

FOLDS = 5
"""Folds of training rows. The error probe learns from the errors of probes that were fitted on other folds: on the rows
that it was fitted on, a probe errs less often and elsewhere than on new ones, or never."""

REFIT_ITERATIONS = 50
"""Iterations of a probe that is fitted again on some of the training rows."""

SCALED = ("weighted_scale", "scale_mean", "scale_p90", "propagated", "propagated_aleatoric", "propagated_epistemic")
VARIATIONAL = (*SCALED, "surprise", "reconstruction", "mask_mean", "mask_disagreement")
"""Measures that need a variational network."""


@dataclass(frozen=True)
class FittedUncertainty:
    """Everything fitted for the uncertainty of a classifier.

    Attributes:
        temperature: divides the probe's logits.
        measure: the measure that ships.
        reason: of the choice.
        error: logistic probe of errors on log scales, [D d] inputs; None for kinds of network without scales, and where
            there are no errors.
        members: probes on resampled training rows.
        center: [F], mean of the training embeddings.
        basis: [F, k], their first principal components, scaled to unit variance.
        neighbours: [R, k], training rows in that basis.
        certificate: None without calibration rows.
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

    def tensors(self) -> dict[str, Tensor]:
        """All arrays by name, for saving."""
        probes = {f"members.{number}": probe for number, probe in enumerate(self.members)}
        if self.error is not None:
            probes["error"] = self.error
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
        return cls(error=probe("error"), members=tuple(members), **arrays, **plain)  # type: ignore[arg-type]


def weighted_scale(error: LinearProbe, scale: Tensor) -> Tensor:
    """Probability [N] that a row is predicted wrongly, from the log scales [N, D, d] of its latents alone."""
    return error.predict(scale.log().flatten(1)).softmax(1)[:, 1]


Labelled = tuple[Embedding, Tensor]
"""Embeddings of rows, and their class numbers [N]."""


def fit_uncertainty(
    probe: LinearProbe,
    train: Labelled,
    validation: Labelled,
    *,
    section: UncertaintySection,
    seed: int,
    clusters: NDArray[np.uint64] | None = None,
) -> FittedUncertainty:
    """Fits everything that the measures need on training rows; choice and certificate come later.

    Args:
        probe: the classifier.
        train: labelled training rows.
        validation: rows of classes of training that choose the temperature; may be none.
        section: of the configuration.
        seed: of resampling, folds and the reference rows.
        clusters: of the training rows [N]; rows of a cluster stay in one fold.
    """
    x, labels, n_classes = train[0].mean.flatten(1), train[1], len(probe.bias)
    rng = np.random.default_rng([seed, 31])
    error = _fit_error(probe, train, folds(len(labels), clusters, seed))
    logits = probe.predict(validation[0].mean.flatten(1)).double().cpu().numpy()
    temperature = fit_temperature(logits, validation[1].long().cpu().numpy())
    members = []
    # A bootstrap sample of training rows per member; all members have the probe's penalty.
    for _ in range(section.ensemble):
        picks = torch.from_numpy(rng.integers(len(x), size=len(x))).to(x.device)
        member = fit_probe(x[picks], labels[picks], n_classes=n_classes, l2=probe.l2, max_iterations=REFIT_ITERATIONS)
        members.append(member)
    components = principal_components(x, N_COMPONENTS, seed=seed)
    # Divided by its standard deviation along each component, the embedding is whitened: [F, k].
    center, basis = components.center, components.basis / components.deviations.clamp(min=1e-6)
    chosen = torch.from_numpy(rng.permutation(len(x))[:N_REFERENCE]).to(x.device)
    neighbours = (x[chosen] - center) @ basis
    return FittedUncertainty(temperature, "max_probability", "", error, tuple(members), center, basis, neighbours, None)


def folds(rows: int, clusters: NDArray[np.uint64] | None, seed: int) -> NDArray[np.int64]:
    """The fold of each row [N], 0 to `FOLDS` - 1; rows of a cluster are in one fold."""
    numbers = np.arange(rows) if clusters is None else np.unique(clusters, return_inverse=True)[1]  # [N]
    order = np.random.default_rng([seed, 34]).permutation(int(numbers.max(initial=-1)) + 1)
    return order[numbers] % FOLDS


def _fit_error(probe: LinearProbe, train: Labelled, fold: NDArray[np.int64]) -> LinearProbe | None:
    """Logistic probe of the classifier's errors on log scales; None where there is nothing to learn from."""
    embedding, labels = train
    if embedding.scale is None:
        return None
    x, scale = embedding.mean.flatten(1), embedding.scale.log().flatten(1)  # [N, D d] each
    wrong = _held_out_errors(probe, x, labels, fold)
    last = torch.from_numpy(fold == FOLDS - 1).to(x.device)
    if not _mixed(wrong):
        return None
    # The last fold chooses the penalty: validation rows choose among the measures later, so they must not.
    parts = [(scale[rows], wrong[rows]) for rows in (~last, last)]
    known = all(_mixed(errors) for _, errors in parts)
    penalty = best_probe(*parts, n_classes=2, l2=L2_ERROR).l2 if known else max(L2_ERROR)
    return fit_probe(scale, wrong, n_classes=2, l2=penalty)


def _mixed(wrong: Tensor) -> bool:
    """Whether there are both right and wrong rows to learn from."""
    return bool(wrong.any()) and not bool(wrong.all())


def _held_out_errors(probe: LinearProbe, x: Tensor, labels: Tensor, fold: NDArray[np.int64]) -> Tensor:
    """Whether probes that were fitted without a row's fold predict the row wrongly, bool [N]."""
    wrong = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    for number in range(FOLDS):
        held = torch.from_numpy(fold == number).to(x.device)
        if not bool(held.any()) or bool(held.all()):
            continue
        fitted = fit_probe(
            x[~held], labels[~held], n_classes=len(probe.bias), l2=probe.l2, max_iterations=REFIT_ITERATIONS
        )
        wrong[held] = fitted.predict(x[held]).argmax(1) != labels[held].long()
    return wrong


@dataclass(frozen=True)
class Measures:
    """Computes measures of rows.

    Attributes:
        network: in evaluation mode.
        probe: the classifier.
        fitted: fitted for this classifier.
        section: of the configuration.
        seed: of samples and contexts.
    """

    network: TableNetwork
    probe: LinearProbe
    fitted: FittedUncertainty
    section: UncertaintySection
    seed: int

    def available(self) -> list[MEASURE]:
        """Names of the measures that this kind of network has."""
        lacking: set[str] = set(VARIATIONAL) if self.network.variational() is None else set()
        if self.fitted.error is None:
            lacking.add("weighted_scale")
        return [name for name in MEASURE.__args__ if name not in lacking]  # type: ignore[attr-defined]

    def probabilities(self, x: Tensor) -> Tensor:
        """Calibrated probabilities float64 [N, C] of flat embeddings [N, F]."""
        return (self.probe.predict(x).double() / self.fitted.temperature).softmax(1)

    @torch.inference_mode()
    def __call__(self, table: TableTensors, embedding: Embedding, names: list[MEASURE]) -> dict[MEASURE, Tensor]:
        """The measures of some rows, float64 [N] each; every row and measure as if computed alone.

        Args:
            table: the rows.
            embedding: theirs.
            names: some of `available`.
        """
        # Measures of a family share their computation, so a family runs once if any member is asked for.
        values: dict[MEASURE, Tensor] = {}
        for compute, members in _FAMILIES.items():
            if not set(members).isdisjoint(names):
                values |= dict(zip(members, compute(self, embedding.mean), strict=True))
        network = self.network.variational()
        if network is not None and embedding.scale is not None:
            rows = _LatentRows(network, table, embedding.mean, embedding.scale)
            for compute_latent, members in _LATENT_FAMILIES.items():
                if not set(members).isdisjoint(names):
                    values |= dict(zip(members, compute_latent(self, rows), strict=True))
        return {name: values[name].double() for name in names}


class _LatentRows(NamedTuple):
    """Rows of a variational network: their cells, and mean and scale of their latents, float32 [N, D, d] each."""

    network: VariationalNetwork
    table: TableTensors
    mean: Tensor
    scale: Tensor


def _entropy(probabilities: Tensor) -> Tensor:
    return torch.special.entr(probabilities).sum(-1)


def _sharpness(measures: Measures, mean: Tensor) -> tuple[Tensor, ...]:
    probabilities = measures.probabilities(mean.flatten(1))  # [N, C]
    return 1 - probabilities.max(1).values, _entropy(probabilities)


def _ensemble(measures: Measures, mean: Tensor) -> tuple[Tensor, ...]:
    x, fitted = mean.flatten(1), measures.fitted
    total = sum((member.predict(x).double() / fitted.temperature).softmax(1) for member in fitted.members)
    return (1 - torch.as_tensor(total / len(fitted.members)).max(1).values,)


def _distance(measures: Measures, mean: Tensor) -> tuple[Tensor, ...]:
    fitted = measures.fitted
    points = (mean.flatten(1) - fitted.center) @ fitted.basis  # [N, k]
    nearest = torch.cdist(points, fitted.neighbours).topk(min(N_NEIGHBOURS, len(fitted.neighbours)), largest=False)
    return (nearest.values.mean(1),)


def _propagated(measures: Measures, rows: _LatentRows) -> tuple[Tensor, ...]:
    """Samples of s_w through the probe: H(mean), mean of H, and the difference, the mutual information."""
    random = Randomness.seeded(measures.seed, 32)
    draws, n_classes = measures.section.draws, len(measures.probe.bias)
    total = rows.mean.new_zeros(len(rows.mean), n_classes, dtype=torch.float64)
    aleatoric = rows.mean.new_zeros(len(rows.mean), dtype=torch.float64)
    for _draw in range(draws):
        # One noise [D, d] for all rows: a row's measure does not depend on the rows beside it.
        noise = torch.empty(rows.mean.shape[1:]).normal_(generator=random.device).to(rows.mean.device)
        probabilities = measures.probabilities((rows.mean + rows.scale * noise).flatten(1))
        total += probabilities
        aleatoric += _entropy(probabilities)
    whole = _entropy(total / draws)
    return whole, aleatoric / draws, whole - aleatoric / draws


def _scales(measures: Measures, rows: _LatentRows) -> tuple[Tensor, ...]:
    flat, error = rows.scale.flatten(1), measures.fitted.error
    weighted = weighted_scale(error, rows.scale) if error is not None else flat.mean(1)
    return weighted, flat.mean(1), flat.quantile(0.9, dim=1)


def _contexts(measures: Measures, rows: _LatentRows) -> tuple[Tensor, ...]:
    """Embeds from random halves of the features, and predicts the other halves."""
    network, observed = rows.network, rows.table.observed
    # The posterior with all observed cells as context, which the predictions are compared with.
    posterior = DiagonalGaussian(rows.mean, 2 * rows.scale.log())
    rng, n_features = np.random.default_rng([measures.seed, 33]), observed.shape[1]
    probabilities, surprise = [], []
    for _draw in range(measures.section.masks):
        order = torch.from_numpy(rng.permutation(n_features)).to(observed.device)
        # Rounded up: with one feature it is the context, and there is no target.
        context, target = order[: (n_features + 1) // 2], order[(n_features + 1) // 2 :]
        masks = same_for_all(observed, context, target)
        inferred = network.infer(rows.table, masks)
        probabilities.append(measures.probabilities(inferred.s_w.mean.flatten(1)))
        if len(target):
            prior = network.predict(inferred, masks)  # [N, 1, M, d]: one target mask
            targets = DiagonalGaussian(*(part[:, target] for part in posterior))  # [N, M, d]
            kl = targets.kl(DiagonalGaussian(prior.mean[:, 0], prior.logvar[:, 0])).sum(-1)
            surprise.append(masked_mean(kl, observed[:, target]))
    stacked = torch.stack(probabilities)  # [masks, N, C]
    mean = stacked.mean(0)
    # Mutual information of class and context: entropy of the mean minus mean entropy.
    disagreement = _entropy(mean) - _entropy(stacked).mean(0)
    return 1 - mean.max(1).values, disagreement, torch.stack(surprise).mean(0) if surprise else disagreement


def _reconstruction(_: Measures, rows: _LatentRows) -> tuple[Tensor, ...]:
    likelihood = rows.network.reconstruct(rows.mean)
    return (masked_mean(-likelihood.log_prob(*rows.table.blanked()), rows.table.observed),)


_FAMILIES: dict[Callable[[Measures, Tensor], tuple[Tensor, ...]], tuple[MEASURE, ...]] = {
    _sharpness: ("max_probability", "entropy"),
    _ensemble: ("ensemble",),
    _distance: ("distance",),
}
"""Functions, and the measures that each computes together."""

_LATENT_FAMILIES: dict[Callable[[Measures, _LatentRows], tuple[Tensor, ...]], tuple[MEASURE, ...]] = {
    _propagated: ("propagated", "propagated_aleatoric", "propagated_epistemic"),
    _scales: ("weighted_scale", "scale_mean", "scale_p90"),
    _contexts: ("mask_mean", "mask_disagreement", "surprise"),
    _reconstruction: ("reconstruction",),
}
"""The same, of variational networks only."""
