"""New rows that are the very table of training. Its fingerprint is known, and training rows fit too well."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from varjepa.config import DataSection
from varjepa.config.uris import is_local
from varjepa.data.read.named_columns import renamed
from varjepa.data.read.sources import Source
from varjepa.data.read.splits import PART, assign_parts
from varjepa.errors import DataError
from varjepa.tasks.registry.names import REGISTRY, registered_version
from varjepa.tasks.registry.reader import registry_at
from varjepa.tasks.registry.tags import FINGERPRINT_TAG
from varjepa.tasks.sources.open_table import find_table, opened_table, reads
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.reuse import WORK
from varjepa.tasks.tracking.uris import store


def is_training_table(model: str, tracking_uri: str | None, data: DataSection) -> bool:
    """Whether a table of this machine has the fingerprint that the registry keeps of a version's training.

    Args:
        model: as for `varjepa score`; only registered versions have a fingerprint.
        tracking_uri: tracking store; None means the default one.
        data: settings of the new rows.
    """
    if not model.startswith(REGISTRY) or data.path is None or not is_local(data.path):
        return False
    name, number = registered_version(model, tracking_uri)
    versions = registry_at(store(tracking_uri)).versions(name)
    tags = next((version.tags for version in versions if version.version == str(int(number))), {})
    known = tags.get(FINGERPRINT_TAG)
    return known is not None and known == find_table(data, WORK).fingerprint()


def without_parts(source: Source, data: DataSection, parts: Sequence[str], words: str, otherwise: str) -> Source:
    """The table of training without some of its parts, as far as its split can be repeated; says which of both it is.

    Args:
        source: the table.
        data: settings of the training.
        parts: to leave out, such as "train".
        words: what is left, for the message.
        otherwise: what the message says of rows that cannot be told apart.
    """
    # A model reads some columns in another way than its training has, as text for instance: their hashes differ.
    with opened_table(data, quiet=True) as trained, reads(data):
        rows = rows_beyond(source.frame, data, parts, as_trained=trained.frame)
    known = otherwise if rows is None else words
    log.warning("%s is the very table that the model was trained on: %s", source.description, known)
    return source if rows is None else replace(source, frame=rows)


def rows_beyond(
    frame: pl.LazyFrame, data: DataSection, parts: Sequence[str], as_trained: pl.LazyFrame | None = None
) -> pl.LazyFrame | None:
    """The rows of a training table that are in none of some parts; None if its split cannot be repeated.

    Args:
        frame: all rows.
        data: settings of the training. Rows of a split by hash or by column stay in their part, whatever else there is.
        parts: to leave out, such as "train".
        as_trained: the same rows as the training has read them, which decide the parts; None if `frame` is that.
    """
    if data.split.by not in ("hash", "column") or data.split.seen == "all":
        return None
    try:
        found = assign_parts(renamed(frame if as_trained is None else as_trained, data.rename), data.split)
    except (DataError, pl.exceptions.ColumnNotFoundError):
        return None
    left_out = found.cast(pl.String).is_in(list(parts)).rename(PART)
    return frame.filter(~pl.lit(left_out))
