"""How to predict, and what came of it. No torch."""

from dataclasses import dataclass
from pathlib import Path

from lp_core import ConfigError

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


@dataclass(slots=True, kw_only=True)
class PredictOptions:
    """How a network is run.

    Attributes:
        batch_size: frames per call; None = 16 on a CPU, 64 on an accelerator.
        precision: of convolutions and matrix products: float32, bfloat16 or float16; auto = float32.
        device: cpu, cuda, cuda:1, mps, or auto for the best present.
        threads: CPU threads of the network; None = torch's own choice.
        queue: batches decoded ahead of the network; memory grows with it and with nothing else.
        optimize: fuse convolutions with the normalisation behind them; changes results by rounding only.
        compile: torch.compile the network; the first batch takes 10 to 80 s longer and a C++ compiler is needed.
        overwrite: replace a prediction file that exists; an error if false.
        progress: report on stderr; None = only if that is a terminal.
    """

    batch_size: int | None = None
    precision: str = "auto"
    device: str = "auto"
    threads: int | None = None
    queue: int = 2
    optimize: bool = True
    compile: bool = False
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictReport:
    """What a prediction did.

    Attributes:
        out: the file written.
        frames: rows in it.
        seconds: wall clock from opening the video to the finished file.
        broken: numbers of the frames that could not be decoded; their rows are empty.
        problems: what is unusual about the video, one sentence each.
        device, precision, batch_size: what the network ran with.
    """

    out: Path
    frames: int
    seconds: float
    broken: tuple[int, ...]
    problems: tuple[str, ...]
    device: str
    precision: str
    batch_size: int

    @property
    def frames_per_second(self) -> float:
        """Speed over the whole run, decoding and writing included."""
        return self.frames / self.seconds if self.seconds else 0.0
