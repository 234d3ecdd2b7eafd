"""Keys that cannot be used are refused in words, and no word of a private key is repeated."""

import hashlib
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.signing_keys import PASSWORD, write_keys
from varjepa.config.load import load_config, parse_config
from varjepa.config.signing import SigningSection
from varjepa.errors import ConfigError, SetupError
from varjepa.tasks.setup.doctor import _signing
from varjepa.tasks.signing import keys
from varjepa.tasks.signing.keys import SIGNING_KEY, TRUSTED_KEYS, read_trust, require_keys, signing_key, trusted


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keys of every kind; the variables are not those of the shell."""
    for name in (SIGNING_KEY, TRUSTED_KEYS, keys.PASSWORD):
        monkeypatch.delenv(name, raising=False)
    write_keys(tmp_path, "own")
    write_keys(tmp_path, "large", curve=ec.SECP521R1())
    write_keys(tmp_path, "locked", password=PASSWORD)
    write_keys(tmp_path, "odd", curve=ec.SECP256K1())
    other = rsa.generate_private_key(65537, 2048)
    (tmp_path / "rsa.pem").write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "rsa.pub").write_bytes(public)
    (tmp_path / "broken.pem").write_text("-----BEGIN PRIVATE KEY-----\nSecretStuff\n-----END PRIVATE KEY-----\n")
    (tmp_path / "broken.pub").write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


def test_a_key_is_known_by_the_digest_of_its_public_file(folder: Path) -> None:
    for name in ("own", "large"):
        key = signing_key(SigningSection(key_file=str(folder / f"{name}.pem")))
        digest = hashlib.sha256((folder / f"{name}.pub").read_bytes()).hexdigest()
        assert key is not None
        assert list(key.trust.keys) == [digest] == list(read_trust(str(folder / f"{name}.pub"), "").keys)
        assert repr(key) == f"SigningKey('{folder / name}.pem')"


PRIVATE = {
    "none.pem": "does not exist", ".": "is no file", "pipe": "is no file", "empty": "holds no private key",
    "own.pub": "holds no private key", "rsa.pem": "of the kind RSAPublicKey", "odd.pem": "of the kind secp256k1",
    "broken.pem": "cannot be read", "locked.pem": "is encrypted",
}  # fmt: skip


@pytest.mark.parametrize("name", PRIVATE)
def test_a_private_key_that_cannot_sign_is_refused(name: str, folder: Path) -> None:
    with pytest.raises(SetupError, match=PRIVATE[name]) as error:
        signing_key(SigningSection(key_file=str(folder / name)))
    assert "SecretStuff" not in str(error.value)


PUBLIC = {
    "none.pub": "does not exist", ".": "is no file", "empty": "holds no public key",
    "rsa.pub": "of the kind RSAPublicKey", "odd.pub": "of the kind secp256k1", "own.pem": "holds a private key",
    "locked.pem": "holds a private key",
    "broken.pub": "cannot be read",
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_key_that_cannot_be_trusted_is_refused(name: str, folder: Path) -> None:
    with pytest.raises(SetupError, match=PUBLIC[name]):
        read_trust(str(folder / name), "--public-key")


def test_a_locked_key_opens_with_its_password_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = SigningSection(key_file=str(folder / "locked.pem"))
    monkeypatch.setenv(keys.PASSWORD, "another")
    with pytest.raises(SetupError, match="does not open") as error:
        signing_key(section)
    assert "another" not in str(error.value)
    monkeypatch.setenv(keys.PASSWORD, PASSWORD)
    assert (signing_key(section) or pytest.fail("no key")).password == PASSWORD.encode()
    # A password that is not needed does no harm.
    assert (signing_key(SigningSection(key_file=str(folder / "own.pem"))) or pytest.fail("no key")).password is None


def test_the_environment_overrides_a_config(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = SigningSection(key_file=str(folder / "own.pem"), trusted_keys=str(folder / "own.pub"))
    monkeypatch.setenv(SIGNING_KEY, str(folder / "large.pem"))
    monkeypatch.setenv(TRUSTED_KEYS, str(folder / "large.pub"))
    key, trust = signing_key(section), trusted(section.trusted_keys)
    assert key is not None
    assert trust is not None
    assert key.path.name == "large.pem"
    assert key.trust.keys == trust.keys
    require_keys(section)
    monkeypatch.delenv(TRUSTED_KEYS)
    with pytest.raises(SetupError, match="what it signs would be refused"):
        require_keys(section)
    require_keys(section, sign=False)


def test_doctor_tries_the_keys_of_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _signing().found == f"not checked, none in {TRUSTED_KEYS}; no key to sign with"
    monkeypatch.setenv(TRUSTED_KEYS, str(folder / "own.pub"))
    monkeypatch.setenv(SIGNING_KEY, str(folder / "own.pem"))
    assert _signing().ok
    monkeypatch.setenv(SIGNING_KEY, str(folder / "rsa.pem"))
    assert (_signing().ok, _signing().fix) == (False, f"Check {TRUSTED_KEYS} and {SIGNING_KEY}.")


def test_the_paths_of_a_config_are_relative_to_its_folder(folder: Path) -> None:
    (folder / "job.yaml").write_text("data: {name: sim}\nsigning: {key_file: own.pem, trusted_keys: own.pub}\n")
    assert load_config(folder / "job.yaml").signing.key_file == str(folder / "own.pem")


def test_a_key_in_a_config_is_refused_and_not_repeated(folder: Path) -> None:
    text = (folder / "own.pem").read_text()
    for key in ("key_file", "trusted_keys"):
        with pytest.raises(ConfigError, match="a key must not stand in a config") as error:
            parse_config({"data": {"name": "sim"}, "signing": {key: text}})
        assert text.splitlines()[1] not in str(error.value)


def test_without_the_extra_a_command_says_how_to_get_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "model_signing", None)
    for call in (
        lambda: signing_key(SigningSection(key_file=str(folder / "own.pem"))),
        lambda: trusted(str(folder / "own.pub")),
    ):
        with pytest.raises(SetupError, match=r"pip install 'varjepa\[signing\]'"):
            call()
    assert signing_key(SigningSection()) is trusted() is None
