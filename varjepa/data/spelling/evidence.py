"""What the cells of one column say about its spelling, gathered batch by batch in bounded memory."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from varjepa.data.cells import nameless
from varjepa.data.spelling.gaps import are_gaps
from varjepa.data.spelling.propose import LEAST_VALUES, is_code, proposals
from varjepa.data.spelling.readers import Reader, whole_values
from varjepa.data.spelling.whole_numbers import whole_number_readers

MOST_TEXTS = 500
"""Distinct texts that readers are proposed from."""

MOST_WORDS = 50
"""Distinct unread texts of a batch that are looked at."""

MOST_UNCLEAR = 20_000
"""Distinct texts of an ambiguous column that are kept."""

DAY = 86_400_000_000
"""Microseconds."""

HOPELESS = 0.5
"""A column of which a larger share cannot be read is text."""


class Evidence:
    """Gathers evidence about one column.

    Args:
        name: of the column.
        dtype: as read: text or whole numbers.
        given: the reader that the user wants; None to find one.
        gaps: words that mean a missing cell, beside the usual ones.
    """

    def __init__(self, name: str, dtype: pl.DataType, given: Reader | None = None, gaps: tuple[str, ...] = ()) -> None:
        self.name, self.dtype, self.given, self.known = name, dtype, given, gaps
        self.readers: Sequence[Reader] = [given] if given else []
        self.texts = Counter[str]()
        """Distinct texts that readers were proposed from."""
        self.settled = False
        """Whether more rows cannot change that the column stays as it is."""
        self.restart()

    def restart(self) -> None:
        """Forgets counts, but not the readers and what they were proposed from."""
        self.changed = False
        """Whether the readers have changed since, so that earlier rows must be read again."""
        self.cells, self.unread_cells = 0, 0
        self.unread = Counter[str]()
        self.gaps = Counter[str]()
        self.unclear: set[str] = set()
        self.fractions: set[Reader] = set()
        """Readers of which a value is no whole number."""
        self.clock = False
        """Whether a moment has a time of day."""
        self.values: set[float] = set()

    def look(self, cells: pl.Series) -> None:
        """Takes in a batch of cells."""
        present = nameless(cells).drop_nulls()
        if self.settled or present.is_empty():
            return
        self.cells += len(present)
        if self.dtype != pl.String:
            self._look_at_numbers(present)
            return
        if not self.readers:
            self._propose(present)
        if self.settled:
            return
        self._count(present)

    def _look_at_numbers(self, present: pl.Series) -> None:
        if not self.readers:
            self.readers = whole_number_readers(self.name, present)
        values = self.readers[0].values(present) if self.readers else None
        if values is None or (values.null_count() and not self.given):
            self.settled, self.readers = True, []
            return
        self.unread_cells += values.null_count()
        self._see(self.readers[0], present, values)

    def _propose(self, present: pl.Series) -> None:
        """New readers from what is known and from the distinct texts of this batch."""
        counts = present.rename("text").value_counts(sort=True).head(MOST_TEXTS)
        fresh = counts.filter(are_gaps(counts["text"], self.known).not_())
        for text, count in fresh.iter_rows():
            if len(self.texts) < 2 * MOST_TEXTS or text in self.texts:
                self.texts[text] += count
        if self.texts:
            self._take(self._proposals())

    def _proposals(self) -> list[Reader]:
        readers = proposals(self.texts)
        numbers = pl.Series(list(self.texts), dtype=pl.String).str.strip_chars().cast(pl.Int64, strict=False)
        if len(readers) == 1 and readers[0].family == "numbers" and not numbers.null_count():
            return whole_number_readers(self.name, numbers) or readers
        return readers

    def _take(self, proposed: Sequence[Reader]) -> None:
        readers = [replace(reader, gaps=self.known) for reader in proposed]
        if list(readers) != list(self.readers):
            self.readers, self.changed = readers, True
        # A single text may yet turn out to be one number of many.
        self.settled = not readers and (len(self.texts) > 1 or not any(map(str.isdigit, next(iter(self.texts)))))

    def _count(self, present: pl.Series) -> None:
        """Counts what the readers cannot read; readers that others surpass go."""
        if not self.readers:
            return
        if not self.given and self.readers[0].family == "numbers" and is_code(present):
            self.settled, self.readers = True, []
            return
        results = []
        for reader in self.readers:
            values = reader.values(present)
            results.append((reader, values, reader.unread(present, values)))
        fewest = min(int(rest.sum()) for _, _, rest in results)
        kept = [result for result in results if int(result[2].sum()) == fewest]
        self.readers = [reader for reader, _, _ in kept]
        _, values, rest = kept[0]
        for reader, read, _ in kept:
            self._see(reader, present, read)
        if len(kept) > 1:
            self._keep_unclear(present.filter(values.is_not_null()))
        missing = present.filter(values.is_null())
        if len(missing):
            self._count_missing(missing, rest.filter(values.is_null()))

    def _keep_unclear(self, present: pl.Series) -> None:
        if len(self.unclear) < MOST_UNCLEAR:
            self.unclear.update(present.unique().to_list())

    def _count_missing(self, missing: pl.Series, unread: pl.Series) -> None:
        words = missing.filter(unread)
        self.unread_cells += len(words)
        gaps = missing.filter(unread.not_()).str.strip_chars().value_counts().head(MOST_WORDS)
        self.gaps.update(dict(gaps.iter_rows()))
        counted = words.rename("text").value_counts(sort=True).head(MOST_WORDS)
        counts = dict(counted.iter_rows())
        for word, count in counts.items():
            if word in self.unread or len(self.unread) < MOST_WORDS:
                self.unread[word] += count
        new = {word: count for word, count in counts.items() if word not in self.texts}
        if new and not self.given:
            self.texts.update(new)
            self._take(self._proposals())
        if not self.given and self.unread_cells > HOPELESS * self.cells and self.gap_word() is None:
            self.settled, self.readers = True, []

    def _see(self, reader: Reader, cells: pl.Series, values: pl.Series) -> None:
        """Notes what type holds the values that a reader finds in cells."""
        if values.dtype == pl.Datetime:
            self.clock = self.clock or bool((values.to_physical() % DAY != 0).any())
        elif reader not in self.fractions and whole_values(cells, values).null_count() > values.null_count():
            self.fractions.add(reader)
        if len(self.values) < LEAST_VALUES:
            distinct = values.drop_nulls().unique().head(LEAST_VALUES)
            self.values.update(distinct.to_physical().cast(pl.Float64).to_list())

    def gap_word(self) -> str | None:
        """The only word without a digit that is no value, if it is frequent and stands beside many values."""
        words = {word.strip().lower() for word in self.unread}
        word = next(iter(self.unread), "").strip()
        frequent = self.unread_cells > 0.1 * self.cells
        numbered = any(map(str.isdigit, word))
        return word if len(words) == 1 and frequent and not numbered and len(self.values) >= LEAST_VALUES else None
