"""After the training, a row that several steps embed goes through the network once."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.small_networks import SMALL
from varjepa.config import parse_config
from varjepa.data.encode.encoded import read_part
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.tensors.table import TableTensors
from varjepa.inference.drift_counts import DAMAGED_BATCHES, DAMAGED_ROWS
from varjepa.inference.kept_embeddings import KeptEmbeddings, KeptRows, keep_embeddings
from varjepa.models.embedding import CPU_ROWS, embed
from varjepa.models.var_t_jepa import VarTJEPANetwork
from varjepa.tasks.retrain import embeddings
from varjepa.tasks.retrain.calibrate import calibrate
from varjepa.tasks.retrain.compact import compact
from varjepa.tasks.retrain.embeddings import embedder_of
from varjepa.tasks.retrain.generate import Generated
from varjepa.tasks.retrain.ingest import ingest
from varjepa.tasks.retrain.preprocess import preprocess
from varjepa.tasks.retrain.probe import probe
from varjepa.tasks.retrain.reference import make_reference
from varjepa.tasks.studies.embed_rows import embed_rows
from varjepa.tasks.studies.untrained import untrained

pytestmark = pytest.mark.slow  # trees are fitted


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A small table, and a network that nothing has trained, in a working folder of their own."""
    config = parse_config({
        "data": {"name": "sim", "rows": 400, "label": "label", "drop": ["ambiguity"]},
        "model": SMALL.model_dump(), "generator": {"n_layers": 0}, "training": {"device": "cpu"},
        "probe": {"head": "boosted"}, "uncertainty": {"ensemble": 1, "draws": 1, "masks": 1},
    })  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("job")
        patch.chdir(home)
        prepared = preprocess.plainly(ingest.plainly(config).path, config)
        pretrained = untrained.plainly(prepared, config)
        # Curves of one epoch, as the figures need them.
        names = ("elbo", "rec", "gen", "kl_sx", "kl_z", "kl_sy")
        curve = {f"{part}/{name}": 1.0 for part in ("train", "validation") for name in names} | {"epoch": 0.0}
        Path("history.json").write_text(json.dumps([curve]))
        pretrained = replace(pretrained, history=Path("history.json").absolute())
        yield SimpleNamespace(config=config, prepared=prepared, pretrained=pretrained, home=home)


def row_keys(table: TableTensors) -> list[bytes]:
    """One key per row, from its cells; SIM has no gaps, so a row with hidden cells is another one."""
    numeric, codes = table.blanked()
    return [row.tobytes() for row in np.c_[numeric.numpy(), codes.numpy(), table.observed.numpy()]]


def test_no_step_embeds_again_what_another_one_has_embedded(job: SimpleNamespace, monkeypatch) -> None:
    passes, own = Counter[bytes](), VarTJEPANetwork.embed

    def counted(network: VarTJEPANetwork, table: TableTensors) -> object:
        passes.update(row_keys(table))
        return own(network, table)

    monkeypatch.setattr(VarTJEPANetwork, "embed", counted)
    prepared, pretrained, config = job.prepared, job.pretrained, job.config
    preprocessor = Preprocessor.read(prepared.preprocessor)
    rows = {name: row_keys(read_part(prepared.encoded, preprocessor, name).table) for name in prepared.parts}
    compact.plainly(prepared, pretrained, config)
    assert {passes[key] for key in rows["train"]} == {1}
    probed = probe.plainly(prepared, pretrained, config)
    calibrated = calibrate.plainly(prepared, pretrained, probed, config)
    assert {passes[key] for part in rows.values() for key in part} == {1}
    # Untouched rows share batches of two parts, as these are small; and rows with damaged cells are other rows.
    before, untouched = passes.total(), prepared.parts["calibration"] + prepared.parts["test"]
    make_reference.plainly(
        prepared, pretrained, generated=Generated(None, 0.0), probed=probed, calibrated=calibrated, config=config
    )
    assert passes.total() - before == untouched + DAMAGED_BATCHES * min(DAMAGED_ROWS, untouched // 2)


def test_the_steps_read_what_the_network_says(job: SimpleNamespace) -> None:
    preprocessor = Preprocessor.read(job.prepared.preprocessor)
    network = job.pretrained.network(preprocessor, job.config)
    embedder = embedder_of(job.prepared, job.pretrained, job.config, network, "train", "validation", "test")
    embedded = embed_rows.plainly(job.prepared, job.pretrained, job.config)
    for name in ("train", "validation", "test"):
        part = read_part(job.prepared.encoded, preprocessor, name)
        anew, read = embed(network, part.table), embedder(part.table, part.rows)
        assert torch.equal(read.mean, anew.mean)
        assert read.scale is not None
        assert anew.scale is not None
        assert torch.equal(read.scale, anew.scale)
        assert np.array_equal(embedded.part(name), anew.mean.numpy())
    uncertainty = embedded.uncertainty()
    assert uncertainty is not None
    np.testing.assert_allclose(uncertainty, anew.scale.flatten(1).mean(1).numpy(), rtol=1e-6)


def test_little_room_keeps_fewer_rows_and_changes_nothing(job: SimpleNamespace, monkeypatch) -> None:
    preprocessor = Preprocessor.read(job.prepared.preprocessor)
    network = job.pretrained.network(preprocessor, job.config)
    parts = ("train", "validation", "calibration", "test")
    part = read_part(job.prepared.encoded, preprocessor, *parts)
    each = 2 * 4 * preprocessor.sizes.n_features * network.d_hidden
    assert len(part.rows) > CPU_ROWS
    for most, kept_rows in ((300 * each, CPU_ROWS), (each - 1, 0)):
        monkeypatch.setattr(embeddings, "MOST_BYTES", most)
        some = embeddings._with_room(job.home, network, part)
        assert len(some.rows) == kept_rows
        folder = job.home / f"room for {kept_rows}"
        folder.mkdir()
        keep_embeddings(folder, network, some)
        read, anew = KeptEmbeddings(network, (KeptRows(folder),))(part.table, part.rows), embed(network, part.table)
        assert torch.equal(read.mean, anew.mean)
