"""Which device and precision a run uses, and why."""

import ctypes
import sys

import torch
from lp_core import ConfigError

from lp_train.config import TrainingConfig

LIGHTNING_PRECISION = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}


def pick_accelerator(name: str) -> str:
    """`auto` → the best present of cuda, mps, cpu.

    Raises:
        ConfigError: the named one is not present.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, here in present.items() if here)
    if not present[name]:
        raise ConfigError(
            f"training.accelerator={name}: this machine has no {name} device; use training.accelerator=auto."
        )
    return name


def pick_precision(name: str, accelerator: str) -> str:
    """`auto` → bfloat16 where the device computes in it (newer GPUs, CPUs with AVX-512 bf16 or AMX), else float32."""
    if name != "auto":
        return name
    if accelerator == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if accelerator == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return "bfloat16"
    return "float32"


def describe(config: TrainingConfig) -> tuple[str, str, str]:
    """(accelerator, precision, a sentence that says which was chosen)."""
    accelerator = pick_accelerator(config.accelerator)
    precision = pick_precision(config.precision, accelerator)
    name = torch.cuda.get_device_name() if accelerator == "cuda" else f"{torch.get_num_threads()} threads"
    return accelerator, precision, f"device {accelerator} ({name}), {precision}"


MMAP_MAX, TRIM_THRESHOLD, NEVER = -4, -1, 2**31 - 1  # names and limits of glibc's mallopt(3)


def keep_freed_memory() -> bool:
    """Ask the C library to keep large blocks that are freed, and say whether it will.

    Activations of a training step on the CPU are tens of megabytes each; by default every one is handed back to the
    system and faulted in again page by page in the next step (measured: 6% of a ResNet-18 step).
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and bool(mallopt(MMAP_MAX, 0)) and bool(mallopt(TRIM_THRESHOLD, NEVER))
