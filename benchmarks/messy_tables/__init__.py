"""Tables as people have them: mixed columns, spelled by hand, with a label that can be learned."""

from collections.abc import Callable, Mapping

from benchmarks.messy_tables.ames import ames
from benchmarks.messy_tables.export import export
from benchmarks.messy_tables.log import log
from benchmarks.messy_tables.shop import shop
from benchmarks.messy_tables.telco import telco
from benchmarks.messy_tables.titanic import titanic
from benchmarks.messy_tables.written import MessyTable

MESSY_TABLES: Mapping[str, Callable[[int, int], MessyTable]] = {
    "telco": telco,
    "titanic": titanic,
    "ames": ames,
    "export": export,
    "log": log,
    "shop": shop,
}
"""Name of a kind of table -> its generator, which takes the number of rows and a seed."""
