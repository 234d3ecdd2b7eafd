"""Files of an unfinished step, such as a checkpoint: uploaded while it runs, downloaded by whoever goes on with it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from threading import Event, Thread

from varjepa.tasks.steps.files import write_text
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.reuse import PARTIAL
from varjepa.tasks.work_store.lease import Lease
from varjepa.tasks.work_store.place import Item, Place

FOLDER = "partial"
"""Folder of a store with the files of unfinished steps: STEP/GENERATION/FILE."""

BY_WORKERS = "workers"
"""Takes the place of a generation for parts that workers on other machines have uploaded."""

MARK = ".generation"
"""File of a step's local folder: the last generation in which this machine has worked on it."""

LOOK = 0.25
"""Seconds between two looks at the files."""

Stamp = tuple[int, int, int]
"""What identifies the content of a file that is only ever replaced: inode, size, time of change."""


@dataclass
class Uploads:
    """Files of an unfinished step that are in the store: stamp of the local file -> key."""

    keys: dict[Stamp, str] = field(default_factory=dict)


class Keeper:
    """Uploads the unfinished files of a step from a thread, whenever they have changed.

    A file is opened before it is uploaded, so what arrives is one version of it, even if it is replaced meanwhile.

    Args:
        place: the store.
        folder: of the step.
        lease: of the step; nothing is uploaded once it is lost.
        every: least seconds between two uploads of the same file.
        uploads: what is in the store already.
    """

    def __init__(self, place: Place, folder: Path, lease: Lease, every: float, uploads: Uploads) -> None:
        self.place, self.folder, self.lease, self.every, self.uploads = place, folder, lease, every, uploads
        self._uploaded_at: dict[str, float] = {}
        self._over, self._last = Event(), True
        self._thread = Thread(target=self._run, name=f"upload of {folder.name}", daemon=True)
        self._thread.start()

    def stop(self, *, last: bool, seconds: float | None = None) -> None:
        """Ends the thread.

        Args:
            last: whether to upload first what has changed since the last upload.
            seconds: to wait for that; None waits as long as it takes.
        """
        self._last = last
        self._over.set()
        self._thread.join(seconds)
        if self._thread.is_alive():
            log.warning("%s: the newest checkpoint was too large to be uploaded in time", self.folder.name)

    def _run(self) -> None:
        while not self._over.wait(LOOK):
            self.lease.outage.call(lambda: self._upload(now=False))
        if self._last:
            self.lease.outage.call(lambda: self._upload(now=True))

    def _upload(self, *, now: bool) -> None:
        for path in partial_files(self.folder):
            name, moment = path.relative_to(self.folder).as_posix(), time.monotonic()
            due = now or moment - self._uploaded_at.get(name, -self.every) >= self.every
            if not due or self.lease.lost:
                continue
            key = f"{FOLDER}/{self.folder.name}/{self.lease.generation:09}/{name}"
            try:
                with path.open("rb") as stream:
                    stamp = stamp_of(path)
                    if stamp in self.uploads.keys:
                        continue
                    by_worker = f"{workers_folder(self.folder)}/{name}"
                    if "/" in name and self.place.item(by_worker) is not None:
                        key = by_worker  # where it has come from
                    else:
                        self.place.write(key, stream)
            except FileNotFoundError:  # the step has just ended with it
                continue
            self.uploads.keys[stamp], self._uploaded_at[name] = key, moment


def partial_files(folder: Path) -> Iterator[Path]:
    """The files of a step from which another process may go on."""
    for pattern in PARTIAL:
        yield from folder.glob(pattern)


def workers_folder(folder: Path) -> str:
    """Folder of the store for what workers on other machines make of a step."""
    return f"{FOLDER}/{folder.name}/{BY_WORKERS}"


def stamp_of(path: Path) -> Stamp:
    """What identifies the content of the file."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def bring_partial(place: Place, folder: Path, generation: int) -> Uploads:
    """Downloads the unfinished files that another machine has left, where they are newer than those of this one.

    Args:
        place: the store.
        folder: of the step.
        generation: in which this process works on the step.
    """
    uploads, mark = Uploads(), folder / MARK
    before = mark.read_text(encoding="utf-8") if mark.is_file() else ""
    for name, item in _newest(place, folder.name).items():
        path = folder / name
        # Parts in a folder are the same whoever has made them; a checkpoint of another machine is further.
        if not path.is_file() or ("/" not in name and before != _generation(item)):
            place.download(item.key, item.size, path)
            log.info("%s: going on from %s, which another machine has left", folder.name.rsplit("-", 1)[0], name)
            uploads.keys[stamp_of(path)] = item.key
    write_text(mark, f"{generation:09}")
    return uploads


def forget_partial(place: Place, folder: Path) -> None:
    """Removes the unfinished files of a step from the store."""
    place.delete(item.key for item in place.items(f"{FOLDER}/{folder.name}"))
    (folder / MARK).unlink(missing_ok=True)


def _newest(place: Place, step: str) -> dict[str, Item]:
    """Name of each unfinished file -> its object of the latest generation."""
    prefix = f"{FOLDER}/{step}/"
    newest = {
        item.key.removeprefix(prefix).partition("/")[2]: item for item in place.items(prefix)
    }  # sorted: last wins
    return {name: item for name, item in newest.items() if any(fnmatch(name, pattern) for pattern in PARTIAL)}


def _generation(item: Item) -> str:
    return item.key.split("/")[2]
