"""Labeled videos: the same video and the same table, both sides held to the same cores."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import reference

REPEATS = 3  # of which the fastest counts: on a shared machine the others were disturbed
FRAMES_PER_CHECK = 10
THEIRS = """
import os; os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:{threads}]))
import sys, time, pandas as pd
from lightning_pose.utils.predictions import generate_labeled_video
video, table, out = sys.argv[1:]
frame = pd.read_csv(table, header=[0, 1, 2], index_col=0)
start = time.perf_counter(), sum(os.times()[:4])
generate_labeled_video(video, frame, out, 0.1, "cool")
print("RESULT", time.perf_counter() - start[0], sum(os.times()[:4]) - start[1])
"""
OURS = """
import os; os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:{threads}]))
import sys, time
from lp_viz import RenderOptions, render_video
video, table, out = sys.argv[1:]
start = time.perf_counter(), sum(os.times()[:4])
render_video(video, table, out, RenderOptions(min_confidence=0.1, encoder="{encoder}", threads={threads}, progress=False))
print("RESULT", time.perf_counter() - start[0], sum(os.times()[:4]) - start[1])
"""


def compare(table: Any, video: Path, threads: int, predictions: Path | None = None) -> None:
    """Frames/s, seconds of processor and size of the file."""
    if not hasattr(os, "sched_setaffinity"):
        print("rendering: left out, as this system cannot hold a process to some cores", flush=True)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        poses = predictions or walk(video, folder / "walk.csv")
        frames = len(poses.read_text().splitlines()) - 3
        runs = {"theirs": (reference.HOME / "bin/python", THEIRS.format(threads=threads))}
        runs |= {e: (Path(sys.executable), OURS.format(threads=threads, encoder=e)) for e in ("quick", "exact")}
        found = {
            who: fastest(python, code, video, poses, folder / f"{who}.mp4") for who, (python, code) in runs.items()
        }
    theirs = found["theirs"]
    for who in ("quick", "exact"):
        mine, what = found[who], f"labeled video, encoder={who}, {threads} core{'s' * (threads > 1)}"
        table.row(f"{what}, frames/s", frames / theirs["wall"], frames / mine["wall"])
        table.row(
            f"{what}, processor ms per frame", *(1000 * r["cpu"] / frames for r in (theirs, mine)), better="lower"
        )
        table.row(f"{what}, MB", theirs["mb"], mine["mb"], better="lower")
        table.row(f"{what}, PSNR of the grey where nothing is drawn, dB", theirs["psnr"], mine["psnr"])


def fastest(python: Path, code: str, video: Path, poses: Path, out: Path) -> dict[str, float]:
    """Wall and processor seconds of the fastest of some runs, and what the file is like."""
    times = []
    for _ in range(REPEATS):
        out.unlink(missing_ok=True)
        done = subprocess.run([python, "-c", code, video, poses, out], capture_output=True, text=True, check=False)
        lines = [line for line in done.stdout.replace("\r", "\n").splitlines() if "RESULT " in line]
        if not lines:
            sys.exit(f"rendering failed: {done.stderr[-2000:]}")
        times.append(tuple(map(float, lines[-1].split()[-2:])))
    wall, cpu = min(times)
    return {"wall": wall, "cpu": cpu, "mb": out.stat().st_size / 1e6, "psnr": psnr(video, out, poses)}


def psnr(video: Path, out: Path, poses: Path) -> float:
    """Of some frames, beyond 25 pixels of any keypoint and below the first 40 rows, where the reference writes the time."""
    import numpy as np
    from lp_io import VideoReader, read_predictions

    table, errors = read_predictions(poses), []
    with VideoReader(video) as source, VideoReader(out, source.size) as drawn:
        rows, columns = np.mgrid[: source.size[0], : source.size[1]]
        for number in range(0, min(source.frame_count, drawn.frame_count), FRAMES_PER_CHECK):
            free = rows >= 40
            for x, y in table.keypoints[number]:
                free &= np.hypot(columns - x, rows - y) > 25
            a, b = (reader.clip(number, 1)[0].mean(-1)[free] for reader in (source, drawn))
            errors.append(((a - b) ** 2).mean())
    return float(10 * np.log10(255**2 / np.mean(errors)))


def walk(video: Path, out: Path) -> Path:
    """Seventeen keypoints that walk about in the video, all but sure."""
    import numpy as np
    from lp_core import PoseTable
    from lp_io import VideoReader, write_predictions

    with VideoReader(video) as reader:
        (height, width), count = reader.size, reader.frame_count
    rng = np.random.default_rng(0)
    steps = rng.normal(0, 2, (count, 17, 2)).cumsum(0) + rng.uniform(0.2, 0.8, (17, 2)) * (width, height)
    size = np.array([width, height])
    inside = np.abs((steps + size) % (2 * size) - size)
    poses = PoseTable(
        keypoint_names=tuple(f"k{n}" for n in range(17)),
        index=tuple(range(count)),
        keypoints=inside,
        confidence=rng.uniform(0.9, 1.0, (count, 17)),
    )
    write_predictions(out, poses)
    return out


if __name__ == "__main__":
    from bench.__main__ import Table

    given, *poses = sys.argv[2:]
    compare(shown := Table(), Path(given), int(sys.argv[1]), Path(poses[0]) if poses else None)
    print(json.dumps(shown.rows))
