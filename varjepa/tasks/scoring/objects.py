"""Tables and scores in object stores, for workers that share no folder: one object of scores for each of the table."""

from datetime import datetime
from pathlib import PurePosixPath
from typing import NamedTuple

from varjepa.config.uris import OBJECTS, scheme_of
from varjepa.errors import ConfigError
from varjepa.tasks.scoring.many_files import STAMP, Job, is_a_file, require_apart, scores_name, stamped
from varjepa.tasks.sources.bucket import Bucket
from varjepa.tasks.sources.failures import reaching
from varjepa.tasks.steps.log import log
from varjepa.tasks.work_store.place import Place


class ObjectPart(NamedTuple):
    """An object and that of its scores.

    Attributes:
        source: address.
        out: address of its scores.
        changed: time of the last change of the source.
    """

    source: str
    out: str
    changed: datetime


def object_parts(source: str, out: str) -> list[ObjectPart]:
    """The objects of a table, each with the address of its scores.

    Raises:
        ConfigError: OUT is no folder of an object store, or that of the table, or two objects would have the same
            scores.
        DataError: there are no objects.
    """
    if scheme_of(source) not in OBJECTS or scheme_of(out) not in OBJECTS:
        raise ConfigError(
            f"--runner scores local files into a local folder, or objects into objects, not {source} into {out}.",
            fix="Leave out --runner.",
        )
    if PurePosixPath(out).suffix in (".parquet", ".csv"):
        raise is_a_file(out)
    with reaching(source):
        bucket = Bucket(source)
        objects = bucket.objects()
    folder = out.rstrip("/")
    if any(f"{bucket.root}/{item.key}".rpartition("/")[0] == folder for item in objects):
        raise ConfigError(f"{out} is the folder of the table itself.", fix="Choose another folder for the scores.")
    parts = [
        ObjectPart(f"{bucket.root}/{item.key}", f"{folder}/{scores_name(item.name)}", item.changed) for item in objects
    ]
    require_apart([(part.source, name_of(part)) for part in parts])
    return parts


def unscored_objects(parts: list[ObjectPart], job: Job, out: str, *, force: bool) -> list[ObjectPart]:
    """The objects without scores, or with scores that are older than the object. Writes the stamp.

    Raises:
        ConfigError: see `varjepa.tasks.scoring.many_files.stamped`.
    """
    with reaching(out, "written"):
        place, sources = Place(out), {name_of(part): part.source for part in parts}
        scored = {item.key: item.changed for item in place.items()}
        stamp = stamped(place.read(STAMP), job, sources, scored.keys() - {STAMP}, out, force=force)
        if force:  # as with files
            place.delete(scored.keys() & sources.keys())
        place.write(STAMP, stamp.encode())
    if force:
        return parts
    waiting = [part for part in parts if scored.get(name_of(part), datetime.min.replace(tzinfo=part.changed.tzinfo))
               < part.changed]  # fmt: skip
    if len(waiting) < len(parts):
        log.info("%d of %d objects are already scored", len(parts) - len(waiting), len(parts))
    return waiting


def name_of(part: ObjectPart) -> str:
    """Name of the scores in their folder."""
    return part.out.rpartition("/")[2]
