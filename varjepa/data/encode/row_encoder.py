"""Encoding of small frames, one after the other: what depends on their schema alone is made once."""

from collections.abc import Sequence

import polars as pl

from varjepa.data.encode.preprocessor import Preprocessor


class RowEncoder:
    """Encodes frames; those of the schema of the last one take half the time, because its expressions are kept.

    Several threads may share one.

    Args:
        preprocessor: of the model.
    """

    def __init__(self, preprocessor: Preprocessor) -> None:
        self.preprocessor = preprocessor
        self._last: tuple[pl.Schema, Sequence[pl.Expr]] | None = None

    def __reduce__(self) -> tuple[type["RowEncoder"], tuple[Preprocessor]]:
        """Without the expressions, which hold functions and are made again."""
        return RowEncoder, (self.preprocessor,)

    def __call__(self, frame: pl.DataFrame) -> pl.LazyFrame:
        """The features of the rows, lazily; see `Preprocessor.encode`.

        Raises:
            DataError: a column of a feature is missing, or a numeric column holds text.
        """
        derived = self.preprocessor.derive(frame.lazy())
        schema, last = derived.collect_schema(), self._last
        if last is None or last[0] != schema:
            last = self._last = (schema, self.preprocessor.expressions(schema))
        return derived.select(*last[1])
