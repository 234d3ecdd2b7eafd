"""Uncertainty measures in one common form: one number per row and measure, larger = less sure.

| measure | definition |
| --- | --- |
| max_probability, entropy | the head's calibrated probabilities: 1 - the largest, and their entropy |
| ensemble | 1 - largest mean probability of heads fitted on resampled training rows, or of the head's members |
| second_opinion | 1 - the probability that another head gives the predicted class |
| propagated | entropy of the probe's mean probability over samples of s_w, in an aleatoric and an epistemic part |
| mask_mean, mask_disagreement | embeddings from random contexts: 1 - largest mean probability of the probe, and \
disagreement |
| weighted_scale | probability of an error, linear in the log scales of q(s_w | ...) |
| scale_mean, scale_p90 | mean and 90th percentile of the scales of q(s_w | ...) (the paper's) |
| surprise | KL(q(s_y | ...), p(s_y | s_x, z)), averaged over targets and random contexts |
| reconstruction | -log p(w | s_w), averaged over observed cells |
| distance | mean distance to the ten nearest training rows, in whitened principal components of the embedding |
| error_model | probability of an error, linear in the other measures that need no further pass through the network |

The head is the classifier that ships, the probe the linear one on the embedding; often they are the same.
Samples and contexts are the same for every row, so a measure does not depend on the rows beside it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from varjepa.config.encoder_sizes import WIDE_FEATURES
from varjepa.config.heads import MEASURE, UncertaintySection
from varjepa.data.tensors.table import TableTensors
from varjepa.evaluation.probe import LinearProbe
from varjepa.inference.fitted_uncertainty import FittedUncertainty, weighted_scale
from varjepa.inference.heads.head import Head
from varjepa.inference.heads.inputs import HeadRows
from varjepa.inference.heads.linear import LinearHead
from varjepa.inference.heads.mlp import MLPHead
from varjepa.inference.heads.stacked import StackedHead
from varjepa.models.embedding import Embedding
from varjepa.models.masks import same_for_all
from varjepa.models.network import TableNetwork, VariationalNetwork
from varjepa.nn.gaussian import DiagonalGaussian
from varjepa.nn.random import Randomness
from varjepa.objective.elbo import masked_mean

N_NEIGHBOURS = 10
"""For `distance`: nearest training rows to average over."""

SCALED = ("weighted_scale", "scale_mean", "scale_p90", "propagated", "propagated_aleatoric", "propagated_epistemic")
VARIATIONAL = (*SCALED, "surprise", "reconstruction", "mask_mean", "mask_disagreement")
"""Measures that need a variational network."""

CHEAP: tuple[MEASURE, ...] = (
    "max_probability", "entropy", "ensemble", "second_opinion", "weighted_scale", "scale_mean", "scale_p90",
    "reconstruction", "distance",
)  # fmt: skip
"""Inputs of `error_model`, where the model has them. The others would take several passes through the network a row."""

PASSES: tuple[MEASURE, ...] = ("mask_mean", "mask_disagreement", "surprise")
"""Measures that take several passes through the network a row."""

SMALLEST = 1e-9
"""Added to a measure before its logarithm."""


@dataclass(frozen=True)
class Measures:
    """Computes measures of rows.

    Attributes:
        network: in evaluation mode.
        probe: the linear probe on the embedding.
        head: the classifier that ships, often the probe.
        fitted: fitted for this head.
        section: of the configuration.
        seed: of samples and contexts.
    """

    network: TableNetwork
    probe: LinearProbe
    head: Head
    fitted: FittedUncertainty
    section: UncertaintySection
    seed: int

    def available(self) -> list[MEASURE]:
        """Names of the measures that this kind of network and this head have."""
        lacking: set[str] = set(VARIATIONAL) if self.network.variational() is None else set()
        for name, part in (
            ("weighted_scale", self.fitted.error),
            ("second_opinion", self.fitted.second),
            ("error_model", self.fitted.error_model),
            ("ensemble", self.has_ensemble or None),
        ):
            if part is None:
                lacking.add(name)
        return [name for name in MEASURE.__args__ if name not in lacking]  # type: ignore[attr-defined]

    def compared(self) -> list[MEASURE]:
        """Those to compare: of wide tables none that takes passes through the network, unless it is asked for."""
        wide = self.probe.weight.shape[1] >= WIDE_FEATURES * self.network.d_hidden
        left_out = set(PASSES) - {self.section.score} if wide else set()
        return [name for name in self.available() if name not in left_out]

    @property
    def has_ensemble(self) -> bool:
        """Whether there are several heads to compare."""
        fitted = self.fitted
        return bool(fitted.members or fitted.resampled) or isinstance(self.head, MLPHead | StackedHead)

    def probabilities(self, rows: HeadRows) -> Tensor:
        """Calibrated probabilities float64 [N, C] of the head that ships."""
        return (self.head.outputs(rows) / self.fitted.temperature).softmax(1)

    def probe_probabilities(self, x: Tensor) -> Tensor:
        """Probabilities float64 [N, C] of the linear probe for flat embeddings [N, F]; calibrated if it ships."""
        ships = isinstance(self.head, LinearHead) and self.head.features == "embedding"
        return (self.probe.predict(x).double() / (self.fitted.temperature if ships else 1.0)).softmax(1)

    @torch.inference_mode()
    def __call__(
        self, table: TableTensors, embedding: Embedding, names: list[MEASURE], chances: Tensor | None = None
    ) -> dict[MEASURE, Tensor]:
        """The measures of some rows, float64 [N] each; every row and measure as if computed alone.

        Args:
            table: the rows.
            embedding: theirs.
            names: some of `available`.
            chances: their `probabilities` [N, C], where they are known already.
        """
        if not table.n_rows:  # layers and quantiles take at least one row
            return {name: torch.zeros(0, dtype=torch.float64, device=table.device) for name in names}
        rows = HeadRows(embedding.mean.flatten(1), table)
        given = _Rows(rows, self.probabilities(rows) if chances is None else chances)
        needed = set(names) | (set(self.fitted.error_inputs) if "error_model" in names else set())
        # Measures of a family share their computation, so a family runs once if any member is asked for.
        values: dict[MEASURE, Tensor] = {}
        for compute, members in _FAMILIES.items():
            if not needed.isdisjoint(members):
                values |= dict(zip(members, compute(self, given), strict=True))
        network = self.network.variational()
        if network is not None and embedding.scale is not None:
            latent = _LatentRows(network, table, embedding.mean, embedding.scale)
            for compute_latent, members in _LATENT_FAMILIES.items():
                if not needed.isdisjoint(members):
                    values |= dict(zip(members, compute_latent(self, latent), strict=True))
        if "error_model" in names and self.fitted.error_model is not None:
            inputs = error_features({name: values[name] for name in self.fitted.error_inputs})
            values["error_model"] = self.fitted.error_model.predict(inputs).softmax(1)[:, 1]
        return {name: values[name].double() for name in names}


def error_features(measures: Mapping[MEASURE, Tensor]) -> Tensor:
    """Inputs float32 [N, 2 M] of the error model: M measures [N] and their logarithms, as errors go with either."""
    values = torch.stack([values.float() for values in measures.values()], dim=1)  # [N, M]
    return torch.cat([values, (values.clamp(min=0) + SMALLEST).log()], dim=1)


class _Rows(NamedTuple):
    """Rows of any kind of network, and the head's calibrated probabilities [N, C] of them."""

    rows: HeadRows
    chances: Tensor


class _LatentRows(NamedTuple):
    """Rows of a variational network: their cells, and mean and scale of their latents, float32 [N, D, d] each."""

    network: VariationalNetwork
    table: TableTensors
    mean: Tensor
    scale: Tensor


def _entropy(probabilities: Tensor) -> Tensor:
    return torch.special.entr(probabilities).sum(-1)


def _sharpness(_: Measures, given: _Rows) -> tuple[Tensor, ...]:
    return 1 - given.chances.max(1).values, _entropy(given.chances)


def _ensemble(measures: Measures, given: _Rows) -> tuple[Tensor, ...]:
    return (1 - _members(measures, given.rows).mean(0).max(1).values,)


def _members(measures: Measures, rows: HeadRows) -> Tensor:
    """Probabilities [K, N, C] of heads that could as well have been fitted, or of the members of the one that was."""
    fitted, head = measures.fitted, measures.head
    if fitted.members:
        logits = torch.stack([member.predict(rows.flat).double() for member in fitted.members])
    elif fitted.resampled:
        logits = torch.stack([member.outputs(rows) for member in fitted.resampled])
    elif isinstance(head, StackedHead):
        logits = torch.stack([member.outputs(rows) for member in head.members])
        return logits.softmax(-1)  # each is a classifier by itself: the temperature is that of their combination
    elif isinstance(head, MLPHead):
        logits = head.each(rows)
    else:
        logits = head.outputs(rows)[None]
    return (logits / fitted.temperature).softmax(-1)


def _second_opinion(measures: Measures, given: _Rows) -> tuple[Tensor, ...]:
    second = measures.fitted.second
    chances = given.chances if second is None else second.outputs(given.rows).softmax(1)
    return (1 - chances.gather(1, given.chances.argmax(1, keepdim=True))[:, 0],)


def _distance(measures: Measures, given: _Rows) -> tuple[Tensor, ...]:
    fitted = measures.fitted
    points = (given.rows.flat - fitted.center) @ fitted.basis  # [N, k]
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
        probabilities = measures.probe_probabilities((rows.mean + rows.scale * noise).flatten(1))
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
        probabilities.append(measures.probe_probabilities(inferred.s_w.mean.flatten(1)))
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


_FAMILIES: dict[Callable[[Measures, _Rows], tuple[Tensor, ...]], tuple[MEASURE, ...]] = {
    _sharpness: ("max_probability", "entropy"),
    _ensemble: ("ensemble",),
    _second_opinion: ("second_opinion",),
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
