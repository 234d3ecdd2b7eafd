"""Signs a model's folder with a key of the user."""

from pathlib import Path
from typing import Any

from varjepa.errors import SetupError
from varjepa.tasks.signing.bundle import SIGNATURE, UNSIGNED
from varjepa.tasks.signing.keys import EXTRA, SigningKey
from varjepa.tasks.sources.extras import required


def sign(folder: Path, out: Path, key: SigningKey) -> Path:
    """Signs all files of a folder; returns the file with the signature.

    Args:
        folder: of a model, with everything that belongs to it.
        out: folder for the signature; `folder` itself may be one of a store, and is not written to.
        key: that signs.

    Raises:
        SetupError: the key's file is gone or has changed, or the folder holds links or pipes.
    """
    signing: Any = required("model_signing.signing", EXTRA, "Signing a model")
    hashing: Any = required("model_signing.hashing", EXTRA, "Signing a model")
    files, signature = hashing.Config().set_ignored_paths(paths=UNSIGNED, ignore_git_paths=False), out / SIGNATURE
    try:
        # The package hands the password on as it is, and cryptography takes bytes.
        signer = signing.Config().use_elliptic_key_signer(private_key=key.path, password=key.password)
        signer.set_hashing_config(files).sign(folder.resolve(), signature)
    except (OSError, ValueError, TypeError) as error:
        raise SetupError(f"The model in {folder} cannot be signed: {error}.", fix="Retrain once it can be.") from error
    return signature
