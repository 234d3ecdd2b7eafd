"""What a search may change: always a valid job, and the job itself among the points."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from varjepa.config import RetrainConfig, as_flat, parse_config
from varjepa.tuning.space import (
    Choice,
    Range,
    changed_settings,
    default_point,
    neighbour,
    search_space,
    with_settings,
)


def job(**sections: dict[str, Any]) -> RetrainConfig:
    config = parse_config({"data": {"name": "sim", "label": "label"}, **sections})
    return config.sized(1000, 1)


SHARES = st.lists(st.floats(0, 1), min_size=4, max_size=4).map(lambda s: (*sorted(s[:2]), *sorted(s[2:])))
JOBS = st.builds(
    lambda shares, heads, width, layers, weights, dropout, lr, kind: job(
        model={"kind": kind, "n_heads": heads, "d_hidden": heads * width, "n_layers": layers, "dropout": dropout},
        masking=dict(zip(("ctx_share_min", "ctx_share_max", "trg_share_min", "trg_share_max"), shares, strict=True)),
        objective={"weight_rec": weights, "kl_z_final": weights / 7}, training={"lr": lr},
    ),
    SHARES, st.integers(1, 6), st.integers(1, 40), st.integers(1, 20), st.just(0.0) | st.floats(1e-9, 10),
    st.floats(0, 0.99), st.floats(1e-7, 10), st.sampled_from(["var_t_jepa", "t_jepa"]),
)  # fmt: skip


@given(JOBS)
@settings(max_examples=50)
def test_the_job_itself_is_a_point_and_changes_nothing(config: RetrainConfig) -> None:
    space = search_space(config)
    point = default_point(space, config)
    assert all(space[key].holds(value) for key, value in point.items())
    assert changed_settings(point, space, config) == {}
    assert with_settings(config, {}) == config


def corner(values: Choice | Range, where: float) -> Any:
    if isinstance(values, Choice):
        return values.options[min(int(where * len(values.options)), len(values.options) - 1)]
    return values.low + where * (values.high - values.low)


@given(JOBS, st.data())
@settings(max_examples=50)
def test_every_point_is_a_valid_job(config: RetrainConfig, data: st.DataObject) -> None:
    space = search_space(config)
    wheres = st.sampled_from([0.0, 1.0]) | st.floats(0, 1)
    point = {key: corner(values, data.draw(wheres)) for key, values in space.items()}
    point = {
        key: value if isinstance(space[key], Choice) else min(max(value, space[key].low), space[key].high)
        for key, value in point.items()
    }
    changed = with_settings(config, changed_settings(point, space, config))
    flat, before = as_flat(changed), as_flat(config)
    assert {key for key in flat if flat[key] != before[key]} <= set(space)


@given(JOBS, st.integers(0, 1000))
@settings(max_examples=50)
def test_neighbours_are_points_near_the_job(config: RetrainConfig, seed: int) -> None:
    space = search_space(config)
    point = default_point(space, config)
    drawn = neighbour(space, point, seed)
    assert list(drawn) == list(space)
    assert all(space[key].holds(value) for key, value in drawn.items())
    assert drawn == neighbour(space, point, seed)
    with_settings(config, changed_settings(drawn, space, config))


def test_neighbours_keep_most_settings() -> None:
    config = job()
    space = search_space(config)
    counts = [
        len(changed_settings(neighbour(space, default_point(space, config), s), space, config)) for s in range(100)
    ]
    assert 2 < sum(counts) / 100 < 6
    assert max(counts) < len(space)


def test_what_a_job_has_turned_off_stays_off() -> None:
    space = search_space(job(objective={"weight_rec": 0, "kl_z_final": 0}))
    assert not {"objective.weight_rec", "objective.kl_z_final"} & set(space)
    assert "objective.kl_sx_final" in space


def test_t_jepa_has_no_weights() -> None:
    assert not [key for key in search_space(job(model={"kind": "t_jepa"})) if key.startswith("objective.")]


def test_nothing_of_the_rows_is_searched() -> None:
    space = search_space(job())
    assert {key.partition(".")[0] for key in space} <= {"model", "masking", "objective", "training", "probe"}


@pytest.mark.parametrize(("value", "rounded"), [(0.00123456, 0.00123), (123456.0, 123000.0), (0.3, 0.3)])
def test_drawn_numbers_are_short(value: float, rounded: float) -> None:
    space = {"training.lr": Range(1e-9, 1e9, log=True)}
    assert changed_settings({"training.lr": value}, space, job()) == {"training.lr": rounded}


def test_rounding_does_not_leave_the_bounds() -> None:
    space = {"training.lr": Range(0.0012345, 0.5)}
    assert changed_settings({"training.lr": 0.0012345}, space, job()) == {"training.lr": 0.0012345}


@pytest.mark.parametrize(
    "sections",
    [
        {"training": {"lr": 1000, "weight_decay": 9e8}},
        {"masking": {"num_targets": 800}},
        {"model": {"n_layers": 600, "pred_n_layers": 1000, "d_hidden": 8, "n_heads": 1, "pred_d": 8}},
        {"objective": {"weight_rec": 1e9, "kl_sx_final": 1e9}},
    ],
)
def test_no_point_is_beyond_what_a_config_may_say(sections: dict[str, Any]) -> None:
    config = job(**sections)
    space = search_space(config)
    point = default_point(space, config)
    for key, values in space.items():
        ends = values.options if isinstance(values, Choice) else (values.low, values.high)
        for end in ends:
            with_settings(config, changed_settings(point | {key: end}, space, config))
