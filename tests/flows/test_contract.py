"""The validation step on real files: which rows break which rule, what is left behind, and what stops the job."""

from datetime import UTC, date, datetime
from math import inf, nan
from pathlib import Path

import polars as pl
import pytest

from varjepa.data.read.contract import Contract
from varjepa.errors import ConfigError, ContractError
from varjepa.tasks.contract.run import Validation, validate


def snapshot(folder: Path, table: dict) -> Path:
    """Writes a table as the Parquet file that the ingest step makes."""
    path = folder / "snap[shot]'s.parquet"
    frame = pl.DataFrame(table)
    frame.insert_column(0, pl.int_range(frame.height, dtype=pl.Int64, eager=True).alias("__row__")).write_parquet(path)
    return path


def check(folder: Path, table: dict, **contract) -> Validation:
    return validate(snapshot(folder, table), Contract(**contract), folder / "out")


def reasons(validation: Validation) -> dict[int, str]:
    frame = pl.read_parquet(validation.quarantine)
    return dict(zip(frame["__row__"], frame["reasons"], strict=True))


MOMENTS = [datetime.fromisoformat(text) for text in ("2020-01-31T23:59", "2020-02-01T00:00", "2019-12-31T08:30")]
ROW_RULES = {
    "nullable": (["a", None, ""], {"kind": "categorical", "nullable": False}, {1: "x is missing"}),
    "nan is missing": ([1.0, nan, 2.0], {"kind": "numeric", "nullable": False}, {1: "x is missing"}),
    "bounds": (
        [17, 212, None, -4, 120],
        {"kind": "numeric", "min": 0, "max": 120},
        {1: "x is 212, above 120", 3: "x is -4, below 0"},
    ),
    "fractions": ([0.25, 0.5, 0.75], {"kind": "numeric", "max": 0.5}, {2: "x is 0.75, above 0.5"}),
    "32-bit floats": (
        pl.Series([0.1, 0.3, 0.2, None], dtype=pl.Float32),
        {"kind": "numeric", "min": 0.1, "max": 0.2},
        {1: "x is 0.3, above 0.2"},
    ),
    "whole numbers beside a gap": (
        [1.0, 2.0, 2.5, 7.0, -0.0, nan, None],
        {"kind": "categorical", "values": ["1", "2", "2.5", "0"]},
        {3: 'x is "7", not one of "1", "2", "2.5", "0"'},
    ),
    "large": ([2**53, 1, 5], {"kind": "numeric", "max": 1e6}, {0: "x is 9007199254740992, above 1000000"}),
    "infinity": (
        [1.0, inf, -inf],
        {"kind": "numeric"},
        {n: f"x is {v}, not a finite number" for n, v in [(1, inf), (2, -inf)]},
    ),
    "values": (
        ["a", "b", "A", None],
        {"kind": "categorical", "values": ["a", "b"]},
        {2: 'x is "A", not one of "a", "b"'},
    ),
    "values of numbers": (
        [1, 2, 3],
        {"kind": "categorical", "values": ["1", "3"]},
        {1: 'x is "2", not one of "1", "3"'},
    ),
    "unique": (
        ["k", None, "l", "k", None, "K"],
        {"kind": "identifier", "unique": True},
        dict.fromkeys((0, 3), "x is k, which occurs more than once"),
    ),
    "text in numbers": (
        ["1", " 2.5e1 ", "abc", "", None, "nan", "1_000", "0x10", "9" * 50 + "e999"],
        {"kind": "numeric", "nullable": True},
        {
            2: 'x is "abc", not a number',
            5: 'x is "nan", not a number',
            6: 'x is "1_000", not a number',
            7: 'x is "0x10", not a number',
            8: f'x is "{"9" * 40}…", not a number',
        },
    ),
    "bounds of text": (
        ["1", "12", "x"],
        {"kind": "numeric", "max": 9},
        {1: "x is 12, above 9", 2: 'x is "x", not a number'},
    ),
    "text in truth": (["Yes", "0", "maybe"], {"kind": "boolean"}, {2: 'x is "maybe", not true or false'}),
    "days": (
        ["2020-01-31", "2020-02-01", "2020-02-30", "1/2/2020", "2019-12-31"],
        {"kind": "date", "min": "2020-01-01", "max": "2020-01-31"},
        {
            1: "x is 2020-02-01, after 2020-01-31",
            2: 'x is "2020-02-30", not a date',
            3: 'x is "1/2/2020", not a date',
            4: "x is 2019-12-31, before 2020-01-01",
        },
    ),
    "moments": (
        MOMENTS,
        {"kind": "date", "min": date(2020, 1, 1), "max": date(2020, 1, 31)},
        {1: "x is 2020-02-01, after 2020-01-31", 2: "x is 2019-12-31 08:30:00, before 2020-01-01"},
    ),
    "zones": (
        [moment.replace(tzinfo=UTC) for moment in MOMENTS],
        {"kind": "date", "max": date(2020, 1, 31)},
        {1: "x is 2020-02-01, after 2020-01-31"},
    ),
}


@pytest.mark.parametrize(("cells", "promise", "expected"), ROW_RULES.values(), ids=ROW_RULES)
def test_row_rules_find_exactly_the_rows_that_break_them(tmp_path, cells, promise, expected):
    validation = check(tmp_path, {"x": cells}, columns={"x": promise}, max_quarantined=1)
    assert reasons(validation) == expected
    assert validation.quarantined == len(expected)
    kept = pl.read_parquet(validation.clean)["__row__"].to_list()
    assert kept == [row for row in range(len(cells)) if row not in expected]


def test_clean_rows_have_the_kinds_of_the_contract_and_other_columns_stay_as_they_were(tmp_path):
    columns = {
        "number": pl.Series(["1", " 2.5 ", "", None]),
        "truth": pl.Series(["yes", "False", None, "0"]),
        "day": pl.Series(["2020-01-01", None, "2020-01-03", "2020-01-04"]),
        "moment": pl.Series(["2020-01-01T10:00:00+02:00", "2020-01-02", None, "2020-01-04 00:00:01.5Z"]),
        "word": pl.Series(["a", "b", "a", None], dtype=pl.Enum(["a", "b"])),
        "small": pl.Series([1, 2, 3, None], dtype=pl.UInt8),
        "extra": pl.Series([[1], [2, 3], [], None]),
    }
    kinds = {
        "number": "numeric",
        "truth": "boolean",
        "day": "date",
        "moment": "date",
        "word": "categorical",
        "small": "numeric",
    }
    clean = pl.read_parquet(
        check(tmp_path, columns, columns={name: {"kind": kind} for name, kind in kinds.items()}).clean
    )
    assert clean["number"].to_list() == [1.0, 2.5, None, None]
    assert clean["truth"].to_list() == [True, False, None, False]
    assert clean["day"].to_list() == [date(2020, 1, 1), None, date(2020, 1, 3), date(2020, 1, 4)]
    assert clean["moment"][0] == datetime.fromisoformat("2020-01-01T08:00")
    assert clean["moment"][3] == datetime.fromisoformat("2020-01-04T00:00:01.500000")
    for name in ("word", "small", "extra"):
        assert clean[name].equals(columns[name], check_dtypes=True), name


def test_several_reasons_are_told_and_more_than_twenty_rows_are_found(tmp_path):
    ages = [200 if row % 7 == 0 else 40 for row in range(1000)]
    works = [None if row % 14 == 0 else "Private" for row in range(1000)]
    validation = check(
        tmp_path,
        {"age": ages, "workclass": works},
        columns={"age": {"kind": "numeric", "max": 120}, "workclass": {"kind": "categorical", "nullable": False}},
        max_quarantined=0.15,
    )
    told = reasons(validation)
    assert list(told) == list(range(0, 1000, 7))
    assert told[14] == "age is 200, above 120; workclass is missing"
    assert told[7] == "age is 200, above 120"
    assert (validation.rows, validation.quarantined) == (1000, 143)
    found = pl.read_parquet(validation.quarantine)
    assert found.columns == ["__row__", "age", "workclass", "reasons"]


NAMES = [
    "a-b",
    "x y",
    'q"t',
    "it's",
    "é%s 100%",
    "Age",
    "age",
    ":c",
    "$d",
    "{e}",
    "a.b",
    "select",
    "reasons",
    "__position__",
    "<b>",
    "",
]


def test_odd_column_names(tmp_path):
    columns = {name: [number, 0, 0] for number, name in enumerate(NAMES, start=1)} | {"text%": ["?", "1", "2"]}
    promise = {"kind": "numeric", "nullable": False, "max": 0, "max_missing": 0.5}
    contract = dict.fromkeys(NAMES, promise) | {"text%": {"kind": "numeric", "unique": True}}
    validation = check(tmp_path, columns, columns=contract, max_quarantined=0.5, extra_columns="forbid")
    found = pl.read_parquet(validation.quarantine)
    told = found[found.columns[-1]].item().split("; ")
    assert told == [f"{name} is {number}, above 0" for number, name in enumerate(NAMES, start=1)] + [
        'text% is "?", not a number'
    ]
    assert pl.read_parquet(validation.clean).columns == ["__row__", *columns]
    page = (validation.docs / "index.html").read_text()
    assert "<b>" not in page
    assert "&lt;b&gt;" in page


COLUMNS = {"age": [1, 2, None, 4], "job": ["a", "b", "c", "d"]}
AGE, JOB = {"kind": "numeric"}, {"kind": "categorical"}
TABLE_RULES = {
    "missing column": ({"columns": {"age": AGE, "jobb": JOB}}, r'it has no column "jobb" \(Did you mean "job"\?\)'),
    "nothing like it": ({"columns": {"zzz": AGE}}, r'it has no column "zzz" \(It has "age", "job"\.\)'),
    "missing case": ({"columns": {"Age": AGE}}, r'it has no column "Age" \(Did you mean "age"\?\)'),
    "extra column": (
        {"columns": {"age": AGE}, "extra_columns": "forbid"},
        r'columns that are not in the contract: "job"',
    ),
    "min rows": ({"min_rows": 5}, r"it has 4 rows, expected at least 5"),
    "max missing": ({"columns": {"age": AGE | {"max_missing": 0.2}}}, r'25% of "age" is missing, expected at most 20%'),
    "quarantine": (
        {"columns": {"age": AGE | {"max": 3}}, "max_quarantined": 0.2},
        r'1 of 4 rows \(25\.00%\) break row rules, expected at most 20\.00%; most often "age": at most 3 \(1 row\)',
    ),
    "every row": ({"columns": {"job": JOB | {"values": ["z"]}}, "max_quarantined": 1}, r"4 of 4 rows \(100\.00%\)"),
    "text": ({"columns": {"job": AGE}}, r'most often "job": holds a number \(4 rows\)'),
}


@pytest.mark.parametrize(("contract", "message"), TABLE_RULES.values(), ids=TABLE_RULES)
def test_broken_contracts_stop_the_job_but_leave_the_docs(tmp_path, contract, message):
    check(tmp_path, COLUMNS)
    with pytest.raises(ContractError, match=message) as caught:
        check(tmp_path, COLUMNS, **contract)
    page = tmp_path / "out" / "docs" / "index.html"
    assert str(page) in str(caught.value)
    assert "The contract is broken" in page.read_text()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "docs",
        "quarantine.parquet",
        "validation.json",
    ]


@pytest.mark.parametrize(
    "contract",
    [
        {},
        {"min_rows": 4},
        {"columns": {"age": AGE | {"max_missing": 0.25}}},
        {
            "columns": {"nowhere": AGE | {"required": False, "nullable": False}, "age": AGE, "job": JOB},
            "extra_columns": "forbid",
        },
        {"columns": {"age": AGE | {"max": 3}}, "max_quarantined": 0.25},
    ],
)
def test_contracts_kept_to_the_edge(tmp_path, contract):
    validation = check(tmp_path, COLUMNS, **contract)
    assert validation.rows == 4
    assert validation.rules >= 1
    assert pl.read_parquet(validation.clean).height + pl.read_parquet(validation.quarantine).height == 4


def test_a_bound_may_be_the_last_day_of_the_calendar(tmp_path):
    """`init` drafts it where a table says 9999-12-31 for `never`."""
    days = pl.Series([date(2020, 1, 2), date(9999, 12, 31), date(2019, 12, 31)])
    promise = {"kind": "date", "min": date(2020, 1, 1), "max": date.max}
    validation = check(tmp_path, {"until": days}, columns={"until": promise}, max_quarantined=1.0)
    assert pl.read_parquet(validation.clean)["until"].to_list() == days[:2].to_list()
    (tmp_path / "open").mkdir()
    open_end = check(tmp_path / "open", {"until": days}, columns={"until": {"kind": "date", "max": date.max}})
    assert open_end.quarantined == 0


def test_no_rows_break_any_contract(tmp_path):
    table = {"x": pl.Series([], dtype=pl.Int64), "y": pl.Series([], dtype=pl.String)}
    promise = AGE | {"nullable": False, "max_missing": 0.5, "unique": True, "min": 0}
    with pytest.raises(ContractError, match="it has 0 rows, expected at least 1"):
        check(tmp_path, table, columns={"x": promise, "y": promise})


def test_a_label_that_the_contract_names_must_be_there_and_is_no_extra_column(tmp_path):
    path = snapshot(tmp_path, COLUMNS)
    with pytest.raises(ContractError, match=r'it has no column "jobs" \(Did you mean "job"'):
        validate(path, Contract(columns={"jobs": JOB}), tmp_path / "out")
    named = Contract(extra_columns="forbid", columns={"age": AGE, "job": JOB})
    assert validate(path, named, tmp_path / "out").rows == 4


@pytest.mark.parametrize("promise", [{"min": date(2020, 1, 1)}, {"min": 3, "max": 2}])
def test_bounds_that_make_no_sense_are_refused(tmp_path, promise):
    with pytest.raises(ConfigError, match='column "age"'):
        check(tmp_path, COLUMNS, columns={"age": AGE | promise})
