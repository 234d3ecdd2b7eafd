"""Checks the signature of a model's folder, before anything else in it is read."""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from varjepa.errors import ModelError, listed
from varjepa.tasks.signing.bundle import LEFT_OUT, SIGNATURE, Bundle, read_bundle
from varjepa.tasks.signing.keys import EXTRA, Trust, trusted
from varjepa.tasks.sources.extras import required

_OTHERWISE = "Promote or name a signed version, or retrain with signing.key_file."


def require_signed(folder: Path, trust: Trust | None = None) -> str | None:
    """Checks that a trusted key has signed a folder as it is: all files, none more, none less.

    Args:
        folder: of a model, with its signature.
        trust: keys that count; None means those of the environment.

    Returns:
        The fingerprint of the key; None if no keys are configured, so that nothing was checked.

    Raises:
        ModelError: there is no signature, it is by another key, or the files are others.
        SetupError: the trusted keys cannot be used.
    """
    trust = trusted() if trust is None else trust
    if trust is None:
        return None
    bundle = read_bundle(folder)
    if bundle is None:
        raise ModelError(
            f"The model in {folder} is not signed ({SIGNATURE} is missing), but only models signed by a key in "
            f"{trust.source} are trusted.", fix=_OTHERWISE,
        )  # fmt: skip
    if bundle.key not in trust.keys:
        raise ModelError(
            f"The model in {folder} is signed by the key {bundle.key}, which is not among the trusted ones in "
            f"{trust.source}.", fix=_OTHERWISE,
        )  # fmt: skip
    if extra := [name for name in bundle.left_out if name not in LEFT_OUT]:
        raise ModelError(f"The signature of {folder} leaves out {listed(extra)}.", fix=_OTHERWISE)
    _require_valid(folder, bundle, trust.keys[bundle.key])
    return bundle.key


def _require_valid(folder: Path, bundle: Bundle, public: bytes) -> None:
    """Checks a signature by the package that made it.

    Raises:
        ModelError: it is not valid.
    """
    verifying: Any = required("model_signing.verifying", EXTRA, "Checking the signature of a model")
    with tempfile.TemporaryDirectory() as name:
        # Copies of what was looked at above: the package reads files, which may change in the meantime.
        signature, key = Path(name, SIGNATURE), Path(name, "key.pem")
        signature.write_bytes(bundle.content)
        key.write_bytes(public)
        try:
            verifying.Config().use_elliptic_key_verifier(public_key=key).verify(folder.resolve(), signature)
        except Exception as error:
            from cryptography.exceptions import InvalidSignature

            forged = isinstance(error, InvalidSignature)
            why = "its list of files was not signed by that key" if forged else _difference(folder, bundle, error)
            raise ModelError(
                f"The signature of the model in {folder} does not hold: {why}.",
                fix="Compare the files with a backup, or promote another version.",
            ) from error


def _difference(folder: Path, bundle: Bundle, error: Exception) -> str:
    """In words, how a folder differs from what was signed."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    there = {name for name in paths if name.partition("/")[0] not in bundle.left_out}
    faults: Mapping[str, set[str]] = {
        "was added": there - bundle.files.keys(),
        "is missing": bundle.files.keys() - there,
        "has changed": {name for name in there & bundle.files.keys() if _changed(paths[name], *bundle.files[name])},
    }
    for words, names in faults.items():
        if names:
            more = f", and {len(names) - 1:,} more of this kind" if len(names) > 1 else ""
            return f"{min(names)} {words}{more}"
    return " ".join(str(error).split())[:300] or type(error).__name__


def _changed(path: Path, algorithm: str, digest: str) -> bool:
    if algorithm != "sha256" or path.is_symlink():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() != digest
