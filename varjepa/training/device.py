"""Which device to train and embed on, in which precision, and how its memory is kept."""

import ctypes
from contextlib import suppress

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


def resolve_precision(wanted: str, device: torch.device) -> torch.dtype:
    """Type of the matrix products: `auto` is bfloat16 where the device multiplies it natively, otherwise float32."""
    if wanted == "auto":
        if device.type == "cuda":
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            able = torch.cpu.get_capabilities() if device.type == "cpu" else {}
            native = any(able.get(name) for name in ("avx512_bf16", "amx_bf16"))
        return torch.bfloat16 if native else torch.float32
    return torch.bfloat16 if wanted == "bfloat16" else torch.float32


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of two settings of glibc's allocator (mallopt(3))."""

LARGE = 2**25
"""Bytes of an array that is given back when it is freed, by default glibc's largest threshold."""


def keep_memory() -> None:
    """Asks glibc to keep freed memory for the next step instead of giving it back to the system.

    A training step frees all that it used; having every page of it zeroed again costs about a seventh of the time.
    Other C libraries are left as they are.
    """
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, 2**30)
        library.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def give_back_memory() -> None:
    """Ends that once training is over: returns what is free, and from now on large arrays as soon as they are freed.

    Embeddings of many rows, of which only a few are made, find no room among the pieces that training leaves.
    """
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, LARGE)
        library.malloc_trim(0)
