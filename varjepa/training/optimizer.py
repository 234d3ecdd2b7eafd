"""The optimiser of a training: Muon for matrices, or AdamW for everything."""

from torch import nn

from varjepa.config import TrainingSection
from varjepa.nn.decay import decay_groups
from varjepa.nn.muon import MuonAdamW
from varjepa.nn.optimizers import AdamW
from varjepa.objective.schedules import peak_lr


def optimizer_for(network: nn.Module, training: TrainingSection, *, on_gpu: bool) -> AdamW | MuonAdamW:
    """A new optimiser of a network's parameters that have a gradient.

    Args:
        network: on its device.
        training: which optimiser, its peak rate and its decay.
        on_gpu: whether steps may be recorded as CUDA graphs, for which counts of steps lie on the GPU.
    """
    lr, decay = peak_lr(training), training.weight_decay
    if training.optimizer == "muon":
        return MuonAdamW(network, lr=lr, weight_decay=decay, capturable=on_gpu)
    return AdamW(decay_groups(network, decay), lr=lr, fused=True, capturable=on_gpu)
