"""The kinds of table networks by the name that a configuration gives them."""

from varjepa.config import ModelSection
from varjepa.data.table import TableSizes
from varjepa.models.network import TableNetwork
from varjepa.models.t_jepa import TJEPANetwork
from varjepa.models.var_t_jepa import VarTJEPANetwork

KINDS: dict[str, type[TableNetwork]] = {"var_t_jepa": VarTJEPANetwork, "t_jepa": TJEPANetwork}


def build_network(*, sizes: TableSizes, model: ModelSection) -> TableNetwork:
    """An untrained network of the kind `model.kind`, its weights drawn from torch's global generator."""
    return KINDS[model.kind](sizes=sizes, model=model)
