"""Predicting videos: ours beside DeepLabCut's `video_inference`, same weights, same size of input."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

NETS = ("resnet_18", "resnet_50")
SIZE, FRAMES, SAME = 256, 192, 16  # pixels; frames of a video, and of it those that both get as the same array
RUNTIMES = (("torch", "float32"), ("openvino", "float32"), ("torch", "bfloat16"), ("openvino", "bfloat16"))
SURE = 0.1  # score from which keypoints are compared

Verb = Callable[..., dict[str, Any]]


def compare(table: Any, ours: Verb, videos: dict[str, Path], threads: int, folder: Path) -> None:
    """Frames/s from the file to the keypoints, and how far these are apart; random weights, which change no speed.

    Args:
        ours: runs a verb of `bench.ours`.
    """
    for net in NETS:
        run = folder / net
        theirs("make", run, net, SIZE, threads=threads)
        for name, video in videos.items():
            baseline = theirs("video", run, video, FRAMES, threads=threads)
            for runtime, precision in RUNTIMES:
                mine = ours("as_deeplabcut", run, video, SIZE, FRAMES, runtime, precision, threads, threads=threads)
                title = f"{name}, first {FRAMES} frames, {net}, {runtime} {precision}"
                table.row(f"{title}, frames/s", baseline["fps"], mine["fps"])
                table.row(f"{title}, processor ms/frame", baseline["ms"], mine["ms"], better="lower")
            print(f"  keypoints of the same {SAME} arrays, in float32: {_same(ours, run, video, threads)}", flush=True)


def theirs(verb: str, *words: object, threads: int) -> dict[str, Any]:
    """One verb of `bench.deeplabcut_video`, by the Python of `DLC_REFERENCE_VENV`."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [f"{os.environ['DLC_REFERENCE_VENV']}/bin/python", "-m", "bench.deeplabcut_video", verb, *map(str, words)]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        raise SystemExit(f"DeepLabCut failed: {done.stderr[-2000:]}")
    return json.loads(lines[-1].removeprefix("RESULT "))


def _same(ours: Verb, run: Path, video: Path, threads: int) -> str:
    file = run / "frames.npy"
    ours("frames_as_deeplabcut", run, video, SIZE, SAME, file, threads=threads)
    theirs("frames", run, file, threads=threads)
    return distances(np.load(f"{file}.found.npy"), np.load(f"{file}.ours.npy"))


def distances(first: np.ndarray, second: np.ndarray) -> str:
    """Of keypoints (frames, keypoints, [x, y, score]) in pixels of the same frame, those that the first is sure of."""
    apart = np.linalg.norm(first[..., :2] - second[..., :2], axis=-1)[first[..., 2] >= SURE]
    middle, most = np.median(apart), apart.max()
    return f"median distance {middle:.2g} px, {np.mean(apart < 0.05):.1%} within 0.05 px, largest {most:.2g} px"
