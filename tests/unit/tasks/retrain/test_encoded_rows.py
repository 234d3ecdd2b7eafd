"""Encoded rows are held in memory where they fit, and read from shards where they do not."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from varjepa.config import TrainingSection
from varjepa.errors import VarjepaError
from varjepa.tasks.retrain.encoded_rows import EncodedRows
from varjepa.training.distributed import World
from varjepa.training.epoch_rows import HeldRows, ShardedRows


def test_what_does_not_fit_into_memory_is_read_from_shards(stored, tmp_path: Path, monkeypatch) -> None:
    path, preprocessor = stored
    folder, device = tmp_path / "shards", torch.device("cpu")
    held = EncodedRows(path, preprocessor, TrainingSection(), device).source(["train"], folder, World())
    assert isinstance(held, HeldRows)
    assert not folder.exists()
    rows = EncodedRows(path, preprocessor, TrainingSection(memory=2e-5), device)  # 21 kB, 10 bytes a row
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
        with pytest.raises(VarjepaError, match=r"Make room, or raise training\.memory"):
            rows.source(["train"], folder, World())
    found = rows.source(["train"], folder, World())
    assert isinstance(found, ShardedRows)
    assert found.n_rows == held.n_rows
    assert 4 * max(found.shards.rows) * 10 < 1.3 * 2e-5 * 2**30  # drawn sizes vary
