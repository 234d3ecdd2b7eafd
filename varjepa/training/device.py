"""Which device to train and embed on."""

import torch

from varjepa.errors import ConfigError


def resolve_device(wanted: str) -> torch.device:
    """`auto` is the GPU where there is one, otherwise the CPU.

    Raises:
        ConfigError: no such device here.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f'training.device is "{wanted}", which cannot be used here.', fix="Use auto, cpu, or the name of a GPU."
        ) from error
    return device
