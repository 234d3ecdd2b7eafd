"""What is registered."""

from datetime import UTC, datetime
from typing import Any

from tasks.tracking import client_for, tracking_uri
from varjepa.config.operations import TrackingSection

QUALITY = ("probe/accuracy", "probe/r2")


def store(uri: str | None) -> str:
    """The tracking store that a command without a config talks to."""
    return tracking_uri(TrackingSection()) if uri is None else uri


def registered_models(uri: str | None) -> list[dict[str, Any]]:
    """All versions, by name, newest first.

    Args:
        uri: tracking store; None means the usual one.
    """
    client, found = client_for(store(uri)), []
    for model in client.search_registered_models():
        for version in client.search_model_versions(f"name = '{model.name}'"):
            aliases = sorted(alias for alias, number in model.aliases.items() if int(number) == int(version.version))
            found.append(_entry(client, version, aliases))
    return sorted(found, key=lambda entry: (entry["name"], -entry["version"]))


def _entry(client: Any, version: Any, aliases: list[str]) -> dict[str, Any]:
    run_id = version.tags.get("varjepa.run_id") or version.run_id
    metrics = client.get_run(run_id).data.metrics if run_id else {}
    made = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
    return {
        "name": version.name,
        "version": int(version.version),
        "aliases": aliases,
        "created": made.strftime("%Y-%m-%d %H:%M UTC"),
        "quality": next((metrics[name] for name in QUALITY if name in metrics), None),
        "rows": version.tags.get("varjepa.rows", ""),
        "run_id": run_id,
    }
