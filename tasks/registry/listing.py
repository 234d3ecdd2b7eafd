"""Lists registered models."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from tasks.answers import ChampionAnswer, VersionAnswer
from tasks.registry.champion import history
from tasks.tracking.store import client_for
from tasks.tracking.uris import store
from varjepa.errors import ModelError, listed, nearest

QUALITY = ("head/accuracy", "head/r2", "probe/accuracy", "probe/r2")


def registered_models(uri: str | None, name: str | None = None) -> list[VersionAnswer]:
    """All versions, by name, newest first.

    Args:
        uri: tracking store; None means the default one.
        name: one registered model; None means all.

    Raises:
        ModelError: no model has that name.
    """
    client, entries = client_for(store(uri)), []
    for model in _models(client, name):
        for version in client.search_model_versions(f"name = '{model.name}'"):
            aliases = sorted(alias for alias, number in model.aliases.items() if int(number) == int(version.version))
            entries.append(_entry(client, version, aliases))
    return sorted(entries, key=lambda entry: (entry["name"], -entry["version"]))


def champions(uri: str | None, name: str | None = None) -> list[ChampionAnswer]:
    """All changes of champions, by name, newest first. Arguments as for `registered_models`."""
    client = client_for(store(uri))
    return [
        ChampionAnswer(name=model.name, **asdict(event))  # type: ignore[typeddict-item]  # of the fields of an event
        for model in sorted(_models(client, name), key=lambda model: model.name)
        for event in reversed(history(client, model.name))
    ]


def _models(client: Any, name: str | None) -> list[Any]:
    models = list(client.search_registered_models())
    names = [model.name for model in models]
    if name is not None and name not in names:
        hint = nearest(name, names) or (f"Registered models: {listed(names)}." if names else "The registry is empty.")
        raise ModelError(f'No model "{name}" is registered.', fix=hint)
    return [model for model in models if name in (None, model.name)]


def _entry(client: Any, version: Any, aliases: list[str]) -> VersionAnswer:
    run_id = version.tags.get("varjepa.run_id") or version.run_id
    metrics = client.get_run(run_id).data.metrics if run_id else {}
    created = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
    return {
        "name": version.name,
        "version": int(version.version),
        "aliases": aliases,
        "created": created.strftime("%Y-%m-%d %H:%M UTC"),
        "quality": next((metrics[name] for name in QUALITY if name in metrics), None),
        "rows": version.tags.get("varjepa.rows", ""),
        "run_id": run_id,
        "gate": {
            "outcome": version.tags.get("varjepa.gate.outcome", ""),
            "vetoes": version.tags.get("varjepa.gate.vetoes", ""),
            "reason": version.tags.get("varjepa.gate", ""),
        },
    }
