"""Any settings and any contract are read or refused in words, at once; what is accepted runs."""

import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.flows.conftest import CONTRACT, SMALL
from tests.property.fuzz.settings import PLAUSIBLE, damaged_text, keys_of, mutated_content
from tests.property.fuzz.trials import Hang, report, seeds, within
from varjepa.config import RetrainConfig, load_config
from varjepa.config.yaml_text import dump_yaml
from varjepa.data.read.contract import Contract, load_contract
from varjepa.errors import ConfigError, DataError

JOB: dict[str, Any] = {
    "data": {"path": "people.csv", "label": "rich"}, "contract": {"path": "contract.yaml"},
    "registry": {"name": "people"},
} | SMALL  # fmt: skip
JOB_KEYS, CONTRACT_KEYS = keys_of(RetrainConfig.model_json_schema()), keys_of(Contract.model_json_schema())
CONTRACT_KEYS |= {f"columns.{name}": [] for name in ("age", "job", "new", "*")}
CONTRACT_KEYS |= {f"columns.age.{key}": PLAUSIBLE[kind] for key, kind in
                  {"kind": "string", "min": "number", "max": "number", "values": "array", "nullable": "boolean",
                   "max_missing": "number", "unique": "boolean"}.items()}  # fmt: skip

RUN_KEYS = {key: values for key, values in JOB_KEYS.items() if not key.startswith("tracking")}

SECONDS = 2.0
"""Reading a file of settings takes longer only if something in it grows without bound."""


@pytest.mark.slow
def test_any_settings_are_read_or_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes, faults, file = Counter[str](), list[str](), tmp_path / "job.yaml"
    for seed in seeds(200, 1000):
        draw = random.Random(seed)
        content, keys, load = _of_either_kind(draw)
        text = damaged_text(draw, content) if draw.random() < 0.4 else _written(mutated_content(draw, content, keys)[0])
        file.write_text(text, encoding="utf-8")
        began = time.monotonic()
        try:
            with within(20):
                loaded = load(file)
            outcomes["read"] += 1
            again = dump_yaml(loaded.model_dump(mode="json"))
            file.write_text(again, encoding="utf-8")
            if load(file) != loaded:
                faults.append(f"{seed}: read otherwise after it was written:\n{text}")
        except (ConfigError, DataError) as error:
            outcomes["refused"] += 1
            if len(str(error)) > 5000 or "Traceback" in str(error):
                faults.append(f"{seed}: {len(str(error))} letters of words")
        except (Exception, Hang) as error:  # noqa: BLE001 (that is what is looked for)
            faults.append(f"{seed}: {type(error).__name__}: {str(error)[:300]}\n{text[:1500]}")
        if time.monotonic() - began > SECONDS:
            faults.append(f"{seed}: took {time.monotonic() - began:.1f} s")
    report(capsys, "settings and contracts", outcomes, faults)


def _of_either_kind(draw: random.Random) -> tuple[dict[str, Any], dict[str, list[Any]], Any]:
    if draw.random() < 0.6:
        return JOB, JOB_KEYS, load_config
    return yaml.safe_load(CONTRACT), CONTRACT_KEYS, load_contract


def _written(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, allow_unicode=True)
