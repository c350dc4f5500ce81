"""lpose doctor

What this machine has: versions, the device that training and prediction would take, what decodes video, runtimes, parts that are
broken, and which optional extras are not installed, with the command that installs each.
"""

import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distributions, requires, version
from importlib.util import find_spec

from lp_core import REGISTRIES, ConfigError, runtimes
from packaging.requirements import Requirement

Lines = Iterator[tuple[str, str]]
LIBRARIES = ("torch", "pytorch-lightning", "hydra-core", "timm", "torchvision", "numpy", "av", "opencv-python-headless")
DECODERS = ("h264", "hevc", "av1", "vp9", "mpeg4", "mjpeg")


def run(words: list[str]) -> None:
    """Print it, a line per finding."""
    if words:
        raise ConfigError(f"lpose doctor takes no options, not {words[0]!r}.")
    for title, lines in (
        ("versions", versions()), ("devices", devices()), ("video", video()), ("runtimes", installed_runtimes()),
        ("parts", parts()), ("extras", extras()),
    ):  # fmt: skip
        print(title)
        for name, text in lines:
            print(f"  {name:<24}{text}")


def ours() -> list[str]:
    """Names of our installed distributions."""
    names = {d.metadata["Name"] for d in distributions()}
    return sorted(name for name in names if name.startswith("lp-"))


def versions() -> Lines:
    """Python, ours, and what we stand on."""
    yield "python", f"{platform.python_version()} on {platform.system()} {platform.machine()} ({sys.prefix})"
    by_version: dict[str, list[str]] = {}
    for name in ours():
        by_version.setdefault(version(name), []).append(name)
    for number, names in by_version.items():
        yield number, ", ".join(names)
    for name in LIBRARIES:
        yield name, _version(name) or "not installed"


def devices() -> Lines:
    """What `auto` takes, and what else is there."""
    from lp_train.config import TrainingConfig
    from lp_train.device import describe

    yield "auto", describe(TrainingConfig())[2]
    yield "cpu", f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores to use"
    import torch

    for number in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(number).total_memory / 2**30
        yield f"cuda:{number}", f"{torch.cuda.get_device_name(number)}, {memory:.0f} GiB"
    if not torch.cuda.is_available():
        reason = "this torch was built without CUDA" if torch.version.cuda is None else "no NVIDIA driver answers"
        yield "cuda", f"none ({reason})"


def video() -> Lines:
    """What can be read and written."""
    import av

    have = av.codec.codecs_available
    yield "decoders", ", ".join(f"{name}{'' if name in have else ' MISSING'}" for name in DECODERS)
    hardware = sorted(
        name for name in have if name.startswith(("h264_", "hevc_")) and not name.endswith(("_v4l2m2m", "_cuvid"))
    )
    yield "hardware encoders", f"{', '.join(hardware)} (each needs its device)" if hardware else "none"


def installed_runtimes() -> Lines:
    """Each runtime with its devices, or how to install it."""
    for name in runtimes:
        command = runtimes[name]().missing()
        yield name, f"not installed: {command}" if command else _devices_of(name)


def parts() -> Lines:
    """How many there are; broken ones one by one."""
    found = [part for registry in REGISTRIES for part in registry.parts()]
    broken = [part for part in found if part.problem]
    yield "healthy", f"{len(found) - len(broken)} of {len(found)} (lpose plugins lists them)"
    for part in broken:
        yield f"BROKEN {part.name}", part.problem


def extras() -> Lines:
    """Optional features of our packages that lack something."""
    for distribution in ours():
        missing: dict[str, list[str]] = {}
        for requirement in map(Requirement, requires(distribution) or []):
            for extra in _extras_of(requirement):
                if not _version(requirement.name):
                    missing.setdefault(extra, []).append(requirement.name)
        for extra, names in missing.items():
            yield f"{distribution}[{extra}]", f"lacks {', '.join(names)}: pip install '{distribution}[{extra}]'"


def _extras_of(requirement: Requirement) -> list[str]:
    marker = requirement.marker
    if marker is None or marker.evaluate({"extra": ""}):
        return []
    return [name for name in re.findall(r'extra == "([^"]+)"', str(marker)) if marker.evaluate({"extra": name})]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _devices_of(name: str) -> str:
    if name == "onnx" and find_spec("onnxruntime"):
        import onnxruntime

        return f"{version('onnxruntime')}: {', '.join(onnxruntime.get_available_providers())}"
    if name == "openvino":
        import openvino

        return f"{version('openvino')}: {', '.join(openvino.Core().available_devices)}"
    return _version(name) or "installed"
