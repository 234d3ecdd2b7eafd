"""The objective of T-JEPA: squared error between predicted and target latents (arXiv 2410.05016, section 4)."""

from typing import NamedTuple

from torch import Tensor

from varjepa.models.masks import Masks
from varjepa.models.t_jepa import Predicted
from varjepa.objective.elbo import masked_mean


class PredictionTerms(NamedTuple):
    """The single term of T-JEPA; [B] per row, or a scalar after `mean`."""

    prediction: Tensor

    def mean(self) -> "PredictionTerms":
        """Mean over rows."""
        return PredictionTerms(self.prediction.mean())


def prediction_terms(masks: Masks, outputs: Predicted) -> PredictionTerms:
    """Squared error per row [B], averaged over target masks, their valid features and latent dimensions.

    A row without valid targets has none, and counts as 0.
    """
    error = (outputs.prediction - outputs.target).square().mean(-1)  # [B, K, M_trg]
    return PredictionTerms(masked_mean(error.flatten(1), masks.targets_valid.flatten(1)))
