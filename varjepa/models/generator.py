"""The generator: p(w_j | any other cells of the row), read off tokens of a trained network.

NOTE[DIFF]: the paper generates by s_y ~ p(s_y | s_x, z), y ~ p(y | s_y) (section 3.6), with one Gaussian noise for all
numeric features. Under the published weights (kl_sy 1e-5) and context shares (10 to 30%) that path adds little to the
marginals, and its 90% intervals cover 65 to 95% (docs/generation.md). The generator learns the same conditional
likelihood directly, for contexts of every size, with a distribution of any shape per feature.
An order of the cells and the product of their conditionals is a bound on log p(w): the mean over orders is the
objective of order-agnostic autoregressive models (Hoogeboom et al., ICLR 2022), to which this one belongs.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from varjepa.nn.decoders import FeatureDecoder, Likelihood
from varjepa.nn.tokenizer import INIT_SCALE
from varjepa.nn.transformer import TransformerEncoder


class Generator(nn.Module):
    """A transformer over the tokens of seen cells and mask tokens for the others.

    Args:
        sizes: classes per feature (see `varjepa.data.tensors.bars.Cells`).
        d_token: width of the tokens.
        n_layers: of the transformer.
        n_heads: attention heads; divides `d_token`.

    Shape:
        tokens [B, D, d], seen bool [B, D] -> `Likelihood` of D features in terms of classes
    """

    def __init__(self, *, sizes: Sequence[int], d_token: int, n_layers: int, n_heads: int) -> None:
        super().__init__()
        self.mask_token = nn.Parameter(torch.randn(d_token) * INIT_SCALE)
        self.position = nn.Parameter(torch.randn(len(sizes), d_token) / d_token**0.5)
        self.project = nn.Linear(d_token, d_token)
        self.encoder = TransformerEncoder(
            d_model=d_token, n_layers=n_layers, n_heads=n_heads, d_feedforward=2 * d_token, dropout=0.0
        )
        self.decoder = ClassDecoder(sizes=sizes, d_token=d_token)

    def forward(self, tokens: Tensor, seen: Tensor) -> Likelihood:
        shown = torch.where(seen[:, :, None], self.project(tokens), self.mask_token)
        return self.decoder(self.encoder(shown + self.position))

    @torch.no_grad()
    def log_prob_at(self, tokens: Tensor, seen: Tensor, classes: Tensor, positions: Tensor) -> Tensor:
        """Log-probability [B, P] of the classes [B, D] of some cells alone; cheaper than `forward`.

        Args:
            tokens: [B, D, d].
            seen: bool [B, D].
            classes: int64 [B, D].
            positions: of the cells, int64 [P].
        """
        shown = torch.where(seen[:, :, None], self.project(tokens), self.mask_token)
        hidden = self.encoder.at(shown + self.position, positions)  # [B, P, d]
        log_probs = [
            self.decoder.class_log_probs(hidden[:, place], j).gather(1, classes[:, j : j + 1])
            for place, j in enumerate(positions.tolist())
        ]  # [B, 1] each
        return torch.cat(log_probs, dim=1)


class ClassDecoder(FeatureDecoder):
    """A `FeatureDecoder` for which every feature has classes; class c is code c + 1."""

    def __init__(self, *, sizes: Sequence[int], d_token: int) -> None:
        super().__init__(n_numeric=0, cardinalities=[size + 1 for size in sizes], d_token=d_token, noise_floor=0.0)
        self.raw_noise.requires_grad = False  # without numeric cells it would never get a gradient


def class_log_prob(likelihood: Likelihood, classes: Tensor) -> Tensor:
    """Log-probability [B, D] of every cell's class."""
    return likelihood.log_prob(likelihood.numeric.mean, classes + 1)


def probabilities(likelihood: Likelihood, n_features: int) -> Tensor:
    """Class probabilities [B, D, C] side by side; features with fewer than C classes end in zeros."""
    widest = max(logits.shape[-1] for logits in likelihood.logits)
    first = likelihood.logits[0]
    out = first.new_zeros(first.shape[0], n_features, widest)
    for logits, group in zip(likelihood.logits, likelihood.groups, strict=True):
        out[:, group, : logits.shape[-1]] = logits.softmax(-1)
    return out
