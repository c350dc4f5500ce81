"""Which device and precision a run uses, and why."""

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
