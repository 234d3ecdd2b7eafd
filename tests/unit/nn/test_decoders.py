"""Decoders: likelihoods of cells from their latent tokens."""

import pytest
import torch

from varjepa.models.generator import ClassDecoder
from varjepa.nn.decoders import FeatureDecoder


@pytest.mark.parametrize("large", [1.0, 30.0], ids=["usual", "sure"])
def test_autocast_changes_no_logit_and_no_likelihood(large: float) -> None:
    torch.manual_seed(0)
    decoder = FeatureDecoder(n_numeric=2, cardinalities=[4, 9, 30], d_token=16, noise_floor=0.1)
    tokens = large * torch.randn(50, 5, 16)
    numeric, codes = torch.randn(50, 2), torch.randint(1, 4, (50, 3))
    exact = decoder(tokens)
    with torch.autocast("cpu", torch.bfloat16):
        lowered, log_probs = decoder(tokens), decoder.class_log_probs(tokens[:, 3], 1)
        found = lowered.log_prob(numeric, codes)
    for ours, expected in zip(lowered.logits, exact.logits, strict=True):
        assert ours.dtype == torch.float32
        assert torch.equal(ours, expected)
    assert torch.equal(found, exact.log_prob(numeric, codes))
    assert torch.equal(log_probs, decoder.class_log_probs(tokens[:, 3], 1))


def test_a_generators_decoder_keeps_its_logits_under_autocast() -> None:
    torch.manual_seed(0)
    decoder, tokens = ClassDecoder(sizes=[3, 8], d_token=16), torch.randn(20, 2, 16)
    with torch.autocast("cpu", torch.bfloat16):
        lowered = decoder(tokens)
    for ours, expected in zip(lowered.logits, decoder(tokens).logits, strict=True):
        assert torch.equal(ours, expected)
