"""Data contracts as YAML files."""

from pathlib import Path

import pytest

from varjepa.data.read.contract import ColumnContract, Contract, dump_contract, load_contract
from varjepa.errors import ConfigError


def test_contracts_survive_writing_and_reading(tmp_path: Path) -> None:
    contract = Contract(min_rows=5, columns={
        "a b": ColumnContract(kind="numeric", nullable=False, min=0, max=1.5),
        'q"uote: #': ColumnContract(kind="categorical", values=("yes", "no", "1")),
        "day": ColumnContract(kind="date", min="2020-01-01"),
    })  # fmt: skip
    path = tmp_path / "c.yaml"
    path.write_text(dump_contract(contract))
    assert load_contract(path) == contract


@pytest.mark.parametrize("mark", "\n\r\t\x0b\x0c\x1c\x85\u2028\u2029\ufeff")
def test_names_and_values_may_hold_any_character(tmp_path: Path, mark: str) -> None:
    rule = ColumnContract(kind="categorical", values=(f"x{mark}y", mark, f"{mark}1e5", f"on{mark}"))
    contract = Contract(columns={f"a{mark}b": rule, f"{mark}a": rule})
    path = tmp_path / "c.yaml"
    path.write_bytes(dump_contract(contract).encode())
    assert load_contract(path) == contract


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("columns: {a: {kind: nmeric}}", "columns.a.kind"),
        ("columns: {a: {kind: numeric, mn: 1}}", 'unknown key "columns.a.mn"'),
        ("columns: {a: {kind: categorical, min: 1}}", "min and max are for numeric and date columns"),
        ("colums: {}", 'Did you mean "columns"'),
    ],
)
def test_contract_faults_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load_contract(path)
    assert message in str(raised.value)
