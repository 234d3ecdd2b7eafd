"""Keys of signatures. They stand in files that the user names; nothing of a private key is shown or kept."""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from varjepa.config.signing import SigningSection
from varjepa.config.uris import home_expanded
from varjepa.errors import SetupError
from varjepa.tasks.sources.extras import required

SIGNING_KEY = "VARJEPA_SIGNING_KEY"
"""Variable of the environment that overrides `signing.key_file`."""

PASSWORD = "VARJEPA_SIGNING_PASSWORD"  # noqa: S105 (the name of a variable)
"""Variable of the environment with the password of that key."""

TRUSTED_KEYS = "VARJEPA_TRUSTED_KEYS"
"""Variable of the environment that overrides `signing.trusted_keys`."""

EXTRA = "signing"
"""Extra of our package that brings model-signing."""

LARGEST = 2**20
"""Most bytes of a file of keys; a key has a few hundred."""

CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
"""Curves that model-signing takes, by their names in cryptography."""

_PUBLIC = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)
_PRIVATE = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_MAKE = "`openssl ecparam -name prime256v1 -genkey -noout -out signing.pem` makes a key."


class Trust(NamedTuple):
    """Public keys whose signatures count.

    Attributes:
        keys: fingerprint (see `fingerprint`) -> PEM.
        source: where they come from, for messages.
    """

    keys: Mapping[str, bytes]
    source: str


class SigningKey(NamedTuple):
    """A private key that can be used.

    Attributes:
        path: its file.
        public: PEM of its public half.
        password: of the file; None where it is not encrypted.
    """

    path: Path
    public: bytes
    password: bytes | None

    @property
    def trust(self) -> Trust:
        """The key as the only trusted one."""
        return Trust({fingerprint(self.public): self.public}, f"the key of {self.path}")

    def __repr__(self) -> str:
        return f"SigningKey({str(self.path)!r})"


def fingerprint(public: bytes) -> str:
    """SHA-256 of a public key as PEM: what `sha256sum` prints of its file, and what a signature names.

    Args:
        public: from `openssl ec -in KEY -pubout`, or the same by cryptography.
    """
    return hashlib.sha256(public).hexdigest()


def signing_key(signing: SigningSection) -> SigningKey | None:
    """The private key of a job; None if it does not sign.

    Raises:
        SetupError: the extra is missing, the file cannot be read, holds no such key, or needs another password.
    """
    own = os.environ.get(SIGNING_KEY)
    place, name = (own, f"the variable {SIGNING_KEY}") if own else (signing.key_file, "signing.key_file")
    if place is None:
        return None
    required("model_signing", EXTRA, "Signing a model")
    path = home_expanded(place)
    content = _content(path, name)
    if not _PRIVATE.search(content):
        raise SetupError(f"{path} ({name}) holds no private key in PEM.", fix=_MAKE)
    private, password = _opened(content, path)
    return SigningKey(path, _pem(private.public_key(), path), password)


def _opened(content: bytes, path: Path) -> tuple[Any, bytes | None]:
    """A private key and the password that its file needed."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    password = os.environ.get(PASSWORD, "").encode() or None
    # Causes are left out on purpose: no text of a library about a private key comes into a log.
    try:
        return load_pem_private_key(content, None), None
    except TypeError:
        if password is None:
            raise SetupError(
                f"The private key in {path} is encrypted.", fix=f"Set {PASSWORD} to its password."
            ) from None
    except Exception:  # noqa: BLE001 (whatever a file may hold)
        raise SetupError(f"The private key in {path} cannot be read.", fix=_MAKE) from None
    try:
        return load_pem_private_key(content, password), password
    except Exception:  # noqa: BLE001 (a wrong password shows as an error of decoding, too)
        raise SetupError(f"The private key in {path} does not open with the password in {PASSWORD}.") from None


def trusted(place: str | None = None) -> Trust | None:
    """The public keys that this process trusts; None if signatures are not checked.

    Args:
        place: `signing.trusted_keys` of a job; the environment overrides it.

    Raises:
        SetupError: see `read_trust`.
    """
    own = os.environ.get(TRUSTED_KEYS)
    if own:
        return read_trust(own, f"the variable {TRUSTED_KEYS}")
    return None if place is None else read_trust(place, "signing.trusted_keys")


def own_trust(signing: SigningSection) -> Trust | None:
    """What a job asks of a version that it would otherwise make again: its own signature, if it signs.

    Raises:
        SetupError: a key cannot be used.
    """
    key = signing_key(signing)
    return trusted(signing.trusted_keys) if key is None else key.trust


def read_trust(place: str, name: str) -> Trust:
    """Public keys from a file.

    Args:
        place: the file.
        name: of the option, key or variable that names it.

    Raises:
        SetupError: the extra is missing, or the file cannot be read, or holds no such keys.
    """
    required("model_signing", EXTRA, "Checking the signature of a model")
    path = home_expanded(place)
    content = _content(path, name)
    if _PRIVATE.search(content):
        raise SetupError(
            f"{path} ({name}) holds a private key, which only the job that signs may have.",
            fix=f"`openssl ec -in {path} -pubout -out trusted.pem` writes the public key.",
        )
    keys = [_public(block + b"\n", path) for block in _PUBLIC.findall(content)]
    if not keys:
        raise SetupError(
            f"{path} ({name}) holds no public key in PEM.",
            fix="`openssl ec -in KEY -pubout -out trusted.pem` writes one.",
        )
    return Trust({fingerprint(key): key for key in keys}, str(path))


def _public(block: bytes, path: Path) -> bytes:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(block)
    except Exception as error:
        raise SetupError(f"A public key in {path} cannot be read.") from error
    return _pem(key, path)


def _pem(public: Any, path: Path) -> bytes:
    """A public key as the signatures of model-signing name it.

    Raises:
        SetupError: it is of another kind.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    curve = getattr(getattr(public, "curve", None), "name", None)
    if curve not in CURVES:
        kind = curve or type(public).__name__.strip("_")
        raise SetupError(
            f"The key in {path} is of the kind {kind}.",
            expected=f"Expected an elliptic curve: {', '.join(CURVES.values())}.", fix=_MAKE,
        )  # fmt: skip
    pem: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def _content(path: Path, name: str) -> bytes:
    """The bytes of a file of keys.

    Raises:
        SetupError: it is missing, no file, too large, or may not be read.
    """
    if not path.is_file():  # a pipe or a device has no end
        what = "is no file" if path.exists() else "does not exist"
        raise SetupError(f"{path}, which {name} names, {what}.")
    try:
        if path.stat().st_size > LARGEST:
            raise SetupError(f"{path}, which {name} names, is too large for a file of keys.")
        return path.read_bytes()
    except OSError as error:
        raise SetupError(f"{path}, which {name} names, cannot be read: {error.strerror}.") from None


def require_keys(signing: SigningSection, *, sign: bool = True) -> None:
    """Checks the keys of a job before it works.

    Args:
        signing: of the job.
        sign: whether it registers a version.

    Raises:
        SetupError: a key cannot be used, or what the job registers would not be trusted.
    """
    trust, key = trusted(signing.trusted_keys), signing_key(signing) if sign else None
    if not sign or trust is None:
        return
    if key is None:
        raise SetupError(
            f"Only models signed by a key in {trust.source} are trusted, but this job signs nothing.",
            fix=f"Name its private key in signing.key_file or {SIGNING_KEY}. --dry-run registers nothing.",
        )
    if fingerprint(key.public) not in trust.keys:
        raise SetupError(
            f"The key in {key.path} is not among the trusted ones in {trust.source}: what it signs would be refused.",
            fix=f"Add its public key there: openssl ec -in {key.path} -pubout",
        )
