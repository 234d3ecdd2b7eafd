"""Device and precision for training and embedding, and how freed memory is handled."""

import ctypes
from contextlib import suppress

import torch

from varjepa.errors import ConfigError


def resolve_device(requested: str) -> torch.device:
    """`auto` is the GPU where there is one, otherwise the CPU.

    Raises:
        ConfigError: this machine has no such device.
    """
    if requested == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(requested)
        torch.empty(1, device=device).item()  # it may be absent, or, as meta, hold no values
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f'training.device is "{requested}", which cannot be used here.', fix="Use auto, cpu, or the name of a GPU."
        ) from error
    return device


def resolve_precision(requested: str, device: torch.device) -> torch.dtype:
    """Type of the matrix products: `auto` is bfloat16 where the device multiplies it natively, otherwise float32."""
    if requested == "auto":
        if device.type == "cuda":
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            # Elsewhere bfloat16 is emulated and slower than float32.
            capabilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
            native = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
        return torch.bfloat16 if native else torch.float32
    return torch.bfloat16 if requested == "bfloat16" else torch.float32


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Numbers of two settings of glibc's allocator (mallopt(3))."""

LARGE = 2**25
"""Arrays of at least this many bytes return to the system when they are freed; glibc's largest dynamic threshold."""


def keep_memory() -> None:
    """Asks glibc to keep freed memory for the next step instead of returning it to the system.

    A training step frees everything it used. If the system had to zero every page again, that would cost about a
    seventh of the time. Other C libraries are left as they are.
    """
    # Suppressed: a C library without mallopt (musl, macOS), or a system where None names no library (Windows).
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, 2**30)
        library.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)  # the largest int, which is what mallopt takes


def give_back_memory() -> None:
    """Ends `keep_memory` after training: returns free memory now, and large arrays as soon as they are freed.

    Embeddings of many rows are few, large arrays. They would not fit into the pieces that training leaves.
    """
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, LARGE)
        library.malloc_trim(0)
