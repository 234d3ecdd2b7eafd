"""Values of any text come back from a database as they were, and no password is ever shown."""

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from varjepa.redaction import has_secret, redacted_uri, secrets_of
from varjepa.tasks.sources.address import described
from varjepa.tasks.sources.alchemy_rows import stage_alchemy
from varjepa.tasks.sources.duckdb_rows import stage_duckdb

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


@pytest.mark.slow
@settings(max_examples=12)
@given(TEXTS, TEXTS)
@example("'; DROP TABLE t; --", ":a %s %(a)s $1 ?")
def test_any_value_is_bound(one: str, other: str) -> None:
    import duckdb

    query = "SELECT :a AS a, ':a' AS b, :b AS c, :a AS d -- :b"
    with TemporaryDirectory() as folder:
        place, out = Path(folder), Path(folder) / "out.parquet"
        with closing(duckdb.connect(str(place / "d.db"))), (place / "s.db").open("w"):
            pass
        for stage in (
            lambda: stage_duckdb(place / "d.db", query, {"a": one, "b": other}, out, "it"),
            lambda: stage_alchemy(f"sqlite:///{place}/s.db", query, {"a": one, "b": other}, out, "it"),
        ):
            stage()
            assert pl.read_parquet(out).row(0) == (one, ":a", other, one)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=8), st.booleans())
def test_no_password_is_shown(password: str, encoded: bool) -> None:
    written = quote(password, safe="") if encoded else password.replace("#", "%23").replace("$", "%24")
    address = f"postgresql://me:{written}@host:5432/db#t"
    assert has_secret(address)
    assert redacted_uri(address) == described(address) == "postgresql://me:***@host:5432/db#t"
    assert written in secrets_of(address)
