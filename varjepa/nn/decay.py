"""Which parameters are matrices of linear maps: weight decay shrinks them alone, and Muon trains them."""

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple, Protocol, Self, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class HasMatrices(Protocol):
    """A module with matrices of its own, besides those of the `nn.Linear` in it.

    Attributes:
        matrices: names of parameters, or of lists of them.
    """

    matrices: ClassVar[tuple[str, ...]]


class Parameters(NamedTuple):
    """Trained parameters of a network, in its order.

    Attributes:
        matrices: of linear maps; one with three axes is a matrix per place along the first.
        others: biases, normalisations, embeddings, learned tokens.
    """

    matrices: list[nn.Parameter]
    others: list[nn.Parameter]

    @classmethod
    def of(cls, network: nn.Module) -> Self:
        """Those of a network that have a gradient."""
        matrices = {id(matrix) for module in network.modules() for matrix in _matrices(module)}
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        return cls([p for p in trained if id(p) in matrices], [p for p in trained if id(p) not in matrices])


def decay_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Groups of an optimiser's parameters: matrices with weight decay, all others without.

    A smaller matrix is a simpler map. A bias, a normalisation, an embedding or a learned token is a value by itself:
    decay would only pull it off what the data say.

    Args:
        network: its parameters without a gradient are left out.
        weight_decay: of the matrices, >= 0.
    """
    matrices, others = Parameters.of(network)
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _matrices(module: nn.Module) -> Iterator[Tensor]:
    if isinstance(module, nn.Linear):
        yield module.weight
    elif isinstance(module, HasMatrices):
        for name in module.matrices:
            found = getattr(module, name)
            yield from found if isinstance(found, nn.ParameterList) else (found,)
