"""Whether a generator that was read from files fits its model."""

from collections.abc import Sequence

from varjepa.data.tensors.bars import N_POINTS, Bars
from varjepa.inference.generator.reference import Reference
from varjepa.inference.generator.table_generator import TableGenerator
from varjepa.inference.ranges import is_share, ordered, require, rises

MOST_GROUPINGS = 100
"""Training scores the cells of a wide table twice; every grouping takes as long again."""


def require_bars(bars: Sequence[Bars], n_numeric: int) -> None:
    """Checks the bars of a generator.

    Raises:
        ValueError: they are not in order, or not one set per numeric feature.
    """
    require(len(bars) == n_numeric, f"there are bars of {len(bars)} features, expected {n_numeric}")
    for feature in bars:
        points = [point for bar in feature.points for point in bar]
        sound = len(feature.points) == len(feature.edges) + 1 and all(len(bar) == N_POINTS for bar in feature.points)
        require(sound and rises(feature.edges) and ordered(points), "the bars of a feature are not in order")


def require_layers(weights: int, n_layers: int, width: int) -> None:
    """Checks that a file holds at least as many weights as its generator has, before this is built.

    Args:
        weights: numbers in the file.
        n_layers: of the generator.
        width: of its tokens.

    Raises:
        ValueError: it holds fewer.
    """
    fewest = n_layers * 8 * width * width  # attention and feed-forward part of every block
    require(fewest <= weights, f"the configuration is of a generator of at least {fewest:,} weights, not {weights:,}")


def require_reference(generator: TableGenerator) -> None:
    """Checks the reference of a generator.

    Raises:
        ValueError: it is of other features, or not in order.
    """
    reference, numeric, features = generator.reference, generator.n_numeric, generator.n_features
    require(len(reference.reach) == len(reference.rows) == numeric, "the reference has other numeric features")
    counted = zip(reference.reach, reference.rows, strict=True)
    sound = all(ordered(reach) and all(map(is_share, reach)) and bool(reach or not rows) for reach, rows in counted)
    require(sound, "the reach of a feature is no rising share")
    require(len(reference.surprise) in (0, features), "the reference has other features")
    require(len(reference.cells) in (0, len(reference.surprise)), "the reference counts other features")
    require(all(map(ordered, (*reference.surprise, reference.row))), "the reference does not rise")
    _require_counts(reference, features)


def _require_counts(reference: Reference, features: int) -> None:
    require(all(count >= 0 for count in (*reference.rows, *reference.cells, reference.row_count)), "negative counts")
    require(0 <= reference.groupings <= MOST_GROUPINGS, f"cells are scored in {reference.groupings} groupings")
    sound = all(len(pattern) == features and set(pattern) <= set("01") for pattern in reference.patterns)
    require(sound, "a pattern of gaps is none")
