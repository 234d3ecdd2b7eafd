"""Sizes of the network by name and by table: which they are, what a given size changes, and that they stay."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from varjepa.config import ModelSection, RetrainConfig, as_flat, parse_config, result_settings
from varjepa.config.encoder_sizes import PRESETS, SIZES, WIDE_FEATURES, completed, preset_for
from varjepa.errors import ConfigError

NAMES = list(PRESETS)
GROWING = ("small", "medium", "published")
ROWS, COLUMNS = st.integers(1, 10**12), st.integers(1, 10**5)
NARROW = st.integers(1, WIDE_FEATURES // 2 - 1)
HEADS = ("n_heads", "pred_n_heads")
SOME_SIZES = st.dictionaries(st.sampled_from(SIZES), st.integers(1, 12), max_size=len(SIZES))
"""A few of the sizes; small numbers, so that many are divided by few."""


def job(**model: Any) -> RetrainConfig:
    """A job with these settings of its model."""
    return parse_config({"data": {"name": "sim", "label": "label", "drop": ["ambiguity"]}, "model": model})


@pytest.mark.parametrize(
    ("rows", "columns", "name"),
    [(10, 1, "small"), (48_842, 14, "medium"), (10_000, 784, "wide"), (10_000, 9, "small"), (10_000, 10, "medium"),
     (581_012, 54, "medium"), (1, 199, "small"), (1, 200, "wide"), (10**12, 10**5, "wide"), (10**12, 1, "medium")],
)  # fmt: skip
def test_the_table_decides_the_size(rows: int, columns: int, name: str) -> None:
    assert preset_for(rows, columns) == name
    assert ModelSection(size="auto").sized(rows=rows, features=columns)._given == PRESETS[name]._asdict()


@given(rows=ROWS, columns=NARROW, more_rows=ROWS, more_columns=NARROW)
def test_more_rows_or_columns_give_no_smaller_network(
    rows: int, columns: int, more_rows: int, more_columns: int
) -> None:
    larger = preset_for(rows + more_rows, columns + more_columns)
    assert GROWING.index(preset_for(rows, columns)) <= GROWING.index(larger)


def test_presets_grow_and_the_published_one_is_what_a_section_has_by_itself() -> None:
    for before, after in pairwise(PRESETS[name] for name in GROWING):
        assert all(larger >= smaller for smaller, larger in zip(before, after, strict=True))
    assert {key: ModelSection.model_fields[key].default for key in SIZES} == PRESETS["published"]._asdict()


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NAMES, "auto"])
@given(sizes=SOME_SIZES, rows=ROWS, columns=COLUMNS)
def test_given_sizes_win_and_a_sized_section_stays_as_it_is(
    name: str, sizes: dict[str, int], rows: int, columns: int
) -> None:
    try:
        section = ModelSection.model_validate({"size": name, **sizes})
    except ValueError:  # the given sizes do not fit each other, or the published ones
        assume(False)
    sized = section.sized(rows=rows, features=columns)
    assert {key: getattr(sized, key) for key in sizes} == sizes
    assert sized.d_hidden % sized.n_heads == sized.pred_d % sized.pred_n_heads == 0
    assert sized.sized(rows=1, features=1) == sized == sized.sized(rows=10**12, features=10**5)
    # The same after a round trip through plain data, as in the file of a model and in a deployment.
    for before in (section, sized):
        again = ModelSection.model_validate(before.model_dump(mode="json"))
        assert again.sized(rows=rows, features=columns) == sized


@given(preset=st.sampled_from(NAMES), sizes=SOME_SIZES)
def test_what_is_not_given_fits_what_is_given(preset: str, sizes: dict[str, int]) -> None:
    found = completed(preset, sizes)
    assert set(found) == set(SIZES)
    for width, heads in (("d_hidden", "n_heads"), ("pred_d", "pred_n_heads")):
        assert found[width] % found[heads] == 0 or {width, heads} <= set(sizes)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_says_all_sizes(name: str) -> None:
    flat = as_flat(job(size=name))
    assert {key: flat[f"model.{key}"] for key in SIZES} == PRESETS[name]._asdict()


def test_open_sizes_are_null_until_there_is_a_table_and_numbers_then() -> None:
    config = job(size="auto", n_layers=3)
    assert (as_flat(config)["model.n_layers"], as_flat(config)["model.d_hidden"]) == (3, None)
    sized = config.sized(rows=100, features=2)
    assert as_flat(sized)["model.d_hidden"] == PRESETS["small"].d_hidden
    assert (sized.model.n_layers, sized.model.size) == (3, "auto")
    # Open sizes and the same sizes given are two jobs: the table may change the first.
    assert result_settings(config) != result_settings(sized)


@pytest.mark.parametrize(
    ("section", "key", "usual", "wide", "asked"),
    [("generator", "n_layers", 3, 0, 2), ("masking", "num_targets", 4, 1, 4)],
)
def test_a_wide_table_costs_less_unless_more_is_asked_for(
    section: str, key: str, usual: int, wide: int, asked: int
) -> None:
    """The generator of 1,500 columns took ten processor hours, at which nobody was asked."""

    def value(config: RetrainConfig, features: int) -> int:
        return getattr(getattr(config.sized(1000, features), section), key)

    assert (value(job(), 199), value(job(), 200)) == (usual, wide)
    config = parse_config({"data": {"name": "sim"}, section: {key: asked}})
    again = RetrainConfig.model_validate(json.loads(config.model_dump_json()))  # as a schedule keeps it
    assert value(again, 200) == asked
    assert as_flat(job())[f"{section}.{key}"] is None


def test_cells_decide_between_small_and_medium() -> None:
    sizes = [job(size="auto").sized(1000, features).model.n_layers for features in (99, 100)]
    assert sizes == [PRESETS["small"].n_layers, PRESETS["medium"].n_layers]


@pytest.mark.parametrize(
    ("model", "words"),
    [({"size": "huge"}, "model.size"), ({"size": ["small"]}, "model.size"), ({"size": None}, "model.size"),
     ({"size": "small", "d_hidden": "x"}, "d_hidden"), ({"size": "small", "n_heads": 0}, "n_heads"),
     ({"size": "auto", "d_hidden": True}, "d_hidden"), ({"size": "published", "n_heads": 3}, "divided among 3"),
     ({"size": "auto", "d_hidden": 6, "n_heads": 4}, "divided among 4")],
)  # fmt: skip
def test_invalid_sizes_are_refused(model: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        job(**model)


def test_sizes_as_text_are_given_sizes() -> None:
    assert job(size="small", d_hidden="48").model.d_hidden == 48
