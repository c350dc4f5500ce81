"""Which device there is to run on."""

import torch
from lp_core import ConfigError

ORDER = ("cuda", "mps", "cpu")


def present() -> tuple[str, ...]:
    """Kinds of device on this machine, best first."""
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return tuple(kind for kind in ORDER if found[kind])


def pick_device(name: str = "auto") -> torch.device:
    """The device called `name` (cpu, cuda, cuda:1, mps), or for auto the best present.

    Raises:
        ConfigError: no such device on this machine.
    """
    if name == "auto":
        return torch.device(present()[0])
    kind, _, number = name.partition(":")
    if kind not in ORDER or (number and not number.isdigit()):
        raise ConfigError(f"device={name!r} is not known; choose auto, cpu, cuda, cuda:N or mps.")
    if kind not in present():
        raise ConfigError(f"device={name!r} is not present on this machine; choose auto or {', '.join(present())}.")
    if kind == "cuda" and number and int(number) >= torch.cuda.device_count():
        raise ConfigError(
            f"device={name!r} is not present: there are {torch.cuda.device_count()} CUDA devices, from cuda:0."
        )
    return torch.device(name)
