"""The objective of each kind of network: everything that the training loop needs to know about a kind."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor

from varjepa.config import ObjectiveSection
from varjepa.data.tensors.table import TableTensors
from varjepa.models.masks import Masks
from varjepa.models.network import TableNetwork
from varjepa.models.t_jepa import TJEPANetwork
from varjepa.models.var_t_jepa import VarTJEPANetwork
from varjepa.objective.elbo import LossTerms, Weights, final_weights, loss_terms
from varjepa.objective.prediction import PredictionTerms, prediction_terms
from varjepa.objective.schedules import ema_at, ema_start, initial_share, weights_at

Terms = LossTerms | PredictionTerms
"""Named terms of a loss: a named tuple of tensors, with a mean over rows."""


class Objective(ABC):
    """Terms of the loss of one kind of network, their names, and the action after an optimiser step.

    Args:
        section: weights and schedules.
        steps_per_epoch: optimiser steps of one epoch.
        epochs: longest training.

    Attributes:
        terms_type: the kind's named tuple.
        headline: the value of `named` that best summarises training.
        tie_break: metric of an epoch that decides between epochs of equal score; larger is better.
    """

    terms_type: ClassVar[type[Terms]]
    headline: ClassVar[str]
    tie_break: ClassVar[str]

    def __init__(self, *, section: ObjectiveSection, steps_per_epoch: int, epochs: int) -> None:
        self.section, self.steps_per_epoch, self.steps = section, steps_per_epoch, steps_per_epoch * epochs

    @abstractmethod
    def terms(self, table: TableTensors, masks: Masks, outputs: Any) -> Terms:
        """The terms per row [B] from what the network's `forward` gave for these masks."""

    @abstractmethod
    def weights(self, step: int) -> tuple[float, ...]:
        """Weights of the terms at a step; the optimiser lowers their weighted sum."""

    @abstractmethod
    def named(self, terms: Any) -> dict[str, float]:
        """Mean terms by name, the headline among them; comparable between epochs."""

    @abstractmethod
    def per_row(self, terms: Any) -> dict[str, Tensor]:
        """Statistics of single rows [B] from their terms, by name."""

    @abstractmethod
    def score(self, named: dict[str, float]) -> float:
        """Score of an epoch where there is no label to score it by; higher is better."""

    @abstractmethod
    def schedule(self, step: int) -> dict[str, float]:
        """Values that change over training, by name of a metric."""

    def after_step(self, step: int) -> None:  # noqa: B027 (most kinds have nothing to do)
        """Called after every optimiser step with its number, from 0."""


class ELBOObjective(Objective):
    """Var-T-JEPA: the five terms of the negative ELBO."""

    terms_type, headline, tie_break = LossTerms, "elbo", "validation/elbo"

    def terms(self, table: TableTensors, masks: Masks, outputs: Any) -> LossTerms:
        posterior, generated = outputs
        return loss_terms(table, masks, posterior, generated)

    def weights(self, step: int) -> Weights:
        return weights_at(step, self.steps_per_epoch, self.section)

    def named(self, terms: LossTerms) -> dict[str, float]:
        """Terms and ELBO; the ELBO uses the final weights, so that epochs compare."""
        values = {name: float(value) for name, value in terms._asdict().items()}
        return values | {"elbo": -float(terms.loss(final_weights(self.section)))}

    def per_row(self, terms: LossTerms) -> dict[str, Tensor]:
        return {"elbo": -terms.loss(final_weights(self.section)), "kl_sy": terms.kl_sy}

    def score(self, named: dict[str, float]) -> float:
        return named["elbo"]

    def schedule(self, step: int) -> dict[str, float]:
        return {f"weights/{name}": weight for name, weight in self.weights(step)._asdict().items()}


class PredictionObjective(Objective):
    """T-JEPA: squared error of the prediction, and the moving average that makes its targets.

    A small error alone is not good, as collapsed latents have one, too. RankMe of the validation embedding breaks ties,
    and selects the epoch where there is no label.
    """

    terms_type, headline, tie_break = PredictionTerms, "prediction", "validation/rankme"

    def __init__(self, *, network: TJEPANetwork, **settings: Any) -> None:
        super().__init__(**settings)
        self.network, self.start = network, ema_start(self.steps, network.ema)

    def terms(self, table: TableTensors, masks: Masks, outputs: Any) -> PredictionTerms:  # noqa: ARG002
        return prediction_terms(masks, outputs)

    def weights(self, step: int) -> tuple[float]:  # noqa: ARG002
        return (1.0,)  # a single term needs no weighting

    def named(self, terms: PredictionTerms) -> dict[str, float]:
        return {"prediction": float(terms.prediction)}

    def per_row(self, terms: PredictionTerms) -> dict[str, Tensor]:
        return {"prediction_error": terms.prediction}

    def score(self, named: dict[str, float]) -> float:
        return -named["prediction"]

    def schedule(self, step: int) -> dict[str, float]:
        left = initial_share(step, self.steps, self.start)
        return {"training/ema": ema_at(step, self.steps, self.start), "training/initial_share": left}

    def after_step(self, step: int) -> None:
        self.network.update_target(ema_at(step, self.steps, self.start))


def objective_for(
    network: TableNetwork, section: ObjectiveSection, *, steps_per_epoch: int = 1, epochs: int = 1
) -> Objective:
    """The objective of the network's kind; its schedules have a meaning only for training."""
    settings: dict[str, Any] = {"section": section, "steps_per_epoch": steps_per_epoch, "epochs": epochs}
    # The one place outside `models` that tells kinds apart: a third kind is one more line.
    if isinstance(network, TJEPANetwork):
        return PredictionObjective(network=network, **settings)
    if isinstance(network, VarTJEPANetwork):
        return ELBOObjective(**settings)
    raise TypeError(f"no objective is known for {type(network).__name__}")
