"""XGBoost's trees from bytes that may come from anywhere: XGBoost, which is C++, reads only what is sound.

A child that is no node, a loop, or a length beyond the end would make it read foreign memory, or never end.
"""

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from varjepa.errors import ModelError
from varjepa.evaluation.arrays import Floats, Ints
from varjepa.inference.heads.ubjson import Reader

if TYPE_CHECKING:
    import xgboost

OLDEST = [3, 0]
"""Version of XGBoost from which on trees are read as is checked here."""

MOST_CATEGORIES = 2**20
"""Codes of categories lie below; XGBoost keeps a bit for each of a split."""

PER_NODE = {
    "base_weights": ">f4", "default_left": "u1", "left_children": ">i4", "loss_changes": ">f4", "parents": ">i4",
    "right_children": ">i4", "split_conditions": ">f4", "split_indices": ">i4", "split_type": "u1",
    "sum_hessian": ">f4",
}  # fmt: skip
"""Arrays with one entry per node, and their types."""

PER_SPLIT = {"categories_nodes": ">i4", "categories_segments": ">i8", "categories_sizes": ">i8"}
"""Arrays with one entry per split by categories, and their types."""

ROOT = 2**31 - 1
"""The parent of a node without one."""

_sound: set[tuple[bytes, int]] = set()
"""Digests of trees that need no further check in this process, and how many numbers they answer with. The check reads
every node in Python, and a retrain opens the same trees again in most of its steps."""


def opened_booster(raw: bytes, outputs: int) -> "xgboost.Booster":
    """Trees from XGBoost's UBJSON.

    Args:
        raw: the bytes.
        outputs: numbers that the trees answer with.

    Raises:
        ModelError: the bytes hold no trees, or trees with other answers.
    """
    import xgboost

    with _readable():
        if (hashlib.sha256(raw).digest(), outputs) not in _sound:
            require_trees(raw, outputs)
            trust(raw, outputs)
        return xgboost.Booster({"nthread": torch.get_num_threads()}, model_file=bytearray(raw))


def trust(raw: bytes, outputs: int) -> None:
    """Spares trees the check: those that were checked, and those that this process has grown and keeps in no file."""
    _sound.add((hashlib.sha256(raw).digest(), outputs))


def tree_outputs(booster: "xgboost.Booster", x: Floats, types: Sequence[str], *, margin: bool = False) -> np.ndarray:
    """What trees say of rows, float32 [N] or [N, outputs].

    Args:
        booster: the trees.
        x: float32 [N, F].
        types: of the columns [F].
        margin: before the link function.

    Raises:
        ModelError: the trees read other columns.
    """
    import xgboost

    with _readable():
        if booster.num_features() != x.shape[1]:
            raise ValueError(f"they read {booster.num_features()} columns, and rows have {x.shape[1]}")
        # XGBoost warns of a table without rows, so a row stands in for none.
        given = x if len(x) else np.zeros((1, x.shape[1]), np.float32)
        matrix = xgboost.DMatrix(
            given, feature_types=list(types), enable_categorical=True, nthread=torch.get_num_threads()
        )
        return np.asarray(booster.predict(matrix, output_margin=margin))[: len(x)]


@contextmanager
def _readable() -> Iterator[None]:
    """Turns errors of reading trees into a `ModelError`."""
    from xgboost.core import XGBoostError

    try:
        yield
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, XGBoostError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"The trees of the model cannot be read: {reason}.", fix="Train the model again.") from error


def require_trees(raw: bytes, outputs: int) -> None:
    """Checks trees before XGBoost sees them.

    Raises:
        ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError: they are not sound.
    """
    content: Any = Reader(raw).whole()
    learner = content["learner"]
    _require([int(part) for part in content["version"]] >= OLDEST, "a version of before, which XGBoost reads otherwise")
    _require(learner["gradient_booster"]["name"] == "gbtree", "a kind of booster that no head has")
    model, shape = learner["gradient_booster"]["model"], learner["learner_model_param"]
    groups = max(int(shape["num_class"]), int(shape["num_target"]), 1)
    _require(groups == outputs, f"{groups} answers, expected {outputs}")
    scores = [float(text) for text in re.findall(r"[^\[\],]+", str(shape["base_score"]))]
    _require(bool(scores) and all(map(math.isfinite, scores)), "a start that is no number")
    _require(len(scores) in (1, groups), "starts that do not fit the answers")
    _require_model(model, groups)
    for number, tree in enumerate(model["trees"]):
        _require(int(tree["id"]) == number, "a tree with the number of another")  # XGBoost puts it there
        _require_tree(tree, int(shape["num_feature"]))


def _require_model(model: Mapping[str, Any], groups: int) -> None:
    """Checks what all trees have in common."""
    count, parameters = len(model["trees"]), model["gbtree_model_param"]
    info, rounds = np.asarray(model["tree_info"]), np.asarray(model["iteration_indptr"])
    _require(int(parameters["num_trees"]) == count == len(info) and count > 0, "another number of trees than they say")
    _require(int(parameters["num_parallel_tree"]) == 1, "trees in parallel")
    _require(bool(((info >= 0) & (info < groups)).all()), "a tree of no answer")
    _require(rounds[0] == 0 and rounds[-1] == count and bool((np.diff(rounds) >= 0).all()), "rounds that are none")
    _require(not model.get("cats", {}).get("enc"), "names of categories, which no head has")


def _require_tree(tree: Mapping[str, Any], inputs: int) -> None:
    """Checks one tree: every child is a later node, every split reads a column."""
    parameters = tree["tree_param"]
    count, own = int(parameters["num_nodes"]), np.arange(int(parameters["num_nodes"]))
    _require(count > 0, "no node")
    for name, kind in PER_NODE.items():
        _require(len(tree[name]) == count and tree[name].dtype == kind, f"other {name} than nodes")
    _require(int(parameters["size_leaf_vector"]) <= 1, "leaves with several answers")
    _require(int(parameters["num_feature"]) == inputs, "a tree of other columns")
    left, right = (np.asarray(tree[name]).astype(np.int64) for name in ("left_children", "right_children"))
    inner = left != -1
    sound = (left > own) & (left < count) & (right > own) & (right < count)
    _require(bool((right[~inner] == -1).all()) and bool(sound[inner].all()), "a child that is no later node")
    _require_parents(tree["parents"], left, right)
    column = np.asarray(tree["split_indices"])[inner]
    _require(bool(((column >= 0) & (column < inputs)).all()), "a split by a column that is not there")
    by_number = ~(inner & (np.asarray(tree["split_type"]) == 1))
    _require(bool(np.isfinite(np.asarray(tree["split_conditions"])[by_number]).all()), "thresholds that are no numbers")
    _require_categories(tree, np.flatnonzero(~by_number))


def _require_parents(parents: Ints, left: Ints, right: Ints) -> None:
    """Checks that every node but the first has the parent whose child it is, and only that one."""
    expected, inner = np.full(len(parents), -1), np.flatnonzero(left != -1)
    expected[0], expected[left[inner]], expected[right[inner]] = ROOT, inner, inner
    _require(np.array_equal(parents, expected), "a node with another parent")


def _require_categories(tree: Mapping[str, Any], splits: np.ndarray) -> None:
    """Checks the splits by categories, whose nodes are given."""
    for name, kind in {**PER_SPLIT, "categories": ">i4"}.items():
        _require(tree[name].dtype == kind, f"{name} of another type")
    nodes, starts, lengths = (tree[name].astype(np.int64) for name in PER_SPLIT)
    codes = tree["categories"].astype(np.int64)
    _require(np.array_equal(nodes, splits) and len(nodes) == len(starts) == len(lengths), "splits without categories")
    ends = starts + lengths
    _require(bool(((starts >= 0) & (lengths >= 0) & (ends <= len(codes))).all()), "categories beyond their end")
    _require(bool(((codes >= 0) & (codes < MOST_CATEGORIES)).all()), "a category that is none")


def _require(sound: bool, fault: str) -> None:  # noqa: FBT001 (an assertion)
    if not sound:
        raise ValueError(f"they have {fault}")
