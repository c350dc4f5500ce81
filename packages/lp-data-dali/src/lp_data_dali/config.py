"""The choice of DALI. Light to import: DALI and torch are imported by `build`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lp_core import ClipSourceConfig, ConfigError, Size
from lp_core.tensors import ClipSource

DEVICES = ("auto", "cpu", "gpu")


@dataclass(slots=True, kw_only=True)
class DaliClipsConfig(ClipSourceConfig):
    """Clips changed by NVIDIA DALI; on a GPU also decoded and resized by it. Linux only.

    Attributes:
        device: `gpu`: NVDEC decodes, clips come as CUDA tensors; `cpu`: frames of `lp_io.VideoReader`, changed by DALI's
            CPU operators; `auto`: `gpu` where torch sees one.
        threads: of DALI's CPU operators and of the CPU decoder.
    """

    device: str = "auto"
    threads: int = 2

    def __post_init__(self) -> None:
        if self.sequence_length < 1 or self.step < 0:
            raise ConfigError(
                f"clips.sequence_length={self.sequence_length} must be above zero, clips.step={self.step} not below."
            )
        if self.device not in DEVICES:
            raise ConfigError(f"clips.device={self.device!r} is unknown; choose one of {', '.join(DEVICES)}.")
        if self.threads < 1:
            raise ConfigError(f"clips.threads={self.threads} must be above zero.")

    def build(self, videos: Sequence[Path], *, image_size: Size, seed: int) -> ClipSource:
        """The source; raises `ConfigError` where DALI or the GPU asked for is missing."""
        import torch

        try:
            from lp_data_dali.cpu import CpuClips
            from lp_data_dali.gpu import GpuClips
            from lp_data_dali.plans import Plans
        except ImportError as error:
            raise ConfigError(
                f"clips=dali needs NVIDIA DALI, which cannot be imported ({error}): "
                "run `pip install 'lp-data-dali[cuda130]'` (Linux; [cuda120] for CUDA 12) or choose clips=video."
            ) from error
        gpu = torch.cuda.is_available()
        if self.device == "gpu" and not gpu:
            raise ConfigError(
                "clips.device=gpu needs a CUDA device, which torch does not see: choose clips.device=cpu."
            )
        if self.device == "cpu" or not gpu:
            return CpuClips(Plans(videos, image_size, self, seed), self.threads)
        return GpuClips(Plans(videos, image_size, self, seed), self.threads, torch.cuda.current_device())
