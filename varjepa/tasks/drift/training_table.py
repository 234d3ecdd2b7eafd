"""New rows that are the very table of training. Its fingerprint is known, and training rows fit too well."""

import polars as pl

from varjepa.config import DataSection
from varjepa.config.uris import is_local
from varjepa.data.read.named_columns import renamed
from varjepa.data.read.splits import PART, assign_parts
from varjepa.errors import DataError
from varjepa.tasks.registry.names import REGISTRY, registered_version
from varjepa.tasks.registry.reader import registry_at
from varjepa.tasks.registry.tags import FINGERPRINT_TAG
from varjepa.tasks.sources.open_table import find_table
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


def unlearned_rows(frame: pl.LazyFrame, data: DataSection) -> pl.LazyFrame | None:
    """The rows of a training table that the model was not trained on; None if its split cannot be repeated.

    Args:
        frame: all rows.
        data: settings of the training. Rows of a split by hash or by column stay in their part, whatever else there is.
    """
    if data.split.by not in ("hash", "column") or data.split.seen == "all":
        return None
    try:
        parts = assign_parts(renamed(frame, data.rename), data.split)
    except (DataError, pl.exceptions.ColumnNotFoundError):
        return None
    learned = parts.cast(pl.String).eq("train").rename(PART)
    return frame.filter(~pl.lit(learned))
