"""Networks that workers of other processes can load: beside the tests, whose folder is on their path."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from lp_infer import PredictOptions

LENGTHS = (1400, 600, 300)  # frames: 6, 3 and 2 records
OPTIONS = PredictOptions(batch_size=8, device="cpu", threads=1)


class Extremes:
    """A runtime without torch, so that workers are there soon: the brightest and the darkest pixel of a frame.

    Args:
        notes: a folder: `frames` gets a line per call; by `kill`, the number of a call, the process that makes it kills
            itself, once; by `always`, every process at its first call.
        seconds: that a frame takes.
    """

    name, keypoint_names, model_type = "torch", ("bright", "dark"), "heatmap"
    image_size, context, batch_size = (48, 64), 0, 8
    device, precision, fingerprint = "cpu", "float32", "extremes"

    def __init__(self, notes: Path | None, seconds: float) -> None:
        self.notes, self.seconds = notes, seconds

    def start(self, frames: np.ndarray, state: Any = None) -> tuple[Callable[[], tuple[np.ndarray, np.ndarray]], Any]:
        if self.notes:
            obey(self.notes, len(frames))
        time.sleep(self.seconds * len(frames))
        grey = frames.mean(-1).reshape(len(frames), -1)
        rows, columns = np.divmod(np.stack([grey.argmax(1), grey.argmin(1)], 1), frames.shape[2])
        sure = np.stack([grey.max(1) / 256, 1 - grey.min(1) / 256], 1)
        return partial(tuple, (np.stack([columns, rows], -1) + grey.mean(1)[:, None, None] / 7, sure)), None


def obey(notes: Path, count: int) -> None:
    with (notes / "frames").open("a") as file:
        file.write(f"{os.getpid()} {count}\n")
    if (notes / "always").exists() or ((notes / "kill").exists() and now(notes)):
        os.kill(os.getpid(), signal.SIGKILL)


def now(notes: Path) -> bool:
    """Whether as many calls have been noted as `kill` says; true for one process only."""
    try:
        if len((notes / "frames").read_text().splitlines()) < int((notes / "kill").read_text()):
            return False
        (notes / "kill").rename(notes / "killed")
    except FileNotFoundError:  # another process was faster
        return False
    return True


def frames(notes: Path) -> list[tuple[int, int]]:
    """(process, frames) of each call."""
    lines = (notes / "frames").read_text().splitlines()
    return [(int(pid), int(count)) for pid, count in map(str.split, lines)]


def extremes(notes: str = "", seconds: float = 0.0) -> Extremes:
    return Extremes(Path(notes) if notes else None, seconds)


def blobs() -> Any:
    """The torch network that finds blobs."""
    return beside("conftest").BlobFinder().eval()


def averager() -> Any:
    """A torch network that looks two frames around."""
    import torch

    torch.manual_seed(0)
    return beside("test_context").Averager(2).eval()


def beside(name: str) -> ModuleType:
    """The module of that name beside this one; other folders of tests have a conftest too."""
    spec = spec_from_file_location(f"{__name__}_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tables(videos: list[Path], folder: Path) -> dict[Path, Path]:
    """Where their tables go."""
    return {video: folder / f"{video.stem}.csv" for video in videos}


def same(videos: list[Path], folder: Path, whole: Path) -> bool:
    """Whether the tables in both folders are the same to the byte."""
    return all((folder / f"{v.stem}.csv").read_bytes() == (whole / f"{v.stem}.csv").read_bytes() for v in videos)
