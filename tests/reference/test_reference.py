"""Values of the loss in 64 bits that must never move unnoticed; a change on purpose states why and renews them."""

import torch

from tests.small_networks import SIZES, SMALL
from varjepa.data.tensors.table import TableTensors
from varjepa.models.embedding import embed
from varjepa.models.masks import Masks
from varjepa.models.var_t_jepa import VarTJEPANetwork
from varjepa.objective.elbo import loss_terms

# python -m tests.reference.test_reference prints them
TERMS = {
    "rec": 1.3835515983698714,
    "gen": 2.483078479470751,
    "kl_sx": 12.200969873347148,
    "kl_z": 4.561388368031177,
    "kl_sy": 20.33845506348612,
}
EMBEDDING = [322.3950566229555, 425.27779277506096]


def waves(*shape: int, step: float) -> torch.Tensor:
    """Numbers that need no random generator."""
    count = torch.Size(shape).numel()
    return torch.sin(step * torch.arange(1, count + 1, dtype=torch.float64)).view(shape)


def computed() -> tuple[dict[str, float], list[float]]:
    network = VarTJEPANetwork(sizes=SIZES, model=SMALL).double().eval()
    with torch.no_grad():
        for number, parameter in enumerate(network.parameters(), start=1):
            parameter.copy_(0.4 * waves(*parameter.shape, step=0.7 + 0.01 * number))
    codes = torch.tensor([[1, 5, 2], [3, 0, 1], [2, 2, 0], [1, 3, 2]])
    observed = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 1], [0, 1, 1, 1, 1, 0], [1, 1, 0, 1, 1, 1]]).bool()
    table = TableTensors(waves(4, 3, step=1.3), codes, observed)
    context = torch.tensor([[0, 3], [5, 1], [2, 4], [3, 0]])
    targets = torch.tensor([[[1, 4], [5, 2]], [[0, 2], [2, 4]], [[1, 3], [3, 0]], [[1, 2], [4, 5]]])
    masks = Masks(context, observed.gather(1, context), targets, observed[:, None].expand(-1, 2, -1).gather(2, targets))
    terms = loss_terms(table, masks, *network(table, masks)).mean()
    embedding = embed(network, table)
    return (
        {name: value.item() for name, value in terms._asdict().items()},
        [embedding.mean.abs().sum().item(), embedding.scale.sum().item()],
    )


def test_values_have_not_moved() -> None:
    terms, embedding = computed()
    assert terms.keys() == TERMS.keys()
    for name, value in TERMS.items():
        torch.testing.assert_close(terms[name], value, rtol=1e-9, atol=0, msg=lambda text, name=name: f"{name}: {text}")
    torch.testing.assert_close(embedding, EMBEDDING, rtol=1e-9, atol=0)


if __name__ == "__main__":
    print(computed())  # noqa: T201
