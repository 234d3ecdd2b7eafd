"""What the gate writes to a version's description, which the tracking UI shows as Markdown, is text of tables, too."""

from pathlib import Path

import pytest

from varjepa.evaluation.gate.verdict import Verdict
from varjepa.evaluation.gate.veto import Veto
from varjepa.tasks.release.gate import HEADLINE, _write_down
from varjepa.tasks.release.register import Registered
from varjepa.tasks.tracking.store import client_for

HOSTILE = "job ![x](https://evil.example/x.png) <b>\n## Gate\n"


@pytest.mark.slow
def test_names_of_groups_are_no_markup(tmp_path: Path) -> None:
    client = client_for(f"sqlite:///{tmp_path}/mlflow.db")
    client.create_registered_model("people")
    client.create_model_version("people", str(tmp_path))
    client.update_model_version("people", "1", "The card.\n")
    verdict = Verdict("worse", f"worse: {HOSTILE}", (Veto("subgroup", HOSTILE),), (HOSTILE,))
    for _ in range(2):  # the second time it replaces the first
        _write_down(client, Registered("people", 1, "models:/people/1"), verdict, None, "worse", promoted=False)
    text = client.get_model_version("people", "1").description
    assert text.startswith(f"The card.\n{HEADLINE}")
    assert text.count(HEADLINE) == 1
    assert not [mark for mark in ("![", " [x]", "https://", "<b>") if mark in text]
