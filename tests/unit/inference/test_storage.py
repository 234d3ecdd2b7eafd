"""What cannot be read is said with what is at fault: the folder, the file or the device."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from varjepa.errors import ConfigError, ModelError
from varjepa.inference.storage import load_config_of, load_model, model_digest, save_config, save_model


@pytest.mark.parametrize("read", [load_model, model_digest])
def test_a_folder_without_a_model(read, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no complete model: config\.json is missing"):
        read(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"data": {"name": "x"}, "modell": {}}'])
@pytest.mark.parametrize("read", [load_model, model_digest])
def test_a_damaged_configuration(read, content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ModelError, match="cannot be read"):
        read(tmp_path)


def test_a_device_that_is_not_there_is_no_fault_of_the_model(world: SimpleNamespace, tmp_path: Path) -> None:
    save_model(tmp_path, world.model)
    with pytest.raises(ConfigError, match='"cuda:99"'):
        load_model(tmp_path, "cuda:99")


@pytest.mark.parametrize(
    ("split", "columns"),
    [({"by": "hash", "column": None}, "all"), ({"by": "hash", "columns": ["a", "b"]}, ("a", "b")),
     ({"by": "hash", "columns": None}, None), ({"by": "random"}, None), (None, None)],
)  # fmt: skip
def test_a_split_means_what_it_meant_when_the_model_was_made(
    split: dict[str, object] | None, columns: object, tmp_path: Path
) -> None:
    """A model from before `split.columns` existed was made with all columns hashed."""
    data = {"name": "x"} | ({} if split is None else {"split": split})
    (tmp_path / "config.json").write_text(json.dumps({"data": data}))
    assert load_config_of(tmp_path).data.split.columns == columns
    save_config(tmp_path, load_config_of(tmp_path))
    assert load_config_of(tmp_path).data.split.columns == columns


def test_the_digest_is_that_of_the_model_not_of_its_job(world: SimpleNamespace, tmp_path: Path) -> None:
    model, section = world.model, world.model.config.gate
    digests = set()
    for number, margin in enumerate((0.01, 0.02)):
        gate = section.model_copy(update={"margin": margin})
        config = model.config.model_copy(update={"gate": gate})
        save_model(tmp_path / str(number), replace(model, config=config))
        digests.add(model_digest(tmp_path / str(number)))
    assert len(digests) == 1
    (tmp_path / "1" / "bars.json").write_text("[]")
    assert model_digest(tmp_path / "1") not in digests
