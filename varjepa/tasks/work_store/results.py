"""Results of steps in a work store: fetched if they are there, published once they are made."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

from varjepa.errors import DataError, listed
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.reuse import DONE, Elsewhere
from varjepa.tasks.work_store.lease import Lease
from varjepa.tasks.work_store.outage import Outage
from varjepa.tasks.work_store.partial import (
    MARK,
    Keeper,
    Uploads,
    bring_partial,
    forget_partial,
    partial_files,
    stamp_of,
    workers_folder,
)
from varjepa.tasks.work_store.place import Place

FILES = ".files.json"
"""Object of a step's folder: name and size of each file of its result, and names of its empty folders."""

AT_ONCE = 8
"""Files that are copied at the same time."""

LAST_SECONDS = 2.0
"""Seconds in which an interrupted process uploads its last checkpoint; see `varjepa.tasks.processes.signals.GRACE`."""

YOUNG = timedelta(days=1)
"""A result of the store that was used so long ago is marked as used again."""

UNFINISHED = (".tmp", ".part", ".lock")
"""Endings of files that are no part of a result."""


class SharedResults:
    """Results of steps that other machines find in a store; see `varjepa.tasks.steps.reuse.Sharing`.

    Args:
        place: the store.
        lost_after: seconds without a sign of life after which a machine counts as lost.
        checkpoint_seconds: least time between two uploads of a checkpoint.
    """

    def __init__(self, place: Place, lost_after: float, checkpoint_seconds: float) -> None:
        self.place, self.lost_after, self.checkpoint_seconds = place, lost_after, checkpoint_seconds
        self.outage = Outage(f"The work store {place.uri}")
        self.waiting: list[Path] = []

    @contextmanager
    def turn(self, folder: Path) -> Iterator[None]:
        """See `Sharing.turn`."""
        if (folder / DONE).is_file():
            yield
            self._published(folder, Uploads(), anew=False)
            return
        lease = self.outage.call(lambda: self._lease_or_result(folder))
        if lease is None:
            fetched = (folder / DONE).is_file()
            yield
            if not fetched:
                self.waiting.append(folder)
            return
        uploads = self.outage.call(lambda: bring_partial(self.place, folder, lease.generation)) or Uploads()
        keeper = Keeper(self.place, folder, lease, self.checkpoint_seconds, uploads)
        try:
            yield
        except BaseException as error:
            keeper.stop(last=True, seconds=None if isinstance(error, Exception) else LAST_SECONDS)
            self.outage.call(lease.release)
            raise
        keeper.stop(last=False)
        if lease.lost:
            log.info("%s: another machine has made the same result meanwhile", folder.name)
        elif self._published(folder, uploads, anew=True):
            self.outage.call(lease.forget)

    def elsewhere(self, finished: Path, folder: Path) -> Elsewhere | None:
        """See `Sharing.elsewhere`."""
        if self.outage.call(lambda: self.place.item(f"{finished.name}/{DONE}")) is None:
            return None
        uri = self.place.uri
        return Elsewhere(f"{uri}/{finished.name}", f"{uri}/{workers_folder(folder)}")

    def finish(self) -> None:
        """Publishes what could not be published before, or says what other machines will not find."""
        if not self.waiting:
            return
        self.outage.over()
        late, self.waiting = self.waiting, []
        for folder in late:
            self._published(folder, Uploads(), anew=False)
        if self.waiting:
            log.warning(
                "%s cannot be used: the results %s are on this machine only. The next run here uploads them.",
                self.outage.description, listed(folder.name for folder in self.waiting),
            )  # fmt: skip

    def fetch(self, folder: Path) -> bool:
        """Downloads a result; False if the store has none."""
        result = self.place.read(f"{folder.name}/{DONE}")
        listed = self.place.read(f"{folder.name}/{FILES}") if result is not None else None
        if result is None or listed is None:
            return False
        content, began = json.loads(listed), time.perf_counter()
        sizes = {name: int(size) for name, size in content["files"].items() if _is_inside(name)}
        draft = folder.with_name(f"{folder.name}.fetched")
        for name in (".", *filter(_is_inside, content["empty"])):
            (draft / name).mkdir(parents=True, exist_ok=True)
        try:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(lambda name: self._download(folder.name, name, sizes[name], draft), sizes))
        except FileNotFoundError:  # a rule of the store has removed some of its files
            log.warning("%s: the result in the store lacks some of its files", folder.name)
            self.place.delete([f"{folder.name}/{DONE}"])
            shutil.rmtree(draft)
            return False
        (draft / DONE).write_bytes(result)
        # What an unfinished attempt has left here gives way to it; the lock lies beside the folder.
        shutil.rmtree(folder)
        draft.rename(folder)
        step, total = folder.name.rsplit("-", 1)[0], sum(sizes.values()) / 2**20
        seconds = time.perf_counter() - began
        log.info("%s: made before, fetched %.1f MiB from %s in %.1f s", step, total, self.place.uri, seconds)
        self._keep_young(folder)
        return True

    def publish(self, folder: Path, uploads: Uploads) -> None:
        """Uploads a result, its last file at the end, and removes what the step has left while it was unfinished."""
        paths = {path.relative_to(folder).as_posix(): path for path in result_files(folder)}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda name: self._upload(folder.name, name, paths[name], uploads), paths))
        sizes = {name: path.stat().st_size for name, path in paths.items()}
        content = json.dumps({"files": sizes, "empty": _empty_folders(folder)})
        self.place.write(f"{folder.name}/{FILES}", content.encode())
        self.place.write(f"{folder.name}/{DONE}", (folder / DONE).read_bytes())
        forget_partial(self.place, folder)

    def _lease_or_result(self, folder: Path) -> Lease | None:
        """Waits until this machine may make the result; None if another one has made it meanwhile."""
        lease, told = Lease(self.place, folder.name, self.lost_after, self.outage), False
        while not self.fetch(folder):
            if lease.take():
                if self.fetch(folder):
                    lease.forget()
                    return None
                return lease
            if not told and lease.holder:
                told = True
                log.info("%s: %s works on the same step; waiting for it", folder.name, lease.holder)
            time.sleep(lease.pause)
        return None

    def _published(self, folder: Path, uploads: Uploads, *, anew: bool) -> bool:
        """Publishes a result, now or later; unless `anew`, only if the store has none."""

        def published() -> bool:
            if anew or not self._keep_young(folder):
                self.publish(folder, uploads)
            return True

        if self.outage.call(published):
            return True
        self.waiting.append(folder)
        return False

    def _keep_young(self, folder: Path) -> bool:
        """Tells `varjepa clean` that a result is in use, once a day; False if the store has none."""
        item = self.place.item(f"{folder.name}/{DONE}")
        if item is not None and datetime.now(UTC) - item.changed > YOUNG:
            self.place.write(item.key, (folder / DONE).read_bytes())
        return item is not None

    def _download(self, step: str, name: str, size: int, draft: Path) -> None:
        path = draft / name
        if not path.is_file() or path.stat().st_size != size:  # otherwise an interrupted download has brought it
            self.place.download(f"{step}/{name}", size, path)

    def _upload(self, step: str, name: str, path: Path, uploads: Uploads) -> None:
        key = f"{step}/{name}"
        before = uploads.keys.get(stamp_of(path))
        if before is not None:  # uploaded while the step ran, under the name that it had then
            self.place.move(before, key)
            return
        with path.open("rb") as stream:
            self.place.write(key, stream)


def result_files(folder: Path) -> list[Path]:
    """The files of a finished step, without its result, which is the last to be uploaded."""
    left_out = {folder / DONE, folder / MARK, *partial_files(folder)}
    files = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    return sorted(path for path in files if path not in left_out and path.suffix not in UNFINISHED)


def _empty_folders(folder: Path) -> list[str]:
    """Folders that a result may name although there is nothing in them: a store has no folders of its own."""
    empty = (Path(place) for place, folders, names in os.walk(folder) if not folders and not names)
    return sorted(path.relative_to(folder).as_posix() for path in empty)


def _is_inside(name: str) -> bool:
    """Whether a name of the store stays within the folder that it is written to."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f"The work store lists a file outside of the folder of its step: {name}.")
    return True
