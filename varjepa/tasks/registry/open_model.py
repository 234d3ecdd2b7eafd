"""Finds a model by its name: a registry URI, a run id, or a folder."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from varjepa.config.uris import home_expanded
from varjepa.errors import ModelError, SetupError, VarjepaError
from varjepa.inference.manifest import manifest_digest
from varjepa.inference.model import TrainedModel
from varjepa.inference.storage import load_model
from varjepa.redaction import redacted_uri
from varjepa.tasks.registry.logged_models import use_store
from varjepa.tasks.registry.names import EXAMPLES, LOGGED, REGISTRY, RUN, inside, registered_version
from varjepa.tasks.registry.reader import require_store
from varjepa.tasks.registry.search import GONE
from varjepa.tasks.registry.tags import MANIFEST_TAG, MODEL_TAG
from varjepa.tasks.signing.check import require_signed
from varjepa.tasks.signing.keys import Trust
from varjepa.tasks.steps.files import disk_trouble
from varjepa.tasks.tracking.patience import patiently
from varjepa.tasks.tracking.store import client_for
from varjepa.tasks.tracking.uris import store

if TYPE_CHECKING:
    from mlflow import MlflowClient


def open_model(
    name: str, tracking_uri: str | None = None, device: str = "auto", precision: str = "float32",
    trust: Trust | None = None,
) -> TrainedModel:  # fmt: skip
    """Loads a model.

    Args:
        name: `models:/NAME@ALIAS`, `models:/NAME/VERSION`, a run id (also as `runs:/ID`), or a folder that
            `VarTJEPA.save`, a retrain or MLflow wrote.
        tracking_uri: tracking store; None means the default one.
        device: auto, cpu, or a GPU by name.
        precision: float32, bfloat16 or auto; see `load_model`.
        trust: keys, one of which must have signed the model; None means those of the environment, if any.

    Raises:
        ModelError: there is no such model, it cannot be read, or no trusted key has signed it.
        SetupError: the tracking store cannot be used.
    """
    return load_model(model_folder(name, tracking_uri, trust), device, precision)


def model_folder(name: str, tracking_uri: str | None = None, trust: Trust | None = None) -> Path:
    """The folder of a model; downloads the model if it is not on this machine.

    Args:
        name: see `open_model`.
        tracking_uri: see `open_model`.
        trust: see `open_model`.

    Raises:
        ModelError: there is no such model, or no trusted key has signed it.
        SetupError: the tracking store or the trusted keys cannot be used.
    """
    run = RUN.fullmatch(name)
    if name.startswith(REGISTRY):
        return _registered(name, tracking_uri, trust)
    folder = home_expanded(name)
    if run is not None and not folder.exists():
        return _of_run(run.group(1), tracking_uri, trust)
    if not folder.is_dir():
        raise ModelError(f"No such model: {name}.", expected=EXAMPLES)
    require_signed(folder, trust)
    return inside(folder)


def version_of(name: str, tracking_uri: str | None) -> tuple[str, str] | None:
    """Name and version of a registered model, or of what a run registered; None for folders and other runs.

    Args:
        name: see `open_model`.
        tracking_uri: see `open_model`.

    Raises:
        ModelError: there is no such model or version.
    """
    run = RUN.fullmatch(name)
    if run is not None and not home_expanded(name).exists():
        # A run whose model was already registered names that version, too.
        name = _client(tracking_uri).get_run(run.group(1)).data.tags.get(MODEL_TAG, "")
    return registered_version(name, tracking_uri) if name.startswith(REGISTRY) else None


def _registered(uri: str, tracking_uri: str | None, trust: Trust | None) -> Path:
    model, number = registered_version(uri, tracking_uri)
    tags = _client(tracking_uri).get_model_version(model, number).tags
    return checked(fetched(f"{REGISTRY}{model}/{number}", tracking_uri), tags, trust)


def _of_run(run_id: str, tracking_uri: str | None, trust: Trust | None) -> Path:
    source = logged_by(run_id, tracking_uri)
    if LOGGED.fullmatch(source) is None:
        return _registered(source, tracking_uri, trust)
    tags = _client(tracking_uri).get_logged_model(source.removeprefix(REGISTRY)).tags
    return checked(fetched(source, tracking_uri), tags, trust)


def _client(tracking_uri: str | None) -> "MlflowClient":
    """A client of a store that exists.

    Raises:
        SetupError: there is no store.
    """
    uri = store(tracking_uri)
    require_store(uri)
    return client_for(uri)


def logged_by(run_id: str, tracking_uri: str | None) -> str:
    """The URI of the model that a run logged, or of the version that it found registered.

    Raises:
        ModelError: there is no such run, or it has no model.
    """
    client = _client(tracking_uri)
    try:
        run: Any = client.get_run(run_id)
    except VarjepaError:
        raise
    except Exception as error:
        where = redacted_uri(store(tracking_uri))
        raise ModelError(f"No run {run_id} in {where}.", expected=EXAMPLES) from error
    outputs = run.outputs.model_outputs if run.outputs is not None else []
    if outputs:
        return f"{REGISTRY}{outputs[-1].model_id}"
    # If the model of a run was already registered, the run has no model of its own. Its tag names the version.
    uri = run.data.tags.get(MODEL_TAG)
    if uri is None:
        raise ModelError(f"The run {run_id} has no model.", fix="Name the registered model instead.")
    return uri


def checked(folder: Path, tags: Mapping[str, str], trust: Trust | None = None) -> Path:
    """The folder of the model inside that of an MLflow model, signed if it has to be, with the registered manifest.

    Args:
        folder: of the MLflow model.
        tags: of the version or logged model; those of earlier releases have no digest.
        trust: see `open_model`.

    Raises:
        ModelError: no trusted key has signed the folder, or the manifest is missing, or another one.
    """
    require_signed(folder, trust)
    inner, expected = inside(folder), tags.get(MANIFEST_TAG)
    if expected is not None and manifest_digest(inner) != expected:
        raise ModelError(
            f"The model in {folder} is not the one that was registered: the digest of its manifest differs.",
            fix="`varjepa rollback NAME` returns to an earlier version.",
        )
    return inner


def fetched(uri: str, tracking_uri: str | None) -> Path:
    """The folder of an MLflow model; downloads it if it is not on this machine. No code of it runs.

    Raises:
        ModelError: its files are gone.
        SetupError: they may be there, but nobody can tell: a lost champion counts as none, and a lost version is made
            again, which an account that has expired must not bring about.
        TrackingLostError: their store did not answer in time.
    """
    import mlflow

    use_store(store(tracking_uri))
    place = ""
    try:
        place = _place(uri, tracking_uri)
        # MLflow would leave a download in the temporary folder for ever; files of this machine stay where they are.
        to = None if urlsplit(place).scheme in ("", "file") else _until_the_end()
        return Path(patiently(lambda: mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=to), place))
    except VarjepaError:
        raise
    except Exception as error:
        reason = f"The files of {uri} cannot be read: {' '.join(str(error).split())[:300].rstrip('.')}."
        if getattr(error, "error_code", "") in GONE:
            fix = "Were its artifacts moved or deleted? `varjepa rollback NAME` returns to an earlier version."
            raise ModelError(reason, fix=fix) from error
        if disk_trouble(error) is not None:
            raise
        fix = "Check the account and the settings for that place, then run the same command again."
        raise SetupError(f"{reason} They lie in {redacted_uri(place)}.", fix=fix) from error


def _place(uri: str, tracking_uri: str | None) -> str:
    """Where the files of an MLflow model lie."""
    client, name = _client(tracking_uri), uri.removeprefix(REGISTRY)
    if LOGGED.fullmatch(uri) is not None:
        return str(client.get_logged_model(name).artifact_location)
    return str(client.get_model_version_download_uri(*name.rsplit("/", 1)))


def _until_the_end() -> str:
    """A new temporary folder, which goes with this process."""
    folder = tempfile.mkdtemp(prefix="varjepa-model-")
    atexit.register(_removed, folder, os.getpid())
    return folder


def _removed(folder: str, process: int) -> None:
    # A forked child must not remove what its parent reads.
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
