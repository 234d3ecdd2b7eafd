"""Tables larger than memory: every row once per pass, in batches like uniform draws, and the same after a kill."""

import torch

from tests.unit.data.stored_table import COUNT, sharded
from varjepa.data.encode import encoded
from varjepa.data.tensors.shards import INDEX, Shards


def test_shards_do_not_depend_on_how_they_were_read_or_interrupted(stored, shards: Shards, tmp_path, monkeypatch):
    monkeypatch.setattr(encoded, "CHUNK", 300)
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "0000.numeric").write_bytes(b"left by a run that was killed")
    again = sharded(stored, tmp_path / "again")
    assert (again.rows, (again.folder / INDEX).is_file()) == (shards.rows, True)
    for number in range(COUNT):
        mine, theirs = shards.read(number), again.read(number)
        assert torch.equal(mine.codes, theirs.codes)
        assert torch.equal(mine.numeric.nan_to_num(99), theirs.numeric.nan_to_num(99))
