"""The kinds of table networks by the name that a configuration gives them."""

from varjepa.config import ModelSection, RetrainConfig
from varjepa.data.tensors.table import TableSizes
from varjepa.models.network import TableNetwork
from varjepa.models.t_jepa import TJEPANetwork
from varjepa.models.var_t_jepa import VarTJEPANetwork
from varjepa.nn.random import initial_weights

KINDS: dict[str, type[TableNetwork]] = {"var_t_jepa": VarTJEPANetwork, "t_jepa": TJEPANetwork}


def build_network(*, sizes: TableSizes, model: ModelSection) -> TableNetwork:
    """An untrained network of the kind `model.kind`, its weights drawn from torch's global generator."""
    return KINDS[model.kind](sizes=sizes, model=model)


def new_network(sizes: TableSizes, config: RetrainConfig) -> TableNetwork:
    """An untrained network whose initial weights depend on `training.seed` alone."""
    with initial_weights(config.training.seed):
        return build_network(sizes=sizes, model=config.model)
