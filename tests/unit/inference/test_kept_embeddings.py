"""Embeddings that were kept are those of the network, for any rows in any order."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.small_networks import SIZES, SMALL, random_table, small_network
from varjepa.data.encode.encoded import Part
from varjepa.inference.kept_embeddings import CHUNK, MEAN, SCALE, KeptEmbeddings, KeptRows, fresh, keep_embeddings
from varjepa.models.embedding import CPU_ROWS
from varjepa.models.network import TableNetwork
from varjepa.models.t_jepa import TJEPANetwork

ROWS = CHUNK + 300


def numbered(rows: int = ROWS) -> Part:
    """Rows with gaps, in an order that is not that of their numbers."""
    numbers = 3 * np.random.default_rng(0).permutation(rows)
    return Part(random_table(rows), torch.zeros(rows), numbers)


@pytest.fixture(params=["var_t_jepa", "t_jepa"])
def network(request: pytest.FixtureRequest) -> TableNetwork:
    return small_network() if request.param == "var_t_jepa" else TJEPANetwork(sizes=SIZES, model=SMALL).eval()


def test_what_is_read_is_what_the_network_says(network: TableNetwork, tmp_path: Path) -> None:
    part = numbered()
    (tmp_path / MEAN).write_bytes(b"half of the file of a killed process" * 10_000)
    keep_embeddings(tmp_path, network, part)
    kept, anew = KeptRows(tmp_path), fresh(network)(part.table, part.rows)
    # The same rows beside each other: the same numbers to the last bit, whether read as a whole or through the index.
    whole, read = kept.read(np.arange(ROWS)), KeptEmbeddings(network, (kept,))(part.table, part.rows)
    for found in (whole, read):
        assert torch.equal(found.mean, anew.mean)
        assert (found.scale is None) == (anew.scale is None) == (not network.has_scale)
        assert found.scale is None or anew.scale is None or torch.equal(found.scale, anew.scale)
    assert isinstance(kept.means(), np.memmap)
    assert (tmp_path / SCALE).is_file() == network.has_scale


@pytest.mark.slow
def test_a_batch_is_read_or_embedded_as_a_whole_to_the_same_bits(tmp_path: Path, monkeypatch) -> None:
    network, part = small_network(), numbered(5 * CPU_ROWS + 3)
    first, second, nothing = (tmp_path / name for name in ("first", "second", "nothing"))
    end = 3 * CPU_ROWS + 2  # two rows in a batch of their own, where a CPU rounds otherwise
    for folder, rows in ((first, slice(0, end)), (second, slice(end, None)), (nothing, slice(0, 0))):
        folder.mkdir()
        keep_embeddings(folder, network, part.take(torch.arange(len(part.rows))[rows]))
    embedder = KeptEmbeddings(network, tuple(map(KeptRows, (first, second, nothing))))
    embedded, own = [], network.embed
    monkeypatch.setattr(network, "embed", lambda table: embedded.append(table.n_rows) or own(table))
    every = torch.arange(len(part.rows))
    mixed = every[: 2 * CPU_ROWS][torch.randperm(2 * CPU_ROWS, generator=torch.Generator().manual_seed(1))]
    for index, missing in (
        (every, CPU_ROWS + 3),  # the batch in which the first part ends, and the last one
        (every[:end], 0),  # the same short batch
        (mixed, 0),
        (every[::2], CPU_ROWS + len(every[::2]) % CPU_ROWS),
        (every[: CPU_ROWS + 1], 1),  # another short batch
        (every[:0], 0),
    ):
        some = part.take(index)
        embedded.clear()
        found = embedder(some.table, some.rows)
        assert sum(embedded) == missing
        anew = fresh(network)(some.table, some.rows)
        assert torch.equal(found.mean, anew.mean)
        assert found.scale is not None
        assert anew.scale is not None
        assert torch.equal(found.scale, anew.scale)


def test_scales_are_left_out_where_nobody_reads_them(tmp_path: Path) -> None:
    keep_embeddings(tmp_path, small_network(), numbered(10), scales=False)
    assert KeptRows(tmp_path).scales() is None
    assert KeptRows(tmp_path).means().shape == (10, SIZES.n_features, SMALL.d_hidden)
