"""Rows of the encoded table: packed, sampled and whole."""

import numpy as np
import pytest
import torch

from tests.unit.data.stored_table import ROWS
from varjepa.data.encode import encoded
from varjepa.data.encode.encoded import Part, read_packed, read_part, read_sample


def same(first: Part, second: Part) -> None:
    assert np.array_equal(first.rows, second.rows)
    assert np.array_equal(first.clusters, second.clusters)
    assert torch.equal(first.labels.nan_to_num(-1), second.labels.nan_to_num(-1))
    assert all(torch.equal(one, other) for one, other in zip(first.table, second.table, strict=True))


def test_packed_rows_and_samples_are_those_of_the_whole_part(stored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded, "CHUNK", 700)
    path, preprocessor = stored
    for parts in (("train",), ("train", "test")):
        whole, packed = read_part(path, preprocessor, *parts), read_packed(path, preprocessor, *parts)
        assert packed.codes.dtype == torch.int16
        back = packed.rows(slice(None))
        assert all(torch.equal(one, other) for one, other in zip(whole.table, back, strict=True))
        assert [part.dtype for part in back] == [part.dtype for part in whole.table]
        for most in (100, 10**6):
            for learnable, rows in ((False, whole), (True, whole.labelled())):
                found = read_sample(path, preprocessor, *parts, most=most, seed=3, learnable=learnable)
                same(found, rows.take(torch.from_numpy(encoded.sampled(len(rows.labels), most, 3))))
    monkeypatch.setattr(encoded, "PERMUTED", 10)
    sample = read_sample(path, preprocessor, "train", most=400, seed=3)
    assert len(np.unique(sample.rows)) == 400
    assert (np.diff(sample.rows) > 0).all()
    assert abs(sample.rows.mean() / ROWS - 0.5) < 5 * 0.29 / 20  # five standard errors


def test_labels_keep_their_digits_on_every_device(stored) -> None:
    """Around 1.7e12, such as moments in milliseconds, 32-bit floats are two minutes apart."""
    part = read_part(stored[0], stored[1], "train").take(torch.arange(3))
    labels = 1.7e12 + torch.tensor([0.0, 1.0, 2.5], dtype=torch.float64)
    moved = part._replace(labels=labels).to(torch.device("cpu"))
    assert torch.equal(moved.labels, labels)
