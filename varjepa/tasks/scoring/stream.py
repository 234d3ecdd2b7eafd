"""Tables larger than memory, read in batches."""

from collections.abc import Iterator

import polars as pl

from varjepa.config import DataSection
from varjepa.data.read.named_columns import renamed
from varjepa.data.read.sources import Source
from varjepa.tasks.sources.open_table import reads


def batches_of(source: Source, data: DataSection, rows: int) -> Iterator[pl.DataFrame]:
    """The rows of a table in their order, at most `rows` at a time.

    Args:
        source: the table.
        data: settings with the path of the source.
        rows: of a batch.

    Raises:
        DataError: the table cannot be read.
    """
    with reads(data):
        frame = renamed(source.frame, data.rename)
        empty = True
        for batch in frame.collect_batches(chunk_size=rows, maintain_order=True):
            for start in range(0, batch.height, rows):
                empty = False
                yield batch[start : start + rows]
        if empty:
            yield pl.DataFrame(schema=frame.collect_schema())
