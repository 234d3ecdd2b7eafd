"""Heads that do not fit their model, or whose trees never end, are refused."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.unit.inference.heads.test_heads import fitting_of, sizes_of
from varjepa.inference.heads.choice import choose_head
from varjepa.inference.heads.forest import ForestHead
from varjepa.inference.heads.soundness import HeadSizes, require_head


@pytest.fixture(scope="module")
def forest() -> tuple[ForestHead, HeadSizes]:
    fitting, _ = fitting_of("line", head="forest", features="raw", rows=120)
    head = choose_head(fitting).head
    assert isinstance(head, ForestHead)
    return head, sizes_of(fitting)


def changed(head: ForestHead, name: str, place: Any, value: float) -> ForestHead:
    """The forest with another number in one of its arrays."""
    values = getattr(head.nodes, name).clone()
    values[place] = value
    return replace(head, nodes=head.nodes._replace(**{name: values}))


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [("feature", 0, 99), ("feature", 0, -2), ("children", (0, 0), 0), ("children", (0, 1), -1),
     ("children", (0, 1), 10**9), ("roots", 0, -1), ("roots", 3, 10**9), ("value", (0, 0), 7.0),
     ("value", (0, 0), -0.5)],
)  # fmt: skip
def test_a_node_out_of_range_is_refused(
    name: str, place: Any, value: float, forest: tuple[ForestHead, HeadSizes]
) -> None:
    head, sizes = forest
    require_head(head, sizes)
    with pytest.raises(ValueError, match=r"node|tree|column"):
        require_head(changed(head, name, place, value), sizes)


@pytest.mark.parametrize("depth", [-1, 0, 1, 10**12])
def test_a_depth_that_is_none_is_refused(depth: int, forest: tuple[ForestHead, HeadSizes]) -> None:
    head, sizes = forest
    with pytest.raises(ValueError, match=r"depth|deeper"):
        require_head(replace(head, depth=depth), sizes)


def test_a_head_of_another_model_is_refused(forest: tuple[ForestHead, HeadSizes]) -> None:
    head, sizes = forest
    with pytest.raises(ValueError, match="classes"):
        require_head(head, replace(sizes, n_classes=3))
    with pytest.raises(ValueError, match="expected"):
        require_head(replace(head, nodes=head.nodes._replace(gap_left=torch.zeros(1, dtype=torch.bool))), sizes)
