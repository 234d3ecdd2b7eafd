"""Trials of a better embedding: settings, and parts of the network in place of the published ones."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from varjepa.nn.decoders import FeatureDecoder
from varjepa.nn.gaussian import LOGVAR_RANGE, DiagonalGaussian
from varjepa.nn.tokenizer import FeatureTokenizer

KL_WEIGHTS = ("kl_sx_final", "kl_z_final", "kl_sy_final")

SETTINGS: dict[str, dict[str, dict[str, float]]] = {
    # Inference sees all cells of a row; training as configured sees at most a third of them.
    "contexts up to whole rows": {"masking": {"ctx_share_max": 1.0}},
    "half of the cells as context": {"masking": {"ctx_share_min": 0.5, "ctx_share_max": 0.5}},
    "no kl_sy": {"objective": {"kl_sy_final": 0.0}},
    "no context decoder": {"objective": {"weight_rec": 0.0}},
    "batches of 2,048 at twice the rate": {"training": {"batch_size": 2048, "lr": 2.0}},
    "kl x100": {"objective": dict.fromkeys(KL_WEIGHTS, 100.0)},
}
"""Settings by section: shares, sizes and zero as they are, rates and weights as factors."""

FACTORS = ("lr", *KL_WEIGHTS)

SWEPT = {f"all kl {weight:g}": weight for weight in (1e-3, 1e-2, 1e-1, 1.0)}
"""Final weights of all three KL terms; 1 is the bound itself, as likelihoods and KLs are means over features."""


class Damaged(nn.Module):
    """The tokens of a row of which some cells are hidden, or come from other rows, while the network is in training.

    The likelihood is still that of the true cells, as in a denoising autoencoder.

    Args:
        tokenizer: of whole rows.
        share: of the cells that are damaged.
        swapped: by cells of other rows of the batch, as in SCARF (arXiv 2106.15147); otherwise they are blank.
    """

    def __init__(self, tokenizer: FeatureTokenizer, share: float, *, swapped: bool) -> None:
        super().__init__()
        self.tokenizer, self.share, self.swapped = tokenizer, share, swapped
        self.random = torch.Generator().manual_seed(0)

    def forward(self, numeric: Tensor, codes: Tensor) -> Tensor:
        """Tokens [B, D, d] of numbers [B, Dn] and codes [B, Dc]."""
        if not self.training:
            return self.tokenizer(numeric, codes)
        return self.tokenizer(self._damaged(numeric), self._damaged(codes))

    def _damaged(self, cells: Tensor) -> Tensor:
        hit = torch.rand(cells.shape, generator=self.random) < self.share
        if not self.swapped:
            return cells.masked_fill(hit, 0)
        others = torch.rand(cells.shape, generator=self.random).argsort(0)
        return torch.where(hit, cells.gather(0, others), cells)


class Periodic(nn.Module):
    """Tokens with sines and cosines of every number, at frequencies that are learned (arXiv 2203.05556, section 3.3).

    Args:
        tokenizer: to whose tokens they are added.
        n_frequencies: of each number.
        spread: standard deviation of the initial frequencies, in periods per standard deviation of the number.
    """

    def __init__(self, tokenizer: FeatureTokenizer, n_frequencies: int = 16, spread: float = 0.3) -> None:
        super().__init__()
        self.tokenizer, n, d = tokenizer, tokenizer.n_numeric, tokenizer.weight.shape[0]
        random = torch.Generator().manual_seed(0)
        self.frequencies = nn.Parameter(torch.randn(n, n_frequencies, generator=random) * spread)
        scale = (2 * n_frequencies * d) ** -0.5
        self.steps = nn.Parameter(torch.randn(n, 2 * n_frequencies, d, generator=random) * scale)

    def forward(self, numeric: Tensor, codes: Tensor) -> Tensor:
        """Tokens [B, D, d] of numbers [B, Dn] and codes [B, Dc]."""
        angles = 2 * torch.pi * numeric.unsqueeze(-1) * self.frequencies  # [B, Dn, F]
        waves = torch.cat([angles.sin(), angles.cos() - 1], dim=-1)  # 0 at the number 0, which missing cells have
        tokens = self.tokenizer(numeric, codes)
        parts = torch.einsum("bnf,nfd->bnd", waves, self.steps)
        return torch.cat([tokens[:, : numeric.shape[1]] + parts, tokens[:, numeric.shape[1] :]], dim=1)


class Nothing(nn.Module):
    """A z that says nothing: the same narrow Gaussian around 0 for every row."""

    def forward(self, hidden: Tensor) -> DiagonalGaussian:
        """N(0, the smallest scale) for hidden [B, d]."""
        return DiagonalGaussian(torch.zeros_like(hidden), torch.full_like(hidden, LOGVAR_RANGE[0]))


def _noise_per_feature(network: nn.Module) -> None:
    for decoder in network.modules():
        if isinstance(decoder, FeatureDecoder):
            decoder.raw_noise = nn.Parameter(torch.zeros(decoder.n_numeric))


def _no_z(network: nn.Module) -> None:
    network.add_module("z_head", Nothing())


def _tokens(wrapped: Callable[[FeatureTokenizer], nn.Module]) -> Callable[[nn.Module], None]:
    def change(network: nn.Module) -> None:
        tokenizer = network.get_submodule("tokenizer")
        assert isinstance(tokenizer, FeatureTokenizer)
        network.add_module("tokenizer", wrapped(tokenizer))

    return change


CHANGES: dict[str, Callable[[nn.Module], None]] = {
    "a third of the cells hidden": _tokens(lambda tokens: Damaged(tokens, 1 / 3, swapped=False)),
    "a fifth of the cells swapped": _tokens(lambda tokens: Damaged(tokens, 0.2, swapped=True)),
    "periodic tokens": _tokens(Periodic),
    "noise per feature": _noise_per_feature,
    "no z": _no_z,
}
"""Changes of a network that has not been trained."""

AVERAGED = "weights averaged"
"""The trial whose network has the moving average of its weights over the steps."""


class Average:
    """The moving average of a network's weights, one step at a time.

    Args:
        network: in training; every forward pass of training counts as a step.
        kept: weight of the old average in a step.
    """

    def __init__(self, network: nn.Module, kept: float = 0.99) -> None:
        self.network, self.kept = network, kept
        self.weights = copy.deepcopy(network.state_dict())
        network.register_forward_pre_hook(self._step)

    @torch.no_grad()
    def _step(self, network: nn.Module, _: object) -> None:
        if network.training:
            for name, value in network.state_dict().items():
                if value.is_floating_point():
                    self.weights[name].lerp_(value, 1 - self.kept)

    def use(self) -> None:
        """Gives the network its average."""
        self.network.load_state_dict(self.weights)


TRIALS = (*SETTINGS, *SWEPT, *CHANGES, AVERAGED)
