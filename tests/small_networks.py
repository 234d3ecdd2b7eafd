"""Small tables and networks of random numbers."""

import torch

from varjepa.config import ModelSection
from varjepa.data.tensors.table import TableSizes, TableTensors
from varjepa.models.var_t_jepa import VarTJEPANetwork

SIZES = TableSizes(3, [4, 6, 3])
SMALL = ModelSection(d_hidden=16, n_layers=2, n_heads=2, d_feedforward=32, pred_d=8, pred_n_layers=2, pred_n_heads=2,
                     pred_d_feedforward=16)  # fmt: skip


def random_table(rows: int, missing: float = 0.2, seed: int = 0, sizes: TableSizes = SIZES) -> TableTensors:
    generator = torch.Generator().manual_seed(seed)
    numeric = torch.randn(rows, sizes.n_numeric, generator=generator)
    codes = torch.stack([torch.randint(1, c, (rows,), generator=generator) for c in sizes.cardinalities], dim=1)
    observed = torch.rand(rows, sizes.n_features, generator=generator) >= missing
    return TableTensors(numeric, codes, observed)


def small_network(seed: int = 0, sizes: TableSizes = SIZES, model: ModelSection = SMALL) -> VarTJEPANetwork:
    torch.manual_seed(seed)
    return VarTJEPANetwork(sizes=sizes, model=model).eval()
