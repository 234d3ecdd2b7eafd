"""Great Expectations over DuckDB, a SQL engine that reads Parquet in place with bounded memory."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, Literal
from uuid import uuid4

os.environ["GX_ANALYTICS_ENABLED"] = "false"

import duckdb_engine
import great_expectations as gx
from duckdb_engine.config import apply_config
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.datasource.fluent import SQLDatasource
from great_expectations.execution_engine import SqlAlchemyExecutionEngine

from tasks.contract.view import literal

EXAMPLES = 20
"""Invalid cells that a result lists per expectation."""
SITE = "contract"
"""Name of the Data Docs."""

_one_at_a_time = Lock()
"""Great Expectations stores its project in a global variable, so only one thread at a time may use it."""


def _forget_annotations() -> None:
    """Releases DuckDB's types. Otherwise they outlive the interpreter and are reported as leaks on stderr."""
    for wrapper in (duckdb_engine.ConnectionWrapper, duckdb_engine.CursorWrapper):
        wrapper.__annotations__.clear()
        wrapper.__init__.__annotations__.clear()
    apply_config.__annotations__.clear()


def _retire(engine: Any) -> None:
    engine.dispose()
    # SQLAlchemy caches the dialect until the interpreter ends, and the dialect holds DuckDB's types (see above).
    vars(engine.dialect).clear()


_forget_annotations()


class DuckDBExecutionEngine(SqlAlchemyExecutionEngine):
    """Keeps one connection open. Otherwise results are discarded before they are read."""

    _connection: Any

    @contextmanager
    def get_connection(self) -> Iterator[Any]:
        if self._connection is None:
            self._connection = self.engine.connect()
        yield self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        _retire(self.engine)


class DuckDBDatasource(SQLDatasource):
    """A DuckDB database, given as a SQLAlchemy URL."""

    # Must come before the field `type`, which hides the builtin in the rest of the class.
    @property
    def execution_engine_type(self) -> type[DuckDBExecutionEngine]:
        return DuckDBExecutionEngine

    type: Literal["duckdb"] = "duckdb"


class Workbench:
    """One in-memory DuckDB database and a Great Expectations project on it."""

    def __init__(self, docs: Path, spill: Path, memory_limit: str) -> None:
        self._docs = docs
        self._context = gx.get_context(mode="ephemeral", project_config=_project(docs))
        # A named in-memory database is shared by all connections of this process, hence the unique name.
        url = f"duckdb:///:memory:{uuid4().hex}"
        self._datasource = self._context.data_sources.add_duckdb(name="parquet", connection_string=url)
        with self._datasource.get_execution_engine().get_connection() as connection:
            self._connection = connection.connection.driver_connection
        self.rows(f"SET GLOBAL memory_limit = {literal(memory_limit)}")
        self.rows(f"SET GLOBAL temp_directory = {literal(str(spill))}")
        self.rows("SET GLOBAL autoinstall_known_extensions = false")
        self.rows("SET GLOBAL TimeZone = 'UTC'")

    def close(self) -> None:
        """Closes the database. The workbench cannot be used afterwards."""
        self._datasource.get_execution_engine().close()
        _retire(self._datasource.get_engine())

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Runs a query and fetches all rows; for small results."""
        return self._connection.execute(sql).fetchall()

    def judge(self, table: str, expectations: Sequence[Any], index: str) -> Any:
        """Evaluates expectations as one suite.

        Args:
            table: name of a table or view; also the name that the Data Docs show.
            expectations: instances of `great_expectations.expectations`.
            index: the column that identifies invalid rows in results.

        Returns:
            The `ExpectationSuiteValidationResult`, whose results come in any order.
        """
        asset = self._datasource.add_table_asset(name=table, table_name=table)
        suite = self._context.suites.add(gx.ExpectationSuite(name="contract", expectations=list(expectations)))
        definition = gx.ValidationDefinition(
            name="contract", data=asset.add_batch_definition_whole_table("all rows"), suite=suite
        )
        detail = {
            "result_format": "SUMMARY",
            "partial_unexpected_count": EXAMPLES,
            "unexpected_index_column_names": [index],
        }
        run = gx.RunIdentifier(run_name="validation", run_time=datetime.now(UTC))
        return self._context.validation_definitions.add(definition).run(result_format=detail, run_id=run)

    def write_docs(self) -> None:
        """Writes the Data Docs of all evaluated suites."""
        self._context.build_data_docs(site_names=[SITE])
        # Images of a tour that our pages do not offer: 3 MB per validation.
        for picture in self._docs.glob("static/images/*.gif"):
            picture.unlink()


@contextmanager
def workbench(docs: Path, spill: Path, memory_limit: str) -> Iterator[Workbench]:
    """Opens an empty database with a Great Expectations project. Only one can be open per process.

    Args:
        docs: folder for the Data Docs.
        spill: folder for data that does not fit into memory.
        memory_limit: memory that DuckDB may use, such as "400MB".
    """
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    with _one_at_a_time:
        bench = Workbench(docs, spill, memory_limit)
        try:
            yield bench
        finally:
            bench.close()


def _project(docs: Path) -> DataContextConfig:
    site = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.resolve())},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder", "show_cta_footer": False},
    }
    return DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        data_docs_sites={SITE: site},
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
