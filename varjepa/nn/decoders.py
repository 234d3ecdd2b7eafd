"""Decoders: one linear head per feature from its own latent token to a likelihood of its cell."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from varjepa.nn.gaussian import DiagonalGaussian, in_full, widened


class Likelihood(NamedTuple):
    """p(cells given latent tokens) for every feature of a row.

    `numeric` holds [B, n_numeric]; each entry of `logits` holds [B, features in group, classes] for the categorical
    features in the matching entry of `groups`. Class c stands for code c + 1: the code of a missing cell (0) is never
    predicted.
    """

    numeric: DiagonalGaussian
    logits: tuple[Tensor, ...]
    groups: tuple[Tensor, ...]

    def log_prob(self, numeric: Tensor, codes: Tensor) -> Tensor:
        """Log-likelihood per cell [B, n_numeric + n_categorical]; meaningless where the cell is missing."""
        categorical = self.numeric.mean.new_zeros(codes.shape)
        for logits, group in zip(self.logits, self.groups, strict=True):
            # Code 0 (missing) has no class; clamped to stay in range, as its result is not used.
            classes = (codes[:, group] - 1).clamp(min=0)
            log_prob = -F.cross_entropy(logits.flatten(0, 1), classes.flatten(), reduction="none")
            categorical = categorical.index_copy(1, group, log_prob.view(classes.shape))
        return torch.cat([self.numeric.log_prob(numeric), categorical], dim=1)


class FeatureDecoder(nn.Module):
    """Linear heads, grouped so that features of similar cardinality share one batched matrix product.

    Args:
        n_numeric: numeric features.
        cardinalities: codes per categorical feature, the reserved ones included.
        d_token: width of a latent token.
        noise_floor: smallest scale of the learned global noise of numeric cells (sigma_x or sigma_y in eq. 9-10).

    Logits and means have at least 32 bits, also under autocast.

    Shape:
        tokens [B, D, d_token] -> `Likelihood` of D features
    """

    matrices = ("weight", "class_weights")

    def __init__(self, *, n_numeric: int, cardinalities: Sequence[int], d_token: int, noise_floor: float) -> None:
        super().__init__()
        self.n_numeric = n_numeric
        self.noise_floor = noise_floor
        self.weight = nn.Parameter(torch.randn(n_numeric, d_token) / d_token**0.5)
        self.bias = nn.Parameter(torch.zeros(n_numeric))
        self.raw_noise = nn.Parameter(torch.tensor(0.0))
        buckets = bucketed([c - 1 for c in cardinalities])  # classes: codes without that of a missing cell
        # Where each feature's weights are: its bucket, and its place in it.
        self.places = {
            feature: (bucket, place)
            for bucket, (members, _) in enumerate(buckets)
            for place, feature in enumerate(members)
        }
        self.class_weights = nn.ParameterList(
            torch.randn(len(members), d_token, classes) / d_token**0.5 for members, classes in buckets
        )
        self.class_biases = nn.ParameterList(
            class_bias([cardinalities[m] - 1 for m in members], classes) for members, classes in buckets
        )
        for number, (members, _) in enumerate(buckets):
            # Not saved with the weights: they follow from the cardinalities.
            self.register_buffer(f"group_{number}", torch.tensor(members), persistent=False)

    @property
    def noise_scale(self) -> Tensor:
        """Scale of numeric cells, a scalar, >= noise_floor."""
        return self.noise_floor + F.softplus(self.raw_noise)

    def forward(self, tokens: Tensor) -> Likelihood:
        tokens = widened(tokens)
        mean = (tokens[:, : self.n_numeric] * self.weight).sum(-1) + self.bias  # [B, Dn]
        logvar = (2 * self.noise_scale.log()).expand_as(mean)
        groups = tuple(self.get_buffer(f"group_{number}") for number in range(len(self.class_weights)))
        logits = []
        # Autocast would round logits to 8 bits: one near 20 by up to 0.06 nats.
        with in_full(tokens.device):
            for group, weight, bias in zip(groups, self.class_weights, self.class_biases, strict=True):
                latent = tokens[:, self.n_numeric + group].transpose(0, 1)  # [G, B, d]
                logits.append(torch.baddbmm(bias[:, None, :], latent, weight).transpose(0, 1))  # [B, G, C]
        return Likelihood(DiagonalGaussian(mean, logvar), tuple(logits), groups)

    def class_log_probs(self, tokens: Tensor, feature: int) -> Tensor:
        """Log-probabilities [B, C] of the classes of one categorical feature from its tokens [B, d_token]."""
        bucket, place = self.places[feature]
        weight, bias = self.class_weights[bucket][place], self.class_biases[bucket][place]
        with in_full(tokens.device):
            return torch.addmm(bias, widened(tokens), weight).log_softmax(1)


def class_bias(sizes: Sequence[int], classes: int) -> Tensor:
    """Initial biases [features, classes]: 0, and far below for padding, so that padding has no probability."""
    padding = torch.arange(classes)[None, :] >= torch.tensor(sizes)[:, None]
    return torch.zeros(len(sizes), classes).masked_fill(padding, -1e4)


def bucketed(sizes: Sequence[int]) -> list[tuple[list[int], int]]:
    """Groups positions whose sizes lie within a factor of two of each other.

    Returns:
        (positions, largest size among them) per group, smallest sizes first.

    Examples:
        >>> bucketed([2, 9, 3, 16])
        [([0], 2), ([2], 3), ([1, 3], 16)]
    """
    groups: dict[int, list[int]] = {}
    for position, size in enumerate(sizes):
        groups.setdefault(max(size - 1, 0).bit_length(), []).append(position)  # keyed by the next power of two
    return [(members, max(sizes[m] for m in members)) for _, members in sorted(groups.items())]
