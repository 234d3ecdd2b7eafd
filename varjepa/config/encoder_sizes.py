"""Sizes of the networks by name, and the rule that chooses a name for a table."""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

Preset = Literal["small", "medium", "wide", "published"]

AUTO = "auto"


class EncoderSizes(NamedTuple):
    """Widths and depths of both encoders and of the predictor; see the keys of `model` with the same names."""

    d_hidden: int
    n_layers: int
    n_heads: int
    d_feedforward: int
    pred_d: int
    pred_n_layers: int
    pred_n_heads: int
    pred_d_feedforward: int
    n_points: int


PRESETS: dict[str, EncoderSizes] = {
    "small": EncoderSizes(64, 1, 4, 256, 16, 1, 4, 256, 0),
    "medium": EncoderSizes(64, 2, 4, 256, 16, 2, 4, 256, 0),
    "wide": EncoderSizes(32, 2, 2, 128, 16, 2, 4, 128, 32),
    "published": EncoderSizes(64, 8, 4, 256, 16, 4, 4, 256, 0),
}
"""small, medium and published differ in depth alone: at the same cost, width is worth more (docs/measured/sizes.md).
wide is narrow, and proportional to its features, because each of hundreds of features is a token."""

SIZES = EncoderSizes._fields

MEDIUM_CELLS = 100_000
"""Tables of at least as many cells get the medium sizes. On no table measured so far were the published ones better."""

WIDE_FEATURES = 200
"""Tables of at least as many features get networks whose cost is proportional to these, and no generator. Text, dates
and groups of zeros and ones are several features or one, and it is features that cost time."""


def preset_for(rows: int, features: int) -> Preset:
    """The sizes for a table, by the number of its features and cells.

    Args:
        rows: of the whole table, all parts together.
        features: that its columns are encoded as.

    Examples:
        >>> preset_for(2000, 14), preset_for(48_842, 14), preset_for(20_000, 1_500)
        ('small', 'medium', 'wide')
    """
    if features >= WIDE_FEATURES:
        return "wide"
    return "medium" if rows * features >= MEDIUM_CELLS else "small"


def completed(preset: str, given: Mapping[str, int]) -> dict[str, int]:
    """All sizes: the given ones as they are, the others those of the preset, made to fit the given ones.

    A width that heads do not divide gets fewer heads, heads that do not divide the width a larger one.

    Args:
        preset: a name in `PRESETS`.
        given: some of the sizes, by name.

    Examples:
        >>> completed("small", {"d_hidden": 33})["n_heads"], completed("small", {"n_heads": 3})["d_hidden"]
        (1, 66)
    """
    sizes: dict[str, int] = {**PRESETS[preset]._asdict(), **given}
    for width, heads in (("d_hidden", "n_heads"), ("pred_d", "pred_n_heads")):
        if heads not in given:
            sizes[heads] = math.gcd(sizes[width], sizes[heads])
        elif width not in given:
            sizes[width] = math.ceil(sizes[width] / sizes[heads]) * sizes[heads]
    return sizes
