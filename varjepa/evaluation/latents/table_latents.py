"""Diagnostics of s_x and z of Var-T-JEPA, whose aggregates the objective pulls toward N(0, I)."""

import torch
from torch import Tensor

from varjepa.data.tensors.sizes import rows_within
from varjepa.data.tensors.table import TableTensors
from varjepa.evaluation.latents.aggregate import diagnose, sampling_floors
from varjepa.models.masks import full_context
from varjepa.models.network import VariationalNetwork
from varjepa.nn.gaussian import DiagonalGaussian
from varjepa.nn.random import Randomness

MOST_FEATURES = 64
"""Features whose s_x is looked at, drawn at random of more: their mean changes little, their eigenvalues take time."""

BATCH, BATCH_CELLS = 1024, 2**18
"""Rows at a time, and their cells: of wide tables fewer rows are in memory."""


class _Latents:
    """Collects q(s_x | x) and q(z | s_x) with one sample each, batch by batch."""

    def __init__(self) -> None:
        self.parts: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {"s_x": [], "z": []}

    def add(self, name: str, posterior: DiagonalGaussian, value: Tensor) -> None:
        self.parts[name].append((posterior.mean, posterior.logvar, value))

    def whole(self, name: str) -> tuple[Tensor, ...]:
        """Mean, log-variance and sample of all rows."""
        return tuple(torch.cat(pieces) for pieces in zip(*self.parts[name], strict=True))


@torch.inference_mode()
def table_diagnostics(network: VariationalNetwork, table: TableTensors, random: Randomness) -> dict[str, float]:
    """Diagnostics of both latents with all observed cells as context, each beside its sampling floor.

    Those of s_x are taken per feature, over the rows in which it is observed, and averaged over features, as the loss
    term `kl_sx` is; of more than `MOST_FEATURES` over as many.

    Args:
        network: in evaluation mode, on the table's device.
        table: rows, at least one.
        random: of the samples, and of directions.

    Returns:
        Names such as `s_x_kl_agg` and `z_mean_norm`, and the same with `_floor`; no more rows than dimensions give
        nothing.
    """
    latents, n_features = _Latents(), table.observed.shape[1]
    batch_size = rows_within(BATCH_CELLS, n_features, fewest=1, most=BATCH)
    for start in range(0, table.n_rows, batch_size):
        batch = table.rows(slice(start, start + batch_size))
        posterior = network.infer(batch, full_context(batch.observed), random)
        latents.add("s_x", posterior.s_x, posterior.s_x_value)
        latents.add("z", posterior.z, posterior.z_value)
    s_x = latents.whole("s_x")  # mean, log-variance and sample, [N, D, d] each; those of z are [N, d]
    # Per feature the rows in which it is observed: the others' latents were inferred from nothing.
    chosen = list(range(n_features))
    if n_features > MOST_FEATURES:
        chosen = sorted(random.host.choice(n_features, MOST_FEATURES, replace=False).tolist())
    features = [[part[table.observed[:, j], j] for part in s_x] for j in chosen]
    return _averaged("s_x", features, random) | _averaged("z", [list(latents.whole("z"))], random)


def _averaged(name: str, groups: list[list[Tensor]], random: Randomness) -> dict[str, float]:
    """Means over groups of rows [N, d] with N > d; a covariance needs as many."""
    per_group: dict[str, list[float]] = {}
    for mean, logvar, value in groups:
        rows, d = mean.shape
        if rows <= d:
            continue
        values = diagnose(DiagonalGaussian(mean[None], logvar[None]), value[None], random)  # a single run, R = 1
        floors = sampling_floors(rows, d)
        for key, diagnostic in values.items():
            per_group.setdefault(f"{name}_{key}", []).append(float(diagnostic))
            per_group.setdefault(f"{name}_{key}_floor", []).append(floors[key])
    return {key: sum(values) / len(values) for key, values in per_group.items()}
