"""Great Expectations over DuckDB, a SQL engine that reads Parquet in place with bounded memory."""

import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
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
from great_expectations.exceptions import ExecutionEngineError
from great_expectations.execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.registry import get_expectation_impl

from varjepa.tasks.contract.offline import make_offline
from varjepa.tasks.contract.templates import compile_once
from varjepa.tasks.contract.view import VIEW, literal, select
from varjepa.tasks.sources.duckdb_budget import OUT_OF_MEMORY, Budget, OutOfMemory
from varjepa.visible import visible

EXAMPLES = 20
"""Invalid cells that a result lists per expectation."""
FIGURES = 600
"""Figures that one query asks for: those of 100 to 200 columns."""
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
compile_once()


class DuckDBExecutionEngine(SqlAlchemyExecutionEngine):
    """Keeps one connection open. Otherwise results are discarded before they are read."""

    _connection: Any

    def resolve_metric_bundle(self, metric_fn_bundle: Iterable[Any]) -> dict[Any, Any]:
        """Asks for figures by queries of bounded size: the figures of all columns at once need all columns in memory.

        Raises:
            OutOfMemory: a query needs more memory than the database has.
        """
        found: dict[Any, Any] = {}
        by_column = sorted(metric_fn_bundle, key=lambda each: str(each.metric_configuration.metric_domain_kwargs))
        for start in range(0, len(by_column), FIGURES):
            try:
                found |= super().resolve_metric_bundle(by_column[start : start + FIGURES])
            except ExecutionEngineError as error:
                if OUT_OF_MEMORY in str(error):
                    raise OutOfMemory(str(error)) from error
                raise
        return found

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

    def __init__(self, docs: Path, spill: Path, budget: Budget) -> None:
        self._docs, self._budget = docs, budget
        self._context = gx.get_context(mode="ephemeral", project_config=_project(docs))
        # A named in-memory database is shared by all connections of this process, hence the unique name.
        url = f"duckdb:///:memory:{uuid4().hex}"
        self._datasource = self._context.data_sources.add_duckdb(name="parquet", connection_string=url)
        with self._datasource.get_execution_engine().get_connection() as connection:
            self._connection = connection.connection.driver_connection
        self.rows(f"SET GLOBAL memory_limit = '{budget.memory}B'")
        self.rows(f"SET GLOBAL threads = {budget.threads}")
        self.rows(f"SET GLOBAL temp_directory = {literal(str(spill))}")
        # Rows are numbered. To keep their order while a file is written would take the memory of several row groups.
        self.rows("SET GLOBAL preserve_insertion_order = false")
        self.rows("SET GLOBAL autoinstall_known_extensions = false")
        self.rows("SET GLOBAL TimeZone = 'UTC'")
        self.rows("SET enable_progress_bar = false")  # after two seconds it would be drawn on stdout

    def close(self) -> None:
        """Closes the database. The workbench cannot be used afterwards."""
        self._datasource.get_execution_engine().close()
        _retire(self._datasource.get_engine())

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Runs a query and fetches all rows; for small results."""
        return self._connection.execute(sql).fetchall()

    def copy(self, query: str, path: Path, *, columns: int) -> None:
        """Writes the result of a query, which has about so many columns, to a Parquet file."""
        threads, rows = self._budget.of_copy(columns)
        self.rows(f"SET GLOBAL threads = {threads}")
        self.rows(f"COPY ({query}) TO {literal(str(path))} (FORMAT parquet, ROW_GROUP_SIZE {rows})")
        self.rows(f"SET GLOBAL threads = {self._budget.threads}")

    def judge(self, expectations: Sequence[Any], index: str) -> Any:
        """Evaluates expectations about the view as one suite.

        Args:
            expectations: instances of `great_expectations.expectations`.
            index: the column that identifies invalid rows in results.

        Returns:
            The `ExpectationSuiteValidationResult`, whose results come in any order.
        """
        asset = self._datasource.add_table_asset(name=VIEW, table_name=VIEW)
        rows = asset.add_batch_definition_whole_table("all rows")
        suite = self._context.suites.add(gx.ExpectationSuite(name="contract", expectations=list(expectations)))
        definition = self._context.validation_definitions.add(
            gx.ValidationDefinition(name="contract", data=rows, suite=suite)
        )
        run = gx.RunIdentifier(run_name="validation", run_time=datetime.now(UTC))
        # First whether each is met, by one query for all. Which cells break one is asked of the broken ones alone: that
        # takes two queries each.
        result = definition.run(result_format="BOOLEAN_ONLY", run_id=run)
        total = int(self.rows(select("count(*)"))[0][0])
        detailed = self._detailed(rows, [each for each in result.results if _has_more_to_say(each)], index)
        for number, single in enumerate(result.results):
            if single.expectation_config.id in detailed:
                result.results[number] = detailed[single.expectation_config.id]
            else:
                single.result = {"element_count": total, "unexpected_count": 0, "unexpected_percent": 0.0}
        store = self._context.validation_results_store
        store.update(store.list_keys()[0], result)
        return result

    def _detailed(self, rows: Any, results: Sequence[Any], index: str) -> dict[str, Any]:
        """The results of some expectations once more, with the cells that break them, by the expectation's id."""
        detail = {
            "result_format": "SUMMARY",
            "partial_unexpected_count": EXAMPLES,
            "unexpected_index_column_names": [index],
        }
        suite = gx.ExpectationSuite(name="details", expectations=[each.expectation_config for each in results])
        again = rows.get_batch().validate(suite, result_format=detail)
        return {single.expectation_config.id: single for single in again.results}

    def write_docs(self) -> None:
        """Writes the Data Docs of all evaluated suites. Great Expectations puts some values into its pages as they are,
        so what they are made from holds no markup any more.
        """
        for store in (self._context.validation_results_store, self._context.expectations_store):
            backend = store.store_backend
            for key in backend.list_keys():
                if isinstance(text := backend.get(key), str) and text.startswith("{"):
                    backend.set(key, json.dumps(without_markup(json.loads(text))))
        self._context.build_data_docs(site_names=[SITE])
        make_offline(self._docs)


def _has_more_to_say(single: Any) -> bool:
    """Whether a result is more than that no cell breaks an expectation about cells."""
    return not single.success or not issubclass(
        get_expectation_impl(single.expectation_config.type), ColumnMapExpectation
    )


@contextmanager
def workbench(docs: Path, spill: Path, budget: Budget) -> Iterator[Workbench]:
    """Opens an empty database with a Great Expectations project. Only one can be open per process.

    Args:
        docs: folder for the Data Docs.
        spill: folder for data that does not fit into memory.
        budget: what DuckDB may use.
    """
    # Errors are in the results; in the log they would come with the text of the whole query.
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
    with _one_at_a_time:
        bench = Workbench(docs, spill, budget)
        try:
            yield bench
        finally:
            bench.close()


_MARKUP = str.maketrans({
    "<": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}", ">": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
    "&": "\N{FULLWIDTH AMPERSAND}", "$": "\N{FULLWIDTH DOLLAR SIGN}", "`": "\N{LEFT SINGLE QUOTATION MARK}",
    '"': "\N{RIGHT DOUBLE QUOTATION MARK}", "'": "\N{RIGHT SINGLE QUOTATION MARK}",
})  # fmt: skip
"""Characters that mean something in a page, a script or a template -> others that look like them."""


def without_markup(value: Any) -> Any:
    r"""Plain data whose texts a page shows as they stand, wherever in it they are put.

    Examples:
        >>> ascii(without_markup({"values": ["<b>", 3]}))
        "{'values': ['\\u2039b\\u203a', 3]}"
    """
    if isinstance(value, str):
        return visible(value).translate(_MARKUP)
    if isinstance(value, dict):
        return {without_markup(key): without_markup(item) for key, item in value.items()}
    return [without_markup(item) for item in value] if isinstance(value, list) else value


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
