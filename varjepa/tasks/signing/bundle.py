"""The file of a signature: a Sigstore bundle around a signed list of files, as model-signing writes it."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from varjepa.errors import ModelError

SIGNATURE = "model.sig"
"""File with the signature, in the folder that is signed."""

WRITTEN_BY_MLFLOW = "registered_model_meta"
"""File that MLflow adds to a version when it is downloaded: its name and number."""

COMPILED = "__pycache__"
"""Folder that MLflow leaves in a local store when it loads the model by its page of code. Our commands run none."""

UNSIGNED = (SIGNATURE, WRITTEN_BY_MLFLOW, COMPILED)
"""What a signature of ours leaves out."""

LEFT_OUT = {*UNSIGNED, ".git", ".gitattributes", ".github", ".gitignore"}
"""What any signature may leave out: the command line of model-signing leaves out what belongs to git."""

LARGEST = 16 * 2**20
"""Most bytes of a signature; that of a model of twenty files has 10,000."""


class Bundle(NamedTuple):
    """What a signature says, before anybody has checked it.

    Attributes:
        content: of the file.
        key: fingerprint of the public key that it names.
        files: signed names -> algorithm and digest in hexadecimals.
        left_out: names that were not signed.
    """

    content: bytes
    key: str
    files: Mapping[str, tuple[str, str]]
    left_out: tuple[str, ...]


def read_bundle(folder: Path) -> Bundle | None:
    """The signature in a folder; None if there is none.

    Raises:
        ModelError: it cannot be read, or was made by other means than a key.
    """
    path = folder / SIGNATURE
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            return _parsed(file.read(LARGEST))  # what is cut off is no JSON
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"The signature {path} cannot be read: {type(error).__name__}.",
            expected="Expected what model-signing writes with an elliptic-curve key.",
            fix="Promote another version, or retrain with signing.key_file.",
        ) from error


def _parsed(content: bytes) -> Bundle:
    whole: Any = json.loads(content)
    payload: Any = json.loads(base64.b64decode(whole["dsseEnvelope"]["payload"], validate=True))
    predicate, key = payload["predicate"], str(whole["verificationMaterial"]["publicKey"]["hint"])
    files = {str(entry["name"]): (str(entry["algorithm"]), str(entry["digest"])) for entry in predicate["resources"]}
    left_out = predicate["serialization"].get("ignore_paths", ())
    return Bundle(content, key, files, tuple(str(PurePosixPath(name)) for name in left_out))
