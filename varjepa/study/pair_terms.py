"""The five terms of the negative ELBO on pairs (x, y) of vectors (eq. 9-10)."""

from torch import Tensor

from varjepa.objective.elbo import LossTerms
from varjepa.study.var_jepa import PairGenerated, PairPosterior


def paired_terms(x: Tensor, y: Tensor, posterior: PairPosterior, generated: PairGenerated) -> LossTerms:
    """The five terms per row; likelihoods and KLs are summed over dimensions.

    With all weights 1, minus the loss is a lower bound on log p(x, y): nothing is averaged over features.

    Shape:
        x [R, B, d_x], y [R, B, d_y] -> terms [R, B]
    """
    return LossTerms(
        rec=-generated.x.log_prob(x).sum(-1),
        gen=-generated.y.log_prob(y).sum(-1),
        kl_sx=posterior.s_x.kl_standard().sum(-1),
        kl_z=posterior.z.kl_standard().sum(-1),
        kl_sy=posterior.s_y.kl(generated.s_y).sum(-1),
    )
