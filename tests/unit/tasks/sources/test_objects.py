"""Tables in an object store, over HTTP."""

import gzip
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.store_servers import BUCKET, S3
from tests.unit.tasks.sources.conftest import PEOPLE, Read
from varjepa.errors import ConfigError, DataError, InterruptedReadError

pytestmark = pytest.mark.slow  # servers start

CSV = PEOPLE.write_csv().encode()


def test_parquet_is_read_where_it_lies(s3: S3, read: Callable[..., Read]) -> None:
    uri = s3.put_parquet("one/people.parquet", PEOPLE)
    result = read(uri)
    assert result.frame.equals(PEOPLE)
    assert result.description == uri
    assert len(result.fingerprint) == 64


@pytest.mark.parametrize(("key", "content"), [
    ("text/people.csv", CSV),
    ("text/people.csv.gz", gzip.compress(CSV)),
    ("text/people;semicolons.csv", CSV.replace(b'"smith; ""old"""', b"smith").replace(b",", b";")),
], ids=["plain", "gzip", "semicolons"])  # fmt: skip
def test_text_is_copied_and_read_like_a_local_file(s3: S3, read: Callable[..., Read], key: str, content: bytes) -> None:
    frame = read(s3.put(key, content)).frame
    assert frame["age"].to_list() == PEOPLE["age"].to_list()
    assert frame["job"][3] == "näherin"


def test_bytes_and_not_names_say_what_parquet_is(s3: S3, read: Callable[..., Read]) -> None:
    assert read(s3.put_parquet("odd/table.bin", PEOPLE)).frame.equals(PEOPLE)


def test_folders_and_globs_are_one_table(s3: S3, read: Callable[..., Read]) -> None:
    for year in (2025, 2026):
        s3.put_parquet(f"lots/year={year}/part [0] ä.parquet", PEOPLE)
    s3.put("lots/_SUCCESS", b"")
    s3.put("lots/.hidden/x.parquet", b"nothing")
    folder, glob = read(f"s3://{BUCKET}/lots/"), read(f"s3://{BUCKET}/lots/year=*/*.parquet")
    assert folder.frame.height == glob.frame.height == 8
    assert folder.frame["year"].to_list() == [2025] * 4 + [2026] * 4
    assert read(f"s3://{BUCKET}/lots/year=2025").frame.height == 4
    assert read(f"s3://{BUCKET}/lots/**/part ?0]*.parquet").frame.height == 8


def test_folders_make_columns_of_text_and_of_single_objects_too(s3: S3, read: Callable[..., Read]) -> None:
    for year in (2025, 2026):
        s3.put(f"keyed/year={year}/part.csv", CSV)
        s3.put(f"apart/{year}/part.csv", CSV)
    one, other = (read(f"s3://{BUCKET}/keyed/year={year}/part.csv") for year in (2025, 2026))
    assert one.frame["year"].to_list() == [2025] * 4
    assert one.fingerprint != other.fingerprint
    assert read(f"s3://{BUCKET}/keyed/year=2026").frame["year"].to_list() == [2026] * 4
    assert read(f"s3://{BUCKET}/keyed").frame["year"].to_list() == [2025] * 4 + [2026] * 4
    assert read(f"s3://{BUCKET}/apart/*/part.csv").frame.height == 8


def test_a_fingerprint_changes_with_the_content_only(s3: S3, read: Callable[..., Read]) -> None:
    uri = s3.put_parquet("changing/people.parquet", PEOPLE)
    before = read(uri).fingerprint
    assert read(s3.put_parquet("changing/elsewhere.parquet", PEOPLE)).fingerprint == before
    s3.put_parquet("changing/people.parquet", PEOPLE.head(3))
    assert read(uri).fingerprint != before


def test_a_folder_that_grows_has_another_fingerprint(s3: S3, read: Callable[..., Read]) -> None:
    s3.put_parquet("growing/a.parquet", PEOPLE)
    s3.put_parquet("growing/b.parquet", PEOPLE)
    before = read(f"s3://{BUCKET}/growing").fingerprint
    s3.put_parquet("growing/c.parquet", PEOPLE)
    assert read(f"s3://{BUCKET}/growing").fingerprint != before


def test_parts_are_put_together_like_local_files(s3: S3, read: Callable[..., Read], tmp_path: Path) -> None:
    parts = {
        "year=2025/a.parquet": PEOPLE.with_columns(pl.col("id").cast(pl.Int8)),
        "year=2026/a.parquet": PEOPLE.select("job", "id", "age", new=pl.lit(1)),
        "year=2026/b.parquet": PEOPLE.with_columns(job=pl.lit(None)),
    }
    for name, frame in parts.items():
        s3.put_parquet(f"parts/{name}", frame)
        (tmp_path / "parts" / name).parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(tmp_path / "parts" / name)
    s3.put("parts/README.md", b"words")
    remote = read(f"s3://{BUCKET}/parts").frame
    assert remote.equals(read(str(tmp_path / "parts")).frame)
    assert remote.schema["id"] == pl.Int64


def test_types_that_do_not_go_together_are_named(s3: S3, read: Callable[..., Read]) -> None:
    s3.put_parquet("clash/a.parquet", PEOPLE)
    s3.put_parquet("clash/b.parquet", PEOPLE.with_columns(id=pl.lit("x")))
    with pytest.raises(DataError, match=r'The column "id" of b.parquet is String, and Int64 in a.parquet'):
        read(f"s3://{BUCKET}/clash")


@pytest.mark.parametrize(("path", "words"), [
    ("s3://no-such-bucket/people.parquet", "NoSuchBucket"),
    (f"s3://{BUCKET}/no/such/people.csv", "holds no table"),
    (f"s3://{BUCKET}/no/such/*.csv", "holds no table"),
    ("s4://bucket/people.csv", 'Did you mean "s3"'),
    ("s3://key:secret@bucket/people.csv", "password"),
])  # fmt: skip
def test_what_cannot_be_read_is_said(s3: S3, read: Callable[..., Read], path: str, words: str) -> None:
    with pytest.raises((DataError, ConfigError, ValueError), match=words) as raised:
        read(path)
    assert "key:secret" not in str(raised.value)


def test_mixed_formats_are_refused(s3: S3, read: Callable[..., Read]) -> None:
    s3.put_parquet("mixed/a.parquet", PEOPLE)
    s3.put("mixed/b.csv", CSV)
    with pytest.raises(DataError, match=r'mixes Parquet.*"b.csv"'):
        read(f"s3://{BUCKET}/mixed")


def test_credentials_in_the_environment_do_not_reach_a_message(
    read: Callable[..., Read], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", "s3://key:sesame@bucket/people.csv")
    with pytest.raises(ConfigError, match="contains credentials") as raised:
        read("${PLACE}")
    assert "sesame" not in str(raised.value)


def test_a_server_that_does_not_answer_may_answer_later(
    s3: S3, read: Callable[..., Read], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("varjepa.tasks.sources.bucket.RETRIES", 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(InterruptedReadError, match=r"does not answer.*Nothing was kept"):
        read(f"s3://{BUCKET}/people.csv")


def test_a_table_that_changes_while_it_is_read_is_noticed(s3: S3, tmp_path) -> None:
    from varjepa.config import DataSection
    from varjepa.tasks.sources.open_table import find_table, require_unchanged

    uri = s3.put_parquet("replaced/people.parquet", PEOPLE)
    found = find_table(DataSection(path=uri), tmp_path)
    fingerprint = found.fingerprint()
    require_unchanged(found, fingerprint)
    s3.put_parquet("replaced/people.parquet", PEOPLE.head(1))
    with pytest.raises(InterruptedReadError, match="changed while it was read"):
        require_unchanged(found, fingerprint)


def test_a_missing_library_is_named(s3: S3, read: Callable[..., Read], monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from varjepa.errors import SetupError

    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(SetupError, match=r"pip install 'varjepa\[s3\]'") as raised:
        read(f"s3://{BUCKET}/people.csv")
    assert raised.value.exit_code == 2
