"""Delta and Iceberg tables, written by their own libraries."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import deltalake
import polars as pl
import pytest

from tests.store_servers import BUCKET, S3
from tests.unit.tasks.sources.conftest import PEOPLE, Read
from varjepa.errors import ConfigError, DataError

pytestmark = pytest.mark.slow  # servers start


@pytest.fixture
def delta(tmp_path: Path) -> str:
    """A table with two versions: four rows, then eight."""
    folder = str(tmp_path / "delta")
    for mode in ("error", "append"):
        deltalake.write_deltalake(folder, PEOPLE, mode=mode)
    return folder


def test_the_newest_version_of_a_delta_table_is_read(delta: str, read: Callable[..., Read]) -> None:
    plain, by_scheme = read(delta), read(f"delta://{delta}")
    assert plain.frame.height == by_scheme.frame.height == 8
    assert plain.fingerprint == by_scheme.fingerprint
    assert plain.frame.schema == PEOPLE.schema
    assert plain.description == f"{delta}, version 1"


def test_an_older_version_is_read_by_number_and_by_time(delta: str, read: Callable[..., Read]) -> None:
    first = read(delta, at=0)
    assert first.frame.sort("id").equals(PEOPLE)
    assert first.fingerprint != read(delta).fingerprint
    assert first.fingerprint == read(delta, at="0").fingerprint
    assert read(delta, at="2999-01-01").fingerprint == read(delta).fingerprint


def test_deleted_rows_stay_deleted(delta: str, read: Callable[..., Read]) -> None:
    before = read(delta).fingerprint
    deltalake.DeltaTable(delta).delete("id = 1")
    after = read(delta)
    assert after.frame.height == 6
    assert after.fingerprint != before


@pytest.mark.parametrize(("at", "words"), [
    (7, "has no version 7.*up to 1"),
    ("2001-01-01", "does not reach back to 2001"),
    ("yesterday", "neither a number nor a time"),
])  # fmt: skip
def test_versions_that_do_not_exist(delta: str, read: Callable[..., Read], at: int | str, words: str) -> None:
    with pytest.raises((DataError, ConfigError), match=words):
        read(delta, at=at)


def test_a_folder_without_a_log_is_no_delta_table(tmp_path: Path, read: Callable[..., Read]) -> None:
    with pytest.raises(DataError, match="is not a Delta table"):
        read(f"delta://{tmp_path}/nothing")


def test_delta_on_an_object_store(s3: S3, read: Callable[..., Read]) -> None:
    place = f"s3://{BUCKET}/lake/people"
    options = {"AWS_ALLOW_HTTP": "true"}
    deltalake.write_deltalake(place, PEOPLE, storage_options=options)
    by_folder, by_scheme = read(place), read(f"delta://{place}")
    assert by_folder.frame.equals(PEOPLE)
    assert by_folder.fingerprint == by_scheme.fingerprint
    with pytest.raises(DataError, match="is not a Delta table"):
        read(f"delta://s3://{BUCKET}/lake/nobody")


@pytest.fixture
def iceberg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A table in a catalog of SQLite, configured as PyIceberg's users do, with two snapshots."""
    (tmp_path / "lake").mkdir()
    settings = {"TYPE": "sql", "URI": f"sqlite:///{tmp_path}/catalog.db", "WAREHOUSE": f"file://{tmp_path}/lake"}
    return written_iceberg(settings, monkeypatch)


def written_iceberg(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, **more: str) -> SimpleNamespace:
    from pyiceberg.catalog import load_catalog
    from pyiceberg.utils.config import Config

    for name, value in settings.items():
        monkeypatch.setenv(f"PYICEBERG_CATALOG__SHOP__{name}", value)
    monkeypatch.setattr("pyiceberg.catalog._ENV_CONFIG", Config())  # it reads the environment when it is imported
    catalog = load_catalog("shop", **more)
    catalog.create_namespace("sales")
    rows = PEOPLE.to_arrow(compat_level=pl.CompatLevel.oldest())
    table = catalog.create_table("sales.people", rows.schema)
    table.append(rows)
    first = table.current_snapshot().snapshot_id
    table.append(rows)
    return SimpleNamespace(table=table, first=first, metadata=table.metadata_location)


def test_an_iceberg_table_by_catalog_and_by_metadata(iceberg: SimpleNamespace, read: Callable[..., Read]) -> None:
    by_catalog = read("iceberg://shop/sales.people")
    assert by_catalog.frame.height == 8
    assert by_catalog.frame.schema == PEOPLE.schema
    for path in (iceberg.metadata, iceberg.metadata.removeprefix("file://"), f"iceberg://{iceberg.metadata}"):
        assert read(path).fingerprint == by_catalog.fingerprint
    assert read("iceberg://shop/sales.people", at=iceberg.first).frame.sort("id").equals(PEOPLE)
    newest = read("iceberg://shop/sales.people", at="2999-01-01")
    assert newest.fingerprint == by_catalog.fingerprint != read("iceberg://shop/sales.people", at=iceberg.first)


def test_iceberg_on_an_object_store(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[..., Read]
) -> None:
    settings = {"TYPE": "sql", "URI": f"sqlite:///{tmp_path}/catalog.db", "WAREHOUSE": f"s3://{BUCKET}/iceberg"}
    server = {"s3.endpoint": s3.client.meta.endpoint_url, "s3.region": "us-east-1"}
    written = written_iceberg(settings, monkeypatch, **server)
    assert read("iceberg://shop/sales.people").frame.height == 8
    assert read(written.metadata).frame.height == 8


@pytest.mark.parametrize(("path", "at", "words"), [
    ("iceberg://shop/sales.persons", None, r'does not exist.*"sales.people"'),
    ("iceberg://shop/sales.people", 5, "has no snapshot 5"),
    ("iceberg://shop/sales.people", "2001-01-01", "had no snapshot at 2001"),
    ("iceberg://market/sales.people", None, "market.* is not configured"),
    ("/no/such/v1.metadata.json", None, "cannot be read"),
])  # fmt: skip
def test_iceberg_tables_that_do_not_exist(
    iceberg: SimpleNamespace, read: Callable[..., Read], path: str, at: int | str | None, words: str
) -> None:
    with pytest.raises((DataError, ConfigError), match=words):
        read(path, at=at)
