"""How much memory a DuckDB database may use, and what follows for the files that it writes."""

from typing import NamedTuple

CELL = 64
"""Bytes that a cell of a row group takes while it is written; twice of what was seen."""

OUT_OF_MEMORY = "Out of Memory Error"
"""How DuckDB's error begins."""

FEWEST_ROWS, MOST_ROWS = 2_048, 122_880
"""Rows of a row group."""


class OutOfMemory(BaseException):
    """A database has too little memory.

    Not an `Exception`: Great Expectations would catch it, and ask for each of thousands of figures by a query of its
    own, which fails as well, as the transaction is lost.
    """


class Budget(NamedTuple):
    """What the database may use.

    Attributes:
        memory: bytes; beyond that it spills to disk where it can.
        threads: their number.
    """

    memory: int
    threads: int

    def of_copy(self, columns: int) -> tuple[int, int]:
        """Threads that write a file of so many columns, and rows of each row group.

        Every thread holds a whole row group, which cannot be spilled.

        Examples:
            >>> Budget(400_000_000, threads=2).of_copy(columns=15)
            (2, 102400)
            >>> Budget(400_000_000, threads=16).of_copy(columns=4500)
            (1, 2048)
        """
        cells = self.memory // 2 // CELL
        threads = max(1, min(self.threads, cells // (columns * FEWEST_ROWS)))
        rows = cells // (columns * threads) // FEWEST_ROWS * FEWEST_ROWS
        return threads, max(FEWEST_ROWS, min(rows, MOST_ROWS))
