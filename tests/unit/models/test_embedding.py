"""Embeddings of rows, and one uncertainty per row."""

import pytest
import torch

from tests.small_networks import random_table, small_network
from varjepa.models.embedding import embed, row_uncertainty


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_embeddings_do_not_depend_on_the_batch(batch_size: int) -> None:
    network, table = small_network(), random_table(64)
    expected, found = embed(network, table, 1024), embed(network, table, batch_size)
    torch.testing.assert_close(found.mean, expected.mean, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.scale, expected.scale, atol=1e-5, rtol=0)
    order = torch.randperm(64)
    torch.testing.assert_close(
        embed(network, table.rows(order), batch_size).mean, expected.mean[order], atol=1e-5, rtol=0
    )


def test_uncertainty_is_one_number_per_row() -> None:
    scale = torch.arange(1.0, 25.0).view(2, 3, 4)
    assert row_uncertainty(scale, "mean").tolist() == [6.5, 18.5]
    assert row_uncertainty(scale, "p90")[0] == pytest.approx(torch.quantile(scale[0], 0.9).item())
