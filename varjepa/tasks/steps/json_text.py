"""JSON that every program reads: answers of commands, and files that are kept with a run."""

import json
import math
from collections.abc import Mapping
from typing import Any


def json_text(value: Any, **layout: Any) -> str:
    """Plain data as JSON. What is no finite number is null: JSON has no NaN and no infinity, though Python writes them.

    Args:
        value: plain data.
        layout: options of `json.dumps`.

    Examples:
        >>> json_text({"r2": float("nan"), "rows": [1, float("inf")]})
        '{"r2": null, "rows": [1, null]}'
    """
    return json.dumps(_finite(value), allow_nan=False, **layout)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
