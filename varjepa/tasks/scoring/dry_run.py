"""What a command over a table would do: nothing is opened that takes long to load, and nothing is written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from varjepa.config.uris import home_expanded, is_local
from varjepa.inference.column_groups import ARRAYS
from varjepa.redaction import redacted_uri
from varjepa.tasks.answers.tables import FilePlan, SourcePlan
from varjepa.tasks.destinations.destination import holds_arrays
from varjepa.tasks.registry.names import LOGGED, REGISTRY, folder_at_hand, registered_version
from varjepa.tasks.scoring.checks import columns_of, settings_of
from varjepa.tasks.sources.address import section_at
from varjepa.tasks.sources.glance import columns_at_hand, files_at_hand, rows_at_hand


def planned(
    model: str, tracking_uri: str | None, sources: Sequence[str], out: str, *, reading: dict[str, Any],
    append: bool, keep: Sequence[str] = (), groups: Sequence[str] = (),
) -> FilePlan:  # fmt: skip
    """The plan of a command whose names, places and columns have been checked.

    Args:
        model: as the user named it.
        tracking_uri: tracking store; None means the default one.
        sources: tables to read.
        out: where the answer goes.
        reading: query, parameters and version (at) of the tables.
        append: whether rows are added to OUT.
        keep: columns to copy.
        groups: groups of columns to write.
    """
    folder = folder_at_hand(model, tracking_uri)
    reads = [] if folder is None else columns_of(folder)
    left_out = [name for name in groups if name in ARRAYS and not holds_arrays(out)]
    exists = is_local(out) and home_expanded(out).exists()
    return {
        "dry_run": True,
        "model": _resolved(model, tracking_uri),
        "reads": reads,
        "sources": [_source(folder, source, reads, reading) for source in sources],
        "columns": [*keep, *(name for name in groups if name not in left_out)],
        "left_out": left_out,
        "out": redacted_uri(out),
        "action": "append" if append else "replace" if exists else "write",
    }


def _resolved(model: str, tracking_uri: str | None) -> str:
    """The version behind an alias; any other name as it stands."""
    if not model.startswith(REGISTRY) or LOGGED.fullmatch(model) is not None:
        return model
    name, version = registered_version(model, tracking_uri)
    return f"{REGISTRY}{name}/{version}"


def _source(folder: Path | None, source: str, reads: list[str], reading: dict[str, Any]) -> SourcePlan:
    """A table: its files, rows and unused columns, as far as a glance tells; None for what shows when it is read."""
    settings = None if folder is None else settings_of(folder)
    found = columns_at_hand(section_at(settings.data, source, **reading)) if settings and is_local(source) else None
    return {
        "place": redacted_uri(source), "files": files_at_hand(source), "rows": rows_at_hand(source),
        "unused": None if found is None or not reads else [name for name in found if name not in reads],
    }  # fmt: skip
