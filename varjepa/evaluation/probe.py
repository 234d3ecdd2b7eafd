"""Linear probes: what a frozen embedding lets a linear model predict."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from varjepa.evaluation.logistic import fit_logistic, row_curvature
from varjepa.evaluation.preconditioners import Covariance, covariance_of, is_whole
from varjepa.evaluation.ridge import fit_ridge, is_large, products_of
from varjepa.nn.optimizers import AdamW
from varjepa.nn.random import StackedRandomness
from varjepa.nn.stacked import StackedLinear

MAX_ITERATIONS = 200

FIRST_ITERATIONS = 10
"""Of a classifier, before the curvature of its loss is measured."""

STRONGER, WORTH = 10.0, 5e-3
"""Ratio of the penalties that are tried beyond the candidates, and the share of the loss that a stronger one must save:
where the loss hardly depends on the penalty, chance would take the strongest."""

STRONGEST = 1e6
"""Penalty beyond which none is tried: standardised inputs have no weights then."""


@dataclass(frozen=True)
class LinearProbe:
    """A linear model on standardised inputs.

    Attributes:
        center: [F], subtracted from the inputs.
        spread: [F], > 0, divides them.
        weight: [C, F]; C classes, or 1 for regression.
        bias: [C].
        l2: the ridge penalty per training row it was fitted with.
    """

    center: Tensor
    spread: Tensor
    weight: Tensor
    bias: Tensor
    l2: float

    def predict(self, x: Tensor) -> Tensor:
        """Logits [N, C] of a classifier, or values [N, 1] of a regression, for inputs [N, F]."""
        return F.linear((x - self.center).div_(self.spread), self.weight, self.bias)

    def to(self, device: torch.device) -> "LinearProbe":
        """The same on a device."""
        return LinearProbe(**{name: value.to(device) for name, value in self.tensors().items()}, l2=self.l2)

    def tensors(self) -> dict[str, Tensor]:
        """The arrays by name, for saving."""
        return {"center": self.center, "spread": self.spread, "weight": self.weight, "bias": self.bias}


class StandardInputs(NamedTuple):
    """Standardised inputs, and what all probes on them need.

    Attributes:
        x: float32 [N, F].
        center: mean of the inputs [F].
        spread: their standard deviation [F], > 0.
        covariance: of the inputs; None of no rows, and where a regression does not need it.
        products: of the inputs, for a regression (`products_of`); None for classifiers.
        curvature: of a classifier's loss along an input of variance 1; None where only the label's classes tell.
    """

    x: Tensor
    center: Tensor
    spread: Tensor
    covariance: Covariance | None
    products: Tensor | None = None
    curvature: float | None = None

    @classmethod
    def of(cls, x: Tensor, *, n_classes: int) -> Self:
        """Standardises inputs [N, F] for a classifier of so many classes, or for a regression (0)."""
        center, spread = x.mean(0), x.std(0, correction=0).clamp(min=1e-6)
        standard = (x - center).div_(spread)  # in place, as inputs may be most of what is in memory
        needed = n_classes or is_large(*standard.shape)
        covariance = covariance_of(standard) if needed else None
        return cls(standard, center, spread, covariance, None if n_classes else products_of(standard))

    def near(self, probe: LinearProbe) -> Self:
        """The same, with the curvature that the loss has near a classifier of such inputs, as far as it is known."""
        if not is_whole(*self.x.shape):
            return self
        logits = F.linear(self.x, probe.weight, probe.bias)
        return self._replace(covariance=covariance_of(self.x, row_curvature(logits)), curvature=1.0)

    def fit(
        self, y: Tensor, *, n_classes: int, l2: float, max_iterations: int = MAX_ITERATIONS,
        start: LinearProbe | None = None,
    ) -> LinearProbe:  # fmt: skip
        """A probe; see `fit_probe`. The way of a classifier may begin at another probe on these inputs."""
        known: dict[str, Any] = {"covariance": self.covariance, "max_iterations": max_iterations}
        if n_classes == 0:
            weight, bias = fit_ridge(self.x, y, l2, products=self.products, **known)
        else:
            first = None if start is None else (start.weight, start.bias)
            weight, bias = fit_logistic(
                self.x, y.long(), n_classes, l2, curvature=self.curvature, start=first, **known
            )  # fmt: skip
        return LinearProbe(self.center, self.spread, weight, bias, l2)


def fit_probe(
    x: Tensor, y: Tensor, *, n_classes: int, l2: float, max_iterations: int = MAX_ITERATIONS,
    like: LinearProbe | None = None,
) -> LinearProbe:  # fmt: skip
    """Fits multinomial logistic regression or ridge regression.

    Args:
        x: float32 [N, F].
        y: class numbers [N] of any type, or values [N].
        n_classes: C, or 0 for regression.
        l2: penalty per training row on the squared weights, halved.
        max_iterations: of L-BFGS, or of conjugate gradients.
        like: a classifier of such inputs, which shows how the loss is bent. The way begins at 0 all the same: its end
            is inexact for rare inputs, and must not know rows that only that classifier has seen.
    """
    inputs, start = StandardInputs.of(x, n_classes=n_classes), None
    if n_classes and is_whole(*x.shape):
        nearby = like or inputs.fit(y, n_classes=n_classes, l2=l2, max_iterations=FIRST_ITERATIONS)
        inputs, start = inputs.near(nearby), None if like else nearby
    return inputs.fit(y, n_classes=n_classes, l2=l2, max_iterations=max_iterations, start=start)


def probe_loss(probe: LinearProbe, x: Tensor, y: Tensor, *, n_classes: int) -> float:
    """Mean log loss of a classifier, or mean squared error of a regression; lower is better."""
    output = probe.predict(x)
    # Squares of labels of 1e-20 or 1e20 are no 32-bit floats.
    return float(F.cross_entropy(output, y.long()) if n_classes else F.mse_loss(output[:, 0].double(), y.double()))


def best_probe(
    train: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor], *, n_classes: int, l2: Sequence[float]
) -> LinearProbe:
    """The probe whose penalty has the smallest loss on the validation rows.

    Where that is the largest candidate, penalties ten times as large each are tried while each saves half a percent of
    the loss. How large it should be depends on the number of inputs and rows: of 1,500 columns it is 1,000 times what
    suits 14.

    Args:
        train: inputs [N, F] and labels [N].
        validation: inputs and labels of other rows; where empty, the first penalty is taken.
        n_classes: C, or 0 for regression.
        l2: penalties to choose from; a single one stands.
    """
    x, y = train
    if len(l2) == 1 or not len(validation[1]):
        return fit_probe(x, y, n_classes=n_classes, l2=l2[0])
    *smaller, largest = sorted(set(l2))
    inputs, start = StandardInputs.of(x, n_classes=n_classes), None
    if n_classes:  # near its minimum for one penalty, the loss is bent as it is near those for all others
        start = inputs.fit(y, n_classes=n_classes, l2=largest, max_iterations=FIRST_ITERATIONS)
        inputs = inputs.near(start)

    def fitted(penalty: float, start: LinearProbe | None) -> tuple[float, LinearProbe]:
        probe = inputs.fit(y, n_classes=n_classes, l2=penalty, start=start)
        return probe_loss(probe, *validation, n_classes=n_classes), probe

    tried = [fitted(largest, start)]
    # The best is the last, which is where the way to the next one begins.
    while (best := tried[-1])[1].l2 < STRONGEST:
        stronger = fitted(best[1].l2 * STRONGER, best[1])
        if not stronger[0] < (1 - WORTH) * best[0]:
            break
        tried.append(stronger)
    if len(tried) == 1:  # otherwise the smaller ones, which take the most steps, are worse still
        for penalty in reversed(smaller):
            tried.append(fitted(penalty, tried[-1][1]))
    return min(tried, key=itemgetter(0))[1]


class ProbeTraining(NamedTuple):
    """How the simulation study trains its probes (C.2)."""

    epochs: int = 50
    lr: float = 3e-3
    weight_decay: float = 1e-4
    batch_size: int = 512


PUBLISHED = ProbeTraining()


def stacked_accuracy(
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    random: StackedRandomness,
    training: ProbeTraining = PUBLISHED,
) -> Tensor:
    """Test accuracy of one logistic probe per run, trained by AdamW for a fixed time on inputs as they are.

    Unlike `fit_probe` it neither standardises nor converges, so it does not find what a collapsed latent still
    whispers: the published accuracies of collapsed variants are low for this reason.

    Args:
        train: inputs [R, N, d] and labels 0 or 1, [R, N].
        test: the same of other rows.
        random: order of the rows.
        training: optimiser settings.

    Returns:
        [R], in [0, 1].
    """
    x, y = train[0], train[1].to(train[0].dtype)
    probe = StackedLinear(d_in=x.shape[-1], d_out=1, random=random)
    optimizer = AdamW(probe.parameters(), lr=training.lr, weight_decay=training.weight_decay, fused=True)
    runs = torch.arange(len(x))[:, None]  # [R, 1]
    with torch.no_grad():
        for _ in range(training.epochs):
            order = random.orders(x.shape[1])  # [R, N], another order for each run
            batches = (part[runs, order].split(training.batch_size, dim=1) for part in (x, y))
            for inputs, labels in zip(*batches, strict=True):
                # The gradient of the log loss, written out: autograd would cost more than the step.
                error = (_logits(probe, inputs).sigmoid() - labels) / labels.shape[1]  # [R, B]
                probe.weight.grad, probe.bias.grad = inputs.mT @ error[..., None], error.sum(1)[:, None, None]
                optimizer.step()
        return ((_logits(probe, test[0]) > 0) == test[1].bool()).float().mean(-1)


def _logits(probe: StackedLinear, x: Tensor) -> Tensor:
    """[R, N, d] -> [R, N]; for one output a product and a sum are faster than a matrix product."""
    return (x * probe.weight.mT).sum(-1) + probe.bias[..., 0]
