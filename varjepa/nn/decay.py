"""Which parameters weight decay shrinks: the matrices of linear maps, and nothing else."""

from collections.abc import Iterator
from typing import Any, ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class HasMatrices(Protocol):
    """A module with matrices of its own, besides those of the `nn.Linear` in it.

    Attributes:
        matrices: names of parameters, or of lists of them.
    """

    matrices: ClassVar[tuple[str, ...]]


def decay_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Groups of an optimiser's parameters: matrices with weight decay, all others without.

    A smaller matrix is a simpler map. A bias, a normalisation, an embedding or a learned token is a value by itself:
    decay would only pull it off what the data say.

    Args:
        network: its parameters without a gradient are left out.
        weight_decay: of the matrices, >= 0.
    """
    decayed = {id(matrix) for module in network.modules() for matrix in _matrices(module)}
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in trained if id(parameter) in decayed]
    others = [parameter for parameter in trained if id(parameter) not in decayed]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _matrices(module: nn.Module) -> Iterator[Tensor]:
    if isinstance(module, nn.Linear):
        yield module.weight
    elif isinstance(module, HasMatrices):
        for name in module.matrices:
            found = getattr(module, name)
            yield from found if isinstance(found, nn.ParameterList) else (found,)
