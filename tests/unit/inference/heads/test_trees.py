"""XGBoost sees only bytes that hold sound trees: hostile ones end in a `ModelError`, not in foreign memory."""

import numpy as np
import pytest
import xgboost

from varjepa.errors import ModelError
from varjepa.inference.heads.trees import opened_booster, require_trees, tree_outputs

TYPES = ["q", "q", "c"]


def inputs(rows: int = 300) -> np.ndarray:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 3)).astype(np.float32)
    x[:, 2] = rng.integers(2, 20, rows)
    x[rng.random(x.shape) < 0.1] = np.nan
    return x


def grown(objective: str = "reg:squarederror", outputs: int = 1, trees: int = 3) -> bytes:
    x, rng = inputs(), np.random.default_rng(1)
    options: dict[str, object] = {"objective": objective, "max_depth": 4, "nthread": 1}
    y = rng.normal(size=len(x)) + np.nan_to_num(x[:, 2])
    if objective == "multi:softprob":
        options, y = options | {"num_class": outputs}, rng.integers(0, outputs, len(x))
    if objective == "reg:quantileerror":
        options |= {"quantile_alpha": [(level + 0.5) / outputs for level in range(outputs)]}
    data = xgboost.DMatrix(x, label=y, feature_types=TYPES, enable_categorical=True)
    return bytes(xgboost.train(options, data, trees).save_raw("ubj"))


@pytest.mark.parametrize(
    ("objective", "outputs"),
    [("reg:squarederror", 1), ("multi:softprob", 4), ("reg:quantileerror", 1), ("reg:quantileerror", 5)],
)
def test_what_xgboost_writes_is_sound(objective: str, outputs: int) -> None:
    raw = grown(objective, outputs)
    found = tree_outputs(opened_booster(raw, outputs), inputs(), TYPES)
    plain = xgboost.Booster(model_file=bytearray(raw))
    data = xgboost.DMatrix(inputs(), feature_types=TYPES, enable_categorical=True)
    np.testing.assert_array_equal(found, plain.predict(data))
    with pytest.raises(ModelError, match="answers"):
        opened_booster(raw, outputs + 1)


def array_at(raw: bytes, name: str) -> int:
    """Where the numbers of the first array of this name begin."""
    key = b"L" + len(name).to_bytes(8) + name.encode()
    place = raw.index(key) + len(key)
    assert raw[place : place + 2] == b"[$"
    return place + raw[place:].index(b"#L") + 10


@pytest.mark.parametrize(
    ("name", "value"),
    [("left_children", 10**6), ("left_children", 0), ("left_children", -7), ("right_children", 2**31 - 1),
     ("split_indices", 3), ("split_indices", -1), ("categories", 2**30), ("categories_nodes", 10**6)],
)  # fmt: skip
def test_a_number_out_of_range_is_refused(name: str, value: int) -> None:
    raw = bytearray(grown())
    place = array_at(raw, name)
    raw[place : place + 4] = value.to_bytes(4, signed=True)
    with pytest.raises(ModelError, match="trees of the model cannot be read"):
        opened_booster(bytes(raw), 1)


def test_a_tree_with_the_number_of_another_is_refused() -> None:
    """XGBoost writes it there, beyond the end of its trees."""
    raw = bytearray(grown())
    key = b"L" + (2).to_bytes(8) + b"idi"
    raw[raw.index(key) + len(key)] = 100
    with pytest.raises(ModelError, match="number of another"):
        opened_booster(bytes(raw), 1)


def test_rows_with_other_columns_are_refused() -> None:
    with pytest.raises(ModelError, match="they read 3 columns, and rows have 2"):
        tree_outputs(opened_booster(grown(), 1), inputs()[:, :2], TYPES[:2])


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"{}", b"[", b"S", b"[" * 10_000, b"{L" + b"\x7f" * 8, b"[$d#L" + b"\x7f" * 8, b"[#L" + b"\x7f" * 8,
     b"[$Z#i\x01", b"Sd\x00\x00\x00\x00", b"[$d#L" + b"\xff" * 8],
)  # fmt: skip
def test_bytes_that_are_no_trees_are_refused(raw: bytes) -> None:
    with pytest.raises(ModelError):
        opened_booster(raw, 1)


def test_flipped_bytes_never_end_in_anything_else() -> None:
    """XGBoost reads what passes; a crash would end this process."""
    raw, rng, refused = grown(trees=2), np.random.default_rng(5), 0
    for _ in range(300):
        changed = bytearray(raw)
        changed[rng.integers(len(raw))] = rng.integers(256)
        try:
            tree_outputs(opened_booster(bytes(changed), 1), inputs(20), TYPES)
        except ModelError:
            refused += 1
    assert refused > 30


def test_the_same_trees_are_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most steps of a retrain open them; whoever asks for other answers is refused all the same."""
    raw, checked = grown(trees=7), list[int]()

    def counted(content: bytes, outputs: int) -> None:
        checked.append(outputs)
        require_trees(content, outputs)

    # The real check, counted.
    monkeypatch.setattr("varjepa.inference.heads.trees.require_trees", counted)
    for _ in range(3):
        opened_booster(bytes(bytearray(raw)), 1)
        with pytest.raises(ModelError, match="answers"):
            opened_booster(raw, 2)
    assert checked == [1, 2, 2, 2]


@pytest.mark.parametrize(("objective", "outputs"), [("reg:squarederror", 1), ("multi:softprob", 4)])
def test_a_table_without_rows_has_an_answer_without_rows_and_no_warning(
    objective: str, outputs: int, recwarn: pytest.WarningsRecorder
) -> None:
    booster = opened_booster(grown(objective, outputs), outputs)
    assert tree_outputs(booster, inputs()[:0], TYPES).shape == (0, 4)[: 1 + (outputs > 1)]
    assert not recwarn.list
