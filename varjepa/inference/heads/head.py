"""What all heads have in common."""

from typing import Any, Protocol

from torch import Tensor

from varjepa.config.heads import FEATURES, HEAD
from varjepa.inference.heads.inputs import HeadRows


class Head(Protocol):
    """A fitted classifier or regressor of rows.

    Attributes:
        kind: linear, boosted, forest, mlp or stacked.
        features: what it reads.
    """

    @property
    def kind(self) -> HEAD: ...

    @property
    def features(self) -> FEATURES: ...

    def outputs(self, rows: HeadRows) -> Tensor:
        """Logits float64 [N, C] of a classifier, or values [N, 1] of a regressor, on the device of the rows."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """All arrays by name, for saving."""
        ...

    def facts(self) -> dict[str, Any]:
        """The rest, as plain data for JSON."""
        ...


def name_of(head: Head) -> str:
    """Name of a head for people, such as "boosted on raw"."""
    if head.kind == "stacked":
        return head.kind
    transform = head.facts().get("transform")  # of the label, where it is not learned as it is
    return f"{head.kind} on {head.features}" + (f", label by {transform['name']}" if transform else "")
