"""Which runtime runs a network: the one that is named, or the fastest that is installed. No torch."""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from lp_core import ConfigError, LpError, Runtime, RuntimeConfig, runtimes

from lp_infer.options import PredictOptions

TRIALS, ENOUGH = 3, 2.0  # timed calls of each runtime; seconds after which one is enough
WORTH = 5000  # frames from which translating a network for other runtimes, some ten seconds, pays


def open_runtime(model: Any, options: PredictOptions, frames: float = math.inf) -> Runtime:
    """Make `model` ready on the runtime that `options` name.

    Args:
        model: a `PoseModel` that is a torch module, or the path of an exported file.
        frames: that will come, about; for few of them `runtime=auto` is torch, which is ready at once.

    Raises:
        ConfigError: the runtime is not installed, or cannot run this network.
    """
    if options.runtime != "auto":
        config = _config(options.runtime, options)
        if command := config.missing():
            raise ConfigError(f"runtime={options.runtime} is not installed; {command}")
        return config.build(model)
    if options.runtime_options:
        key = next(iter(options.runtime_options))
        raise ConfigError(f"runtime.{key} is an option of one runtime; name it too, as in runtime=onnx.")
    if frames < WORTH and not isinstance(model, str | Path) and not _config("torch", options).missing():
        return _config("torch", options).build(model)
    return fastest(model, options)


def fastest(model: Any, options: PredictOptions) -> Runtime:
    """The installed runtime that answers soonest on this machine.

    Raises:
        ConfigError: none can run this network.
    """
    best: tuple[float, Runtime] | None = None
    reasons: dict[str, str] = {}
    for name in runtimes:
        try:
            config = _config(name, options)
            if config.missing() or (isinstance(model, str | Path) and name == "torch"):
                continue
            runtime = config.build(model)
            seconds = seconds_per_frame(runtime)
        except LpError as e:
            reasons[str(e)] = f"{name}: {e}"
            continue
        if best is None or seconds < best[0]:
            best = seconds, runtime
    if best is None:
        if len(reasons) == 1:  # whatever the runtime: the file is at fault
            raise ConfigError(next(iter(reasons)))
        raise ConfigError(" ".join(reasons.values()) or "No runtime is installed; pip install 'lp-infer[onnx]'.")
    return best[1]


def seconds_per_frame(runtime: Runtime) -> float:
    """Of the fastest of a few calls with whole batches of noise."""
    shape = (runtime.batch_size, *runtime.image_size, 3)
    frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    runtime.start(frames)[0]()
    best, began = float("inf"), time.perf_counter()
    for _ in range(TRIALS):
        start = time.perf_counter()
        runtime.start(frames)[0]()
        best = min(best, time.perf_counter() - start)
        if time.perf_counter() - began > ENOUGH:
            break
    return best / len(frames)


def _config(name: str, options: PredictOptions) -> RuntimeConfig:
    return runtimes.make(
        name,
        batch_size=options.batch_size or 0,
        precision=options.precision,
        device=options.device,
        threads=options.threads or 0,
        **(dict(options.runtime_options) if options.runtime != "auto" else {}),
    )
