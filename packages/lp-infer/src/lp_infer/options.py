"""How to predict, and what came of it. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lp_core import ConfigError

PRECISIONS = ("auto", "float32", "bfloat16", "float16", "int8")


@dataclass(slots=True, kw_only=True)
class PredictOptions:
    """How a network is run.

    Attributes:
        runtime: name in `lp.runtimes`; auto = the fastest of those installed, found by trying them.
        runtime_options: further options of that runtime.
        batch_size: frames per call; None = what suits the network and the device.
        precision: of convolutions and matrix products: float32, bfloat16, float16 or int8; auto = float32.
        device: cpu, cuda, cuda:1, mps, or auto for the best present.
        threads: CPU threads of the network; None = the runtime's own choice.
        queue: batches decoded ahead of the network; memory grows with it and with nothing else.
        overwrite: replace a prediction file that exists; an error if false.
        progress: report on stderr; None = only if that is a terminal.
    """

    runtime: str = "torch"
    runtime_options: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int | None = None
    precision: str = "auto"
    device: str = "auto"
    threads: int | None = None
    queue: int = 2
    overwrite: bool = True
    progress: bool | None = None

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ConfigError(
                f"precision={self.precision!r} is not one of {', '.join(PRECISIONS)}; choose one of these."
            )
        for key in ("batch_size", "threads", "queue"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise ConfigError(f"{key}={value} must be at least 1; give a positive number.")


def usual(model: Any) -> PredictOptions:
    """The options where none are given: of an exported file, which torch does not run, runtime=auto."""
    return PredictOptions(runtime="auto") if isinstance(model, str | Path) else PredictOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictReport:
    """What a prediction did.

    Attributes:
        out: the file written.
        frames: rows in it.
        seconds: wall clock from opening the video to the finished file.
        kept: rows of it that an earlier, interrupted prediction had made.
        broken: numbers of the frames that could not be decoded; their rows are empty.
        problems: what is unusual about the video, one sentence each.
        runtime, device, precision, batch_size: what the network ran with.
        waited: seconds that the network waited for frames.
    """

    out: Path
    frames: int
    seconds: float
    kept: int
    broken: tuple[int, ...]
    problems: tuple[str, ...]
    runtime: str
    device: str
    precision: str
    batch_size: int
    waited: float

    @property
    def frames_per_second(self) -> float:
        """Speed over the whole run, decoding and writing included; what was kept does not count."""
        return (self.frames - self.kept) / self.seconds if self.seconds else 0.0
