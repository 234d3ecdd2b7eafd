"""Lists registered models."""

import os
from dataclasses import asdict
from datetime import UTC, datetime

from varjepa.errors import ModelError
from varjepa.tasks.answers.registry import ChampionAnswer, VersionAnswer
from varjepa.tasks.processes.accounts import TRACKING
from varjepa.tasks.registry.champion import history_of
from varjepa.tasks.registry.names import known_names
from varjepa.tasks.registry.reader import ModelEntry, Registry, VersionEntry, registry_at
from varjepa.tasks.registry.tags import GATE_TAG, ROWS_TAG, listed_vetoes
from varjepa.tasks.tracking.uris import database_file, store

QUALITY = ("head/accuracy", "head/r2", "probe/accuracy", "probe/r2")


def registered_models(uri: str | None, name: str | None = None) -> list[VersionAnswer]:
    """All versions, by name, newest first.

    Args:
        uri: tracking store; None means the default one.
        name: one registered model; None means all.

    Raises:
        ModelError: no model has that name.
    """
    registry, entries = _registry(uri), list[VersionAnswer]()
    for model in _models(registry, name):
        # Without a registry, there are no models.
        for version in registry.versions(model.name) if registry else ():
            aliases = sorted(alias for alias, number in model.aliases.items() if int(number) == int(version.version))
            metrics = registry.metrics(version_run(version)) if registry else {}
            entries.append(_entry(version, aliases, metrics))
    return sorted(entries, key=lambda entry: (entry["name"], -entry["version"]))


def champions(uri: str | None, name: str | None = None) -> list[ChampionAnswer]:
    """All changes of champions, by name, newest first. Arguments as for `registered_models`."""
    return [
        ChampionAnswer(name=model.name, **asdict(event))  # type: ignore[typeddict-item]  # of the fields of an event
        for model in sorted(_models(_registry(uri), name), key=lambda model: model.name)
        for event in reversed(history_of(model))
    ]


def _registry(uri: str | None) -> Registry | None:
    """The registry of a store; None where no store is named and nothing has been trained yet."""
    place = store(uri)
    database = database_file(place)
    named = uri is not None or TRACKING in os.environ
    return None if database is not None and not named and not database.exists() else registry_at(place)


def _models(registry: Registry | None, name: str | None) -> list[ModelEntry]:
    if name is None:
        return registry.models() if registry else []
    model = registry.model(name) if registry else None
    if model is None:
        fix = known_names(registry, name) if registry else "The registry is empty."
        raise ModelError(f'No model "{name}" is registered.', fix=fix)
    return [model]


def _entry(version: VersionEntry, aliases: list[str], metrics: dict[str, float]) -> VersionAnswer:
    created = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
    return {
        "name": version.name,
        "version": int(version.version),
        "aliases": aliases,
        "created": created.strftime("%Y-%m-%d %H:%M UTC"),
        "quality": next((metrics[name] for name in QUALITY if name in metrics), None),
        "rows": int(rows) if (rows := version.tags.get(ROWS_TAG, "")).isdecimal() else None,
        "run_id": version_run(version) or None,
        "gate": {
            "outcome": version.tags.get(f"{GATE_TAG}.outcome", ""),
            "vetoes": listed_vetoes(version.tags),
            "reason": version.tags.get(GATE_TAG, ""),
        },
    }


def version_run(version: VersionEntry) -> str:
    """The run that made a version; empty where none did."""
    return version.tags.get("varjepa.run_id") or version.run_id or ""
