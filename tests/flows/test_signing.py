"""Versions that a key of the user has signed: what is refused, by which command, and what the key leaves behind."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.flows.conftest import Answer, caller
from tests.flows.test_secrets import holding
from tests.signing_keys import PASSWORD, write_keys
from varjepa.config.signing import SigningSection
from varjepa.inference.manifest import write_manifest
from varjepa.inference.storage import FILES
from varjepa.tasks.signing.bundle import read_bundle
from varjepa.tasks.signing.keys import PASSWORD as PASSWORD_VARIABLE
from varjepa.tasks.signing.keys import SIGNING_KEY, TRUSTED_KEYS, signing_key
from varjepa.tasks.signing.sign import sign

pytestmark = pytest.mark.slow
OLD = Path(__file__).parent / "registered_by_40547f5" / "var_t_jepa" / "model"
COMPILED = shutil.ignore_patterns("__pycache__")
"""What MLflow may have left when it loaded the model for another test."""


@pytest.fixture(scope="module")
def signed(handed_over: SimpleNamespace, migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A version that a retrain has signed with an encrypted key, over an unsigned champion; the steps are reused."""
    from mlflow import MlflowClient

    keys, client = tmp_path_factory.mktemp("keys"), MlflowClient(handed_over.uri)
    write_keys(keys, "own", password=PASSWORD)
    write_keys(keys, "other")
    before = client.get_model_version("people", "1")
    client.create_registered_model("signed")
    client.create_model_version("signed", before.source, tags=before.tags)
    client.set_registered_model_alias("signed", "champion", "1")
    with pytest.MonkeyPatch.context() as patch:
        call = caller(handed_over.home, migrated, patch)
        patch.setenv(PASSWORD_VARIABLE, PASSWORD)
        named = ("registry.name=signed", f"signing.key_file={keys}/own.pem", f"signing.trusted_keys={keys}/own.pub")
        answer = call("retrain", handed_over.job, "--json", *(word for value in named for word in ("--set", value)))
        key = signing_key(SigningSection(key_file=str(keys / "own.pem")))
    assert answer.code == 0, answer.err
    return SimpleNamespace(answer=answer, client=client, keys=keys, key=key, home=handed_over.home, uri=handed_over.uri)


@pytest.fixture
def version(signed: SimpleNamespace, varjepa: Callable[..., Answer], tmp_path: Path, handed_over) -> SimpleNamespace:
    """A copy of the signed version in a store of its own, in which tests may change files."""
    from mlflow import MlflowClient

    from varjepa.tasks.registry.open_model import fetched

    before = signed.client.get_model_version("signed", "2")
    folder = Path(shutil.copytree(fetched("models:/signed/2", signed.uri), tmp_path / "logged", ignore=COMPILED))
    client = MlflowClient(f"sqlite:///{tmp_path}/home/mlruns/mlflow.db")
    client.create_registered_model("signed")
    client.create_model_version("signed", str(folder), tags=before.tags)
    handed_over.table.write_csv(tmp_path / "home" / "people.csv")
    return SimpleNamespace(folder=folder, call=varjepa, client=client)


def command_line(folder: Path, key: Path) -> subprocess.CompletedProcess[str]:
    """Verifies a folder as docs/signing.md says, without any of our code."""
    words = ["verify", "key", str(folder), "--signature", str(folder / "model.sig"), "--public_key", str(key)]
    return subprocess.run([sys.executable, "-m", "model_signing", *words], capture_output=True, text=True, check=False)


def test_a_retrain_signs_what_it_registers_and_says_by_which_key(signed: SimpleNamespace, version) -> None:
    assert signed.answer.json["model"]["version"] == 2  # the same model again, as the first was not signed
    tags = signed.client.get_model_version("signed", "2").tags
    assert tags["varjepa.signed_by"] == read_bundle(version.folder).key
    assert "varjepa.signed_by" not in signed.client.get_model_version("signed", "1").tags
    done = command_line(version.folder, signed.keys / "own.pub")
    assert (done.returncode, "Verification succeeded" in done.stdout) == (0, True), done.stderr
    assert command_line(version.folder, signed.keys / "other.pub").returncode == 1


def test_a_champion_that_is_not_signed_counts_as_none_and_the_decision_says_so(signed: SimpleNamespace) -> None:
    assert signed.client.get_model_version_by_alias("signed", "champion").version == 2
    assert "version 1, the champion, counts as none" in signed.answer.json["reason"]
    assert "is not signed" in signed.answer.json["reason"]


def test_a_signed_model_is_known_again(signed: SimpleNamespace, migrated, handed_over, monkeypatch) -> None:
    from varjepa.config.load import load_config
    from varjepa.tasks.release.register import known_version

    tags = signed.client.get_model_version("signed", "2").tags
    for name, key, known in (("own", signed.keys / "own.pem", 2), ("other", signed.keys / "other.pem", None)):
        monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
        config = load_config(handed_over.job, [f"tracking.uri={signed.uri}", f"signing.key_file={key}"])
        assert known_version("signed", tags["varjepa.model_digest"], config) == known, name


def test_the_key_and_its_password_lie_nowhere_but_in_the_file(signed: SimpleNamespace) -> None:
    lines = (signed.keys / "own.pem").read_text().splitlines()
    for secret in (PASSWORD, lines[1], lines[2]):
        assert secret not in signed.answer.out + signed.answer.err
        assert holding(signed.home, secret) == []


def test_mlflow_loads_a_signed_version(signed: SimpleNamespace, handed_over: SimpleNamespace) -> None:
    import mlflow

    mlflow.set_tracking_uri(signed.uri)
    rows = handed_over.table.head(3).drop("rich", "customer_id", "country").to_pandas()
    assert len(mlflow.pyfunc.load_model("models:/signed/2").predict(rows)) == 3


def test_a_job_signs_only_what_it_has_made(version, tmp_path) -> None:
    from varjepa.errors import ModelError
    from varjepa.tasks.release.register import _require_own

    own = SimpleNamespace(model=shutil.copytree(version.folder / "artifacts/model", tmp_path / "made"))
    _require_own(version.folder, own, tmp_path)
    for change, words in ((changed, "served_model.py"), (forged, "the manifest")):
        change(version.folder)
        with pytest.raises(ModelError, match=words):
            _require_own(version.folder, own, tmp_path)


def changed(folder: Path) -> None:
    """A page of code that says that it ran."""
    (folder / "served_model.py").write_text(f"import pathlib\npathlib.Path({str(folder.parent / 'ran')!r}).touch()\n")


def forged(folder: Path) -> None:
    """A model of others, with a manifest that fits it."""
    (folder / "artifacts/model/config.json").write_bytes((folder / "artifacts/model/config.json").read_bytes() + b" ")
    write_manifest(folder / "artifacts/model", FILES)


def resigned(folder: Path, key: Path) -> None:
    """A signature by another key in the place of ours, made by the command line of model-signing."""
    words = ["sign", "key", str(folder), "--signature", str(folder / "model.sig"), "--private_key", str(key)]
    subprocess.run([sys.executable, "-m", "model_signing", *words], check=True, capture_output=True)


def swapped(folder: Path) -> None:
    """Another list of files under the old signature."""
    import base64

    content = json.loads((folder / "model.sig").read_text())
    payload = base64.b64decode(content["dsseEnvelope"]["payload"]).replace(b"served_model.py", b"served_model.pu")
    content["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    (folder / "model.sig").write_text(json.dumps(content))


def another(folder: Path, key: Any) -> None:
    """The signature of another version, whose files differ in what MLflow wrote beside the same model."""
    copy = Path(shutil.copytree(folder, folder.parent / "another"))
    (copy / "MLmodel").write_text((copy / "MLmodel").read_text().replace("model_id: m-", "model_id: m-0"))
    sign(copy, folder, key)


FAULTS: dict[str, tuple[Callable[[Path, Any], object], str]] = {
    "no signature": (lambda folder, _: (folder / "model.sig").unlink(), "is not signed (model.sig is missing)"),
    "no text": (lambda folder, _: (folder / "model.sig").write_bytes(b"{}"), "cannot be read: KeyError"),
    "a changed byte": (lambda folder, _: changed(folder), "served_model.py has changed"),
    "another model": (lambda folder, _: forged(folder), "artifacts/model/config.json has changed, and 1 more"),
    "an added file": (lambda folder, _: (folder / "conftest.py").touch(), "conftest.py was added"),
    "a removed file": (lambda folder, _: (folder / "input_example.json").unlink(), "input_example.json is missing"),
    "a link": (lambda folder, _: (folder / "link").symlink_to("/etc/hostname"), "link was added"),
    "a swapped list": (lambda folder, _: swapped(folder), "was not signed by that key"),
    "another version's": (lambda folder, made: another(folder, made.key), "MLmodel has changed"),
    "another key": (lambda folder, made: resigned(folder, made.keys / "other.pem"), "not among the trusted ones"),
    "a part": (lambda folder, made: sign(folder / "artifacts", folder, made.key), "MLmodel was added"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_differs_from_what_was_signed_is_refused_in_words(fault, version, signed, tmp_path) -> None:
    change, words = FAULTS[fault]
    change(version.folder, signed)
    for place in ("models:/signed/1", str(version.folder)):
        answer = version.call("verify", place, "--public-key", signed.keys / "own.pub", "--json")
        assert (answer.code, words in answer.json["error"]) == (2, True), answer.err
    assert not (tmp_path / "ran").exists()


COMMANDS = {
    "score": ("people.csv", "out.parquet"), "score --dry-run": ("people.csv", "out.parquet"),
    "score --runner threads": ("people.csv", "scores"),
    "impute": ("people.csv", "out.csv"), "sample": ("5", "out.csv"), "similar": ("people.csv", "people.csv", "out.csv"),
    "duplicates": ("people.csv", "out.csv"), "outliers": ("people.csv", "out.csv"), "drift": ("people.csv",),
    "evaluate": ("people.csv",), "promote": (), "approve": ("--why", "it is good"), "verify": (), "serve": (),
}  # fmt: skip


def test_every_command_refuses_a_model_that_nobody_trusted_has_signed(version, signed, monkeypatch) -> None:
    monkeypatch.setenv(TRUSTED_KEYS, str(signed.keys / "other.pub"))
    for command, arguments in COMMANDS.items():
        name, *options = command.split()
        answer = version.call(name, "models:/signed/1", *arguments, *options, *(["--json"] if name != "serve" else []))
        assert answer.code == 2, (command, answer.err)
        assert "not among the trusted ones" in answer.err, command
    assert not version.client.get_registered_model("signed").aliases
    monkeypatch.setenv(TRUSTED_KEYS, str(signed.keys / "own.pub"))
    assert version.call("promote", "models:/signed/1", "--json").code == 0
    assert version.call("score", "models:/signed/1", "people.csv", "out.parquet", "--json").code == 0


def test_a_watch_goes_by_the_keys_of_its_config(signed: SimpleNamespace, handed_over: SimpleNamespace) -> None:
    from varjepa.config.load import load_config
    from varjepa.errors import ModelError
    from varjepa.tasks.drift.compare import compare
    from varjepa.tasks.drift.watching import next_look

    keys = f"signing.trusted_keys={signed.keys}/other.pub"
    look = next_look(load_config(handed_over.job, ["registry.name=signed", f"tracking.uri={signed.uri}", keys]))
    assert not isinstance(look, str)
    with pytest.raises(ModelError, match="not among the trusted ones"):
        compare.fn(look.question)


def test_without_a_key_nothing_changes_and_a_signature_is_mentioned(version, signed, handed_over) -> None:
    key = signed.client.get_model_version("signed", "2").tags["varjepa.signed_by"]
    found = version.call("verify", "models:/signed/1", "--json").json
    assert (found["signed_by"], len(found["checked"]), len(found["not_checked"])) == (key, 4, 2)
    assert any(key in line for line in found["not_checked"])
    both = signed.keys / "both.pub"
    both.write_text((signed.keys / "other.pub").read_text() + (signed.keys / "own.pub").read_text())
    checked = version.call("verify", "models:/signed/1", "--public-key", both, "--json").json
    assert (len(checked["checked"]), len(checked["not_checked"])) == (5, 1)
    (version.folder / "model.sig").unlink()
    unsigned = version.call("verify", "models:/signed/1", "--json")
    assert (unsigned.code, unsigned.json["signed_by"]) == (0, None)


def test_what_mlflow_compiled_is_named(version, signed) -> None:
    (version.folder / "__pycache__").mkdir()
    (version.folder / "__pycache__" / "served_model.cpython-311.pyc").touch()
    answer = version.call("verify", "models:/signed/1", "--public-key", signed.keys / "own.pub", "--json")
    assert any("__pycache__" in line for line in answer.json["not_checked"])


def test_a_model_of_an_earlier_commit_is_read_without_a_key_only(signed, varjepa, monkeypatch) -> None:
    assert varjepa("verify", OLD, "--json").code == 0
    monkeypatch.setenv(TRUSTED_KEYS, str(signed.keys / "own.pub"))
    assert "is not signed" in varjepa("verify", OLD, "--json").json["error"]


def test_keys_are_checked_before_any_work(signed, handed_over, varjepa, monkeypatch) -> None:
    keys = signed.keys
    faults = {
        "does not open with the password": {SIGNING_KEY: keys / "own.pem", PASSWORD_VARIABLE: "wrong-one"},
        "is not among the trusted ones": {SIGNING_KEY: keys / "other.pem", TRUSTED_KEYS: keys / "own.pub"},
        "but this job signs nothing": {TRUSTED_KEYS: keys / "own.pub"},
    }
    for words, variables in faults.items():
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, str(value))
            answer = varjepa("retrain", handed_over.job, "--json")
        assert (answer.code, words in answer.json["error"]) == (2, True), answer.err
