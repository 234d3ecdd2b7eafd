"""A file in an object store: uploaded in parts, there only when all of them are."""

from pathlib import Path

from varjepa.errors import ConfigError
from varjepa.tasks.destinations.target import Mode, refuse_existing
from varjepa.tasks.sources.bucket import Bucket

PART = 16 * 2**20
"""Bytes of a part of an upload."""


class ObjectTarget:
    """A Parquet or CSV file in a bucket; see `Target`."""

    def __init__(self, address: str, description: str, mode: Mode) -> None:
        self.bucket, self.description, self.mode = Bucket(address), description, mode
        self.suffix = Path(self.bucket.key).suffix
        self.arrays = self.suffix == ".parquet"

    def check(self) -> None:
        """See `Target.check`."""
        if self.mode == "append":
            raise ConfigError(f"{self.description} is a file.", expected="--append needs a Delta table or a database.")
        if self.bucket.exists() and self.mode == "create":
            raise refuse_existing(self.description, may_append=False)

    def publish(self, file: Path) -> None:
        """See `Target.publish`."""
        with file.open("rb") as stream:
            self.bucket.obstore.put(self.bucket.store, self.bucket.key, stream, chunk_size=PART)
