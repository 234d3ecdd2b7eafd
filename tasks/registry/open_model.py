"""Finds a model by its name: a registry URI, a run id, or a folder."""

import re
from pathlib import Path
from typing import Any

from tasks.registry.logged_models import use_store
from tasks.registry.tags import MODEL_TAG
from tasks.tracking.store import client_for
from tasks.tracking.uris import hidden_credentials, store
from varjepa.errors import ModelError, listed, nearest
from varjepa.inference.model import TrainedModel
from varjepa.inference.storage import CONFIG, load_model

REGISTRY = "models:/"
RUN = re.compile(r"(?:runs:/)?([0-9a-f]{32})(?:/model)?")
VERSIONS = "models:/NAME@champion or models:/NAME/VERSION"
EXAMPLES = "Expected a folder, models:/NAME@champion, models:/NAME/VERSION, or a run id."


def open_model(
    name: str, tracking_uri: str | None = None, device: str = "auto", precision: str = "float32"
) -> TrainedModel:
    """Loads a model.

    Args:
        name: `models:/NAME@ALIAS`, `models:/NAME/VERSION`, a run id (also as `runs:/ID`), or a folder that
            `VarTJEPA.save`, a retrain or MLflow wrote.
        tracking_uri: tracking store; None means the default one.
        device: auto, cpu, or a GPU by name.
        precision: float32, bfloat16 or auto; see `load_model`.

    Raises:
        ModelError: there is no such model, or it cannot be read.
        SetupError: the tracking store cannot be used.
    """
    return load_model(model_folder(name, tracking_uri), device, precision)


def model_folder(name: str, tracking_uri: str | None = None) -> Path:
    """The folder of a model; downloads the model if it is not on this machine.

    Args:
        name: see `open_model`.
        tracking_uri: see `open_model`.

    Raises:
        ModelError: there is no such model.
        SetupError: the tracking store cannot be used.
    """
    run = RUN.fullmatch(name)
    if name.startswith(REGISTRY):
        return _registered(name, tracking_uri)
    folder = Path(name).expanduser()
    if run is not None and not folder.exists():
        return _of_run(run.group(1), tracking_uri)
    if not folder.is_dir():
        raise ModelError(f"No such model: {name}.", expected=EXAMPLES)
    return _inside(folder)


def _inside(folder: Path) -> Path:
    """The folder of the model itself inside the folder of an MLflow model."""
    places = [folder, folder / "model", folder / "artifacts" / "model"]
    return next((place for place in places if (place / CONFIG).is_file()), folder)


def registered_version(uri: str, tracking_uri: str | None) -> tuple[str, str]:
    """Name and version of `models:/NAME/VERSION` or `models:/NAME@ALIAS`.

    Raises:
        ModelError: not such a URI, or no such model, version or alias.
    """
    if not uri.startswith(REGISTRY):
        raise ModelError(f"{uri} is not a version of a registered model.", expected=f"Expected {VERSIONS}.")
    name = uri.removeprefix(REGISTRY)
    client = client_for(store(tracking_uri))
    model, at, alias = name.partition("@")
    model, version = (model, None) if at else (name.rpartition("/")[0], name.rpartition("/")[2])
    if not model or not (alias or version):
        raise ModelError(f"{REGISTRY}{name} names no version.", expected=EXAMPLES)
    models = client.search_registered_models()
    registered = next((candidate for candidate in models if candidate.name == model), None)
    where = hidden_credentials(store(tracking_uri))
    if registered is None:
        names = [candidate.name for candidate in models]
        hint = nearest(model, names) or (f"Registered models: {listed(names)}." if names else "The registry is empty.")
        raise ModelError(f'No model "{model}" is registered in {where}.', fix=hint)
    number = str(registered.aliases.get(alias)) if at else str(version)
    versions = [str(candidate.version) for candidate in client.search_model_versions(f"name = '{model}'")]
    if number not in versions:
        what = f'alias "{alias}"' if at else f"version {version}"
        have = f"It has the versions {', '.join(sorted(versions, key=int))}" + (
            f" and the aliases {listed(registered.aliases)}." if registered.aliases else "."
        )
        raise ModelError(f'The model "{model}" in {where} has no {what}.', fix=have)
    return model, number


def version_of(name: str, tracking_uri: str | None) -> tuple[str, str] | None:
    """Name and version of a registered model, or of what a run registered; None for folders and other runs.

    Args:
        name: see `open_model`.
        tracking_uri: see `open_model`.

    Raises:
        ModelError: there is no such model or version.
    """
    run = RUN.fullmatch(name)
    if run is not None and not Path(name).expanduser().exists():
        # A run whose model was already registered names that version, too.
        name = client_for(store(tracking_uri)).get_run(run.group(1)).data.tags.get(MODEL_TAG, "")
    return registered_version(name, tracking_uri) if name.startswith(REGISTRY) else None


def _registered(uri: str, tracking_uri: str | None) -> Path:
    model, number = registered_version(uri, tracking_uri)
    return _fetched(f"{REGISTRY}{model}/{number}", tracking_uri)


def _of_run(run_id: str, tracking_uri: str | None) -> Path:
    client = client_for(store(tracking_uri))
    try:
        run: Any = client.get_run(run_id)
    except Exception as error:
        where = hidden_credentials(store(tracking_uri))
        raise ModelError(f"No run {run_id} in {where}.", expected=EXAMPLES) from error
    outputs = run.outputs.model_outputs if run.outputs is not None else []
    if outputs:
        return _fetched(f"{REGISTRY}{outputs[-1].model_id}", tracking_uri)
    # If the model of a run was already registered, the run has no model of its own. Its tag names the version.
    uri = run.data.tags.get(MODEL_TAG)
    if uri is None:
        raise ModelError(f"The run {run_id} has no model.", fix="Name the registered model instead.")
    return _fetched(uri, tracking_uri)


def _fetched(uri: str, tracking_uri: str | None) -> Path:
    import mlflow

    use_store(store(tracking_uri))
    return _inside(Path(mlflow.artifacts.download_artifacts(artifact_uri=uri)))
