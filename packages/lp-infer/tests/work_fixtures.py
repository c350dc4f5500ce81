"""Videos for many workers, and what one process makes of them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from lp_infer import many, predict_video
from lp_infer.chunks import ChunkLog
from lp_io import VideoWriter
from work_models import LENGTHS, OPTIONS, extremes


@pytest.fixture
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two records at a time, and workers that find what lies beside the tests."""
    monkeypatch.setattr(many, "CHUNKS", {True: 2, False: 4})
    monkeypatch.setattr(many, "LOOK", 0.1)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory, paint: Callable) -> list[Path]:
    """Small ones; `LENGTHS` are theirs."""
    folder = tmp_path_factory.mktemp("many")
    for n, length in enumerate(LENGTHS):
        with VideoWriter(folder / f"v{n}.mp4", 25.0, (48, 64)) as writer:
            for t in range(length):
                writer.write(paint([(10 + (t + n) % 40, 20), (50 - t % 30, 30 + n)], (48, 64)))
    return [folder / f"v{n}.mp4" for n in range(len(LENGTHS))]


@pytest.fixture(scope="session")
def whole(videos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the tables that one process writes, without any of what is tested."""
    folder = tmp_path_factory.mktemp("whole")
    for video in videos:
        predict_video(extremes(), video, folder / f"{video.stem}.csv", OPTIONS)
    return folder


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Folder for what a network notes and obeys."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "frames").touch()
    return tmp_path / "notes"


@pytest.fixture
def logs_kept(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], int]:
    """Logs stay when tables are written; gives the frames that all logs under a folder have."""
    monkeypatch.setattr(ChunkLog, "remove", lambda self: None)
    return lambda folder: sum(map(frames_of, folder.glob("*.parts/*.log")))


def frames_of(log: Path) -> int:
    """By the size of its records of two keypoints."""
    records = log.stat().st_size // (24 + 256 * 48)
    rest = log.stat().st_size - records * (24 + 256 * 48)
    return records * 256 + max(0, rest - 24) // 48
