"""What a veto of the promotion gate is."""

from typing import NamedTuple


class Veto(NamedTuple):
    """Why a challenger is refused, whatever its average.

    Attributes:
        name: collapse, latency, contract, structure, calibration, coverage, subgroup or reference.
        reason: what was found, and what was allowed.
    """

    name: str
    reason: str
