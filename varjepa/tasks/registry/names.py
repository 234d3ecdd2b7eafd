"""Names of models: registry URIs, runs and folders. Checked without loading the libraries that open a model."""

import re
from collections.abc import Sequence
from pathlib import Path

from varjepa.config.uris import home_expanded
from varjepa.errors import ModelError, VarjepaError, listed, nearest
from varjepa.redaction import redacted_uri
from varjepa.tasks.registry.champion import CHAMPION
from varjepa.tasks.registry.reader import FileRegistry, ModelEntry, Registry, registry_at
from varjepa.tasks.tracking.uris import store

REGISTRY = "models:/"
LOGGED = re.compile(r"models:/m-[0-9a-f]+")
"""The URI of a model that a run has logged, whether it is registered or not."""

RUN = re.compile(r"(?:runs:/)?([0-9a-f]{32})(?:/model)?")
CONFIG, PREPROCESSOR = "config.json", "preprocessor.json"
"""Files in the folder of every model; see `varjepa.inference.storage`."""

VERSIONS = "models:/NAME@champion or models:/NAME/VERSION"
EXAMPLES = "Expected a folder, models:/NAME@champion, models:/NAME/VERSION, or a run id."


def require_model(name: str, tracking_uri: str | None = None) -> None:
    """Checks the name of a model before anything heavy is loaded. Whether its files are sound shows when it is opened.

    Args:
        name: see `varjepa.tasks.registry.open_model.open_model`.
        tracking_uri: tracking store; None means the default one.

    Raises:
        ModelError: there is no such model.
        SetupError: there is no such store.
    """
    if LOGGED.fullmatch(name) is not None:
        return
    if name.startswith(REGISTRY):
        registered_version(name, tracking_uri)
    elif not home_expanded(name).is_dir() and RUN.fullmatch(name) is None:
        raise ModelError(f"No such model: {name}.", expected=EXAMPLES, fix=_registered_hint(name, tracking_uri))


def _registered_hint(name: str, tracking_uri: str | None) -> str:
    """The URI that a bare NAME or NAME/VERSION of a registered model seems to mean; empty if there is no such model."""
    before, _, version = name.rpartition("/")
    meant = {name: f"{REGISTRY}{name}@champion"} | ({before: f"{REGISTRY}{name}"} if version.isdecimal() else {})
    try:
        registry = registry_at(store(tracking_uri))
        found = [uri for model, uri in meant.items() if model and registry.model(model) is not None]
    except VarjepaError:
        return ""
    return f"Did you mean {found[0]}?" if found else ""


def registered_version(uri: str, tracking_uri: str | None) -> tuple[str, str]:
    """Name and version of `models:/NAME/VERSION` or `models:/NAME@ALIAS`.

    Raises:
        ModelError: not such a URI, or no such model, version or alias.
    """
    if not uri.startswith(REGISTRY):
        raise ModelError(
            f"{uri} is not a version of a registered model.", expected=f"Expected {VERSIONS}.",
            fix=_registered_hint(uri, tracking_uri),
        )  # fmt: skip
    name = uri.removeprefix(REGISTRY)
    model, at, alias = name.partition("@")
    model, version = (model, None) if at else (name.rpartition("/")[0], name.rpartition("/")[2])
    if not model or not (alias or version):
        raise ModelError(f"{REGISTRY}{name} names no version.", expected=EXAMPLES)
    place = store(tracking_uri)
    registry, where = registry_at(place), redacted_uri(place)
    registered = registry.model(model)
    if registered is None:
        raise ModelError(f'No model "{model}" is registered in {where}.', fix=known_names(registry, model))
    number = str(registered.aliases.get(alias)) if at else str(version)
    numbers = {entry.version for entry in registry.versions(model)}
    if not number.isdecimal() or str(int(number)) not in numbers:
        what = f'alias "{alias}"' if at else f"version {version}"
        fix = _have(sorted(map(int, numbers)), registered)
        if numbers and alias == CHAMPION:
            fix += f" `varjepa promote {REGISTRY}{model}/VERSION` makes one of them the champion."
        raise ModelError(f'The model "{model}" in {where} has no {what}.', fix=fix)
    return model, number


def folder_at_hand(name: str, tracking_uri: str | None = None) -> Path | None:
    """The folder of a model that lies on this machine, found without MLflow; None for any other.

    Where the environment names trusted keys, the signature is checked first.

    Args:
        name: see `require_model`.
        tracking_uri: see `require_model`.
    """
    if not name.startswith(REGISTRY) or LOGGED.fullmatch(name) is not None:
        folder = home_expanded(name)
        return _signed(folder) if folder.is_dir() else None
    registry = registry_at(store(tracking_uri))
    found = registry.folder(*registered_version(name, tracking_uri)) if isinstance(registry, FileRegistry) else None
    return None if found is None else _signed(found)


def _signed(folder: Path) -> Path:
    from varjepa.tasks.signing.check import require_signed

    require_signed(folder)
    return inside(folder)


def inside(folder: Path) -> Path:
    """The folder of the model itself inside the folder of an MLflow model."""
    places = [folder, folder / "model", folder / "artifacts" / "model"]
    return next((place for place in places if (place / CONFIG).is_file()), folder)


def known_names(registry: Registry, name: str) -> str:
    """What to say about a name that is not registered: the nearest one, or some that are."""
    names = [model.name for model in registry.models()]
    return nearest(name, names) or (f"Registered models: {listed(names)}." if names else "The registry is empty.")


def _have(versions: Sequence[int], registered: ModelEntry) -> str:
    """What a registered model has instead of a version that it has not."""
    if not versions:
        return "All of its versions are deleted."
    some = "version" if len(versions) == 1 else "the versions"
    kind = "alias" if len(registered.aliases) == 1 else "aliases"
    aliases = f" and the {kind} {listed(registered.aliases)}" if registered.aliases else ""
    return f"It has {some} {listed_numbers(versions)}{aliases}."


def listed_numbers(numbers: Sequence[int], limit: int = 20) -> str:
    """Numbers for a message; of many only the last.

    Examples:
        >>> listed_numbers([1, 2, 3]), listed_numbers([1, 2, 3], 2)
        ('1, 2, 3', '..., 2, 3')
    """
    shown = ", ".join(map(str, numbers[-limit:]))
    return shown if len(numbers) <= limit else f"..., {shown}"
