"""`varjepa verify`: whether a model is what was written and what was registered, before any code of it runs."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from varjepa.config.uris import home_expanded
from varjepa.errors import ModelError
from varjepa.inference.manifest import manifest_digest
from varjepa.inference.storage import load_model
from varjepa.tasks.answers.registry import VerifyAnswer
from varjepa.tasks.registry.names import LOGGED, REGISTRY, RUN, registered_version
from varjepa.tasks.registry.open_model import checked, fetched, logged_by, model_folder
from varjepa.tasks.registry.reader import require_store
from varjepa.tasks.registry.tags import FILES_TAG, MANIFEST_TAG, MODEL_TAG
from varjepa.tasks.signing.bundle import COMPILED, UNSIGNED, Bundle, read_bundle
from varjepa.tasks.signing.keys import TRUSTED_KEYS, Trust, trusted
from varjepa.tasks.steps.log import log
from varjepa.tasks.tracking.store import client_for
from varjepa.tasks.tracking.uris import store


def verify(model: str, uri: str | None, trust: Trust | None = None) -> VerifyAnswer:
    """Checks a model without running any code of it.

    Args:
        model: a registry URI, a run or a folder, as for `open_model`.
        uri: tracking store; None means the default one.
        trust: keys, one of which must have signed it; None means those of the environment, if any.

    Raises:
        ModelError: something differs, no trusted key has signed it, or there is no such model.
        SetupError: the trusted keys cannot be used.
    """
    trust, found = trusted() if trust is None else trust, _outer(model, uri)
    inner = model_folder(model, uri, trust) if found is None else checked(*found, trust)
    outer = home_expanded(model) if found is None else found[0]
    trained, digest = load_model(inner, "cpu"), manifest_digest(inner)
    trained.require_trees()
    done = {"model": digest is not None, "registry": False, "files": False}
    if found is not None:
        folder, tags = found
        done["registry"], done["files"] = MANIFEST_TAG in tags, FILES_TAG in tags
        if done["files"] and files_digest(folder) != tags[FILES_TAG]:
            raise ModelError(
                f"The files of {model} in {folder} are not those that were registered.",
                fix="Compare them with a backup, or promote another version.",
            )
    bundle = read_bundle(outer)
    signature = {} if bundle is None else _about_signature(outer, bundle, trust)
    checks, unchecked = _in_words(signature, signed=trust is not None, **done)
    return {"model": model, "folder": str(inner), "manifest": digest, "signed_by": bundle.key if bundle else None,
            "checked": checks, "not_checked": unchecked}  # fmt: skip


def _outer(model: str, uri: str | None) -> tuple[Path, Mapping[str, str]] | None:
    """The folder of an MLflow model and the tags that the registry keeps of it; None for a folder of the user."""
    run, folder = RUN.fullmatch(model), home_expanded(model)
    if (run is None or folder.exists()) and not model.startswith(REGISTRY):
        return None
    require_store(store(uri))
    client = client_for(store(uri))
    if run is not None and not folder.exists():
        source = logged_by(run.group(1), uri)
        # The registry keeps more digests of a version than of what a run has logged.
        model = client.get_run(run.group(1)).data.tags.get(MODEL_TAG, source)
    if LOGGED.fullmatch(model) is not None:
        return fetched(model, uri), client.get_logged_model(model.removeprefix(REGISTRY)).tags
    if not model.startswith(REGISTRY):
        return None
    name, number = registered_version(model, uri)
    return fetched(f"{REGISTRY}{name}/{number}", uri), client.get_model_version(name, number).tags


def files_digest(folder: Path) -> str:
    """SHA-256 over names and contents of all files of an MLflow model but its signature, which comes later."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in UNSIGNED and COMPILED not in path.parts:
            with path.open("rb") as file:
                total.update(name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def _about_signature(folder: Path, bundle: Bundle, trust: Trust | None) -> dict[str, bool]:
    """What to say about the signature of a folder -> whether it was checked."""
    if trust is None:
        return {f"its signature, which names the key {bundle.key}: pass --public-key, or set {TRUSTED_KEYS}": False}
    compiled = {f"{COMPILED}, which MLflow may run: delete it before MLflow loads the model": False}
    signed = {f"all files, against the signature by the key {bundle.key} in {trust.source}": True}
    return signed | (compiled if (folder / COMPILED).exists() else {})


def _in_words(
    signature: Mapping[str, bool], *, signed: bool, model: bool, registry: bool, files: bool
) -> tuple[list[str], list[str]]:
    """What was checked and what was not, in words."""
    sound = "shapes, types and ranges of everything in the model's files; its trees"
    claims = {
        **signature,
        "the model's files, against its manifest": model,
        "the manifest, against its digest in the registry": registry,
        "MLflow's own files, the page of code and the wheel among them, against their digest in the registry": files,
    }
    missing = [name for name, done in claims.items() if not done]
    limits = ["who wrote the model, or the registry: whoever may change both may change the digests, too"]
    if signed:
        limits = ["whether it is the newest: an older version that the same key has signed passes, too"]
    return [sound, *(name for name, done in claims.items() if done)], [*missing, *limits]


def readable(model: str, uri: str | None, trust: Trust | None = None) -> bool:
    """Whether a model is there and verified; see `verify`."""
    try:
        verify(model, uri, trust)
    except ModelError as error:
        log.warning("%s", error)
        return False
    return True
