"""Rows of which the model is not shown everything."""

from collections.abc import Collection, Sequence

import torch

from varjepa.data.tensors.table import TableTensors
from varjepa.models.embedding import Embedding
from varjepa.models.network import TableNetwork


def without(table: TableTensors, *features: int) -> TableTensors:
    """The rows with some features missing."""
    observed = table.observed.clone()
    observed[:, list(features)] = False
    numeric, codes = table._replace(observed=observed).blanked()
    return TableTensors(numeric, codes, observed)


def one_below_the_other(tables: Sequence[TableTensors]) -> TableTensors:
    """All rows of tables of the same features."""
    return TableTensors(*(torch.cat(parts) for parts in zip(*tables, strict=True)))


@torch.inference_mode()
def expected(
    network: TableNetwork, table: TableTensors, embedding: Embedding, features: Collection[int]
) -> TableTensors:
    """The rows with what the network expects in place of some features; their gaps stay gaps.

    A head on raw cells that has seen few gaps makes of a gap whatever it likes. Networks without a decoder expect
    nothing: there the features are missing.

    Args:
        network: trained.
        table: the rows.
        embedding: of the rows without these features.
        features: to replace.
    """
    variational = network.variational()
    if variational is None or not features:
        return without(table, *features)
    likelihood, n_numeric = variational.reconstruct(embedding.mean), table.numeric.shape[1]
    numeric, codes = table.numeric.clone(), table.codes.clone()
    numbers = [feature for feature in features if feature < n_numeric]
    numeric[:, numbers] = likelihood.numeric.mean[:, numbers].to(numeric.dtype)
    for logits, group in zip(likelihood.logits, likelihood.groups, strict=True):
        for place, feature in enumerate(group.tolist()):
            if n_numeric + feature in features:
                codes[:, feature] = logits[:, place].argmax(1) + 1  # class 0 is code 1
    numeric, codes = table._replace(numeric=numeric, codes=codes).blanked()
    return table._replace(numeric=numeric, codes=codes)
