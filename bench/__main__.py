"""The table: what was measured, the reference, ours, the ratio.

python -m bench [--parts targets decode rendering training unlabeled prediction deeplabcut] [--backbones resnet18 resnet50]
                [--threads 2] [--out FILE]
--parts reaching, which takes an hour, is not among those that are run if none is named: see `bench.reaching`.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench import beside_deeplabcut, one_thread, reference, rendering

DATA = Path(os.environ.get("LP_TEST_DATA", Path(__file__).parents[1] / "../shared/data")).resolve() / "mirror-mouse"
THEIR_DECODE = """
import time, torch, statistics
from lightning_pose.models.heads.heatmap import run_subpixelmaxima
torch.set_num_threads({threads})
maps = torch.rand(96, 17, 64, 64); maps = maps / maps.sum((-1, -2), keepdim=True)
times = []
with torch.inference_mode():
    for _ in range(4):
        start = time.perf_counter(); run_subpixelmaxima(maps, 2, torch.tensor(1000.0)); times.append(time.perf_counter() - start)
print(1000 * statistics.median(times[1:]) / 96)
"""


def ours(verb: str, *arguments: object, threads: int) -> dict[str, Any]:
    """One verb of `bench.ours` in a fresh process."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "bench.ours", verb, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        sys.exit(f"bench.ours {verb} failed: {done.stderr[-2000:]}")
    return json.loads(lines[-1].removeprefix("RESULT "))


class Table:
    """Prints rows as they come, and keeps them."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        print(f"{'':<86}{'reference':>12}{'ours':>12}{'ratio':>9}", flush=True)

    def row(self, name: str, theirs: float | None, mine: float, *, better: str = "higher") -> None:
        ratio = None if theirs is None else mine / theirs if better == "higher" else theirs / mine
        self.rows.append({"name": name, "reference": theirs, "ours": mine, "ratio": ratio})
        left = "" if theirs is None else f"{theirs:.2f}"
        right = "" if ratio is None else f"{ratio:.2f}×"
        print(f"{name:<86}{left:>12}{mine:>12.2f}{right:>9}", flush=True)


def training(table: Table, backbone: str, threads: int) -> None:
    """Images/s, supervised, 256 × 256, batch 16, `dlc` augmentation."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["steps", "--data", str(DATA), "--backbone", backbone, "--workers", "2", "--out", f"{folder}/steps"]
        theirs = reference.run(*words, threads=threads)["images_per_s"]
    for precision in ("float32", "bfloat16"):
        mine = ours("training", DATA, backbone, precision, threads, threads=threads)["images_per_s"]
        table.row(f"training, {backbone}, {precision}, images/s", theirs, mine)


def unlabeled(table: Table, backbone: str, threads: int) -> None:
    """Seconds per step of 16 labeled images and a clip of 16 frames, with the temporal and the multi-view loss."""
    losses = ["temporal", "pca_multiview"]
    with tempfile.TemporaryDirectory() as folder:
        words = [
            "steps",
            "--data",
            str(DATA),
            "--backbone",
            backbone,
            "--workers",
            "2",
            "--clip",
            "16",
            "--epochs",
            "2",
        ]
        theirs = reference.run(*words, "--losses", *losses, "--out", f"{folder}/steps", threads=threads)["step_s"]
    for precision in ("float32", "bfloat16"):
        mine = ours("training", DATA, backbone, precision, threads, ",".join(losses), threads=threads)["step_s"]
        table.row(f"step with unlabeled video, {backbone}, {precision}, s", theirs, mine, better="lower")


RUNTIMES = (
    ("torch", "float32"), ("openvino", "float32"), ("torch", "bfloat16"), ("openvino", "bfloat16"), ("openvino", "int8"),
    *[("mnn", "float32")] * bool(find_spec("MNN")),
)  # fmt: skip


def prediction(table: Table, backbone: str, threads: int, folder: Path, videos: dict[str, Path]) -> None:
    """Frames/s of videos, from the file to the CSV; weights are those of one epoch, which changes no speed.

    First with the reference's own weights and decoder on both sides, then our network with our decoder.
    """
    theirs, mine = folder / f"theirs_{backbone}", folder / f"ours_{backbone}"
    common = ["--data", str(DATA), "--backbone", backbone, "--epochs", "1"]
    reference.run("train", *common, "--out", str(theirs), threads=threads)
    words = [f"data.root={DATA}", f"out={mine}", f"backbone={backbone}", "backbone.pretrained=false", "data.image_size=[256,256]",
             "training.max_epochs=1", "evaluation.predict_videos=false"]  # fmt: skip
    subprocess.run([Path(sys.executable).with_name("lpose"), "train", *words], check=True, capture_output=True)
    for name, video in videos.items():
        words = ["predict", "--run", str(theirs), "--video", str(video), "--out", str(folder / "v")]
        baseline = reference.run(*words, threads=threads)["fps"]
        for runtime, precision in RUNTIMES:
            both = (("same weights and decoder", theirs), ("ours", mine))
            only_ours = precision == "int8" or runtime == "mnn"  # MNN refuses the reference's: it rounds too much
            for whose, run in both[only_ours:]:
                found = ours("prediction", run, video, runtime, precision, threads, threads=threads)
                table.row(f"{name}, {backbone}, {runtime} {precision}, {whose}, frames/s", baseline, found["fps"])
        for runtime, precision in (pair for pair in RUNTIMES if pair[0] == "openvino"):
            found = ours("stages", mine, video, runtime, precision, threads, threads=threads)
            each = f"decode {found['decode']:.0f}, network {found['network']:.0f}, whole {found['whole']:.0f} frames/s"
            print(f"  {name}, {runtime} {precision}: {each} = {found['of_floor']:.0%} of the slower one", flush=True)


def memory(table: Table, run: Path, threads: int, folder: Path) -> None:
    """Peak memory of a video and of one ten times as long."""
    video, long = DATA / "videos/test_vid.mp4", folder / "long.mp4"
    ours("longer", video, long, 10, threads=threads)
    words = ("torch", "bfloat16", threads)
    peaks = [ours("prediction", run, v, *words, threads=threads)["peak_mb"] for v in (video, long)]
    table.row("peak memory of prediction, MB (10× longer / 1×)", peaks[0], peaks[1], better="lower")


PARTS = ("targets", "decode", "rendering", "training", "unlabeled", "prediction", "deeplabcut")
LONG = ("reaching",)  # only when it is asked for


def small(table: Table, threads: int) -> None:
    """What needs no network."""
    theirs = reference.seconds_of_code(THEIR_DECODE.format(threads=threads), threads)
    mine = ours("decode", threads, threads=threads)["ms"]
    table.row("decode (heatmap → keypoint), ms per frame", theirs, mine, better="lower")
    table.row("start-up of --help, s", None, ours("start_up", threads=threads)["s"], better="lower")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="*", choices=PARTS + LONG, default=PARTS)
    parser.add_argument("--backbones", nargs="*", default=["resnet18", "resnet50"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    a = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, {a.threads} threads, load {load:.1f} at the start")
    table = Table()
    if "targets" in a.parts:
        print("baseline: a plain loop over frames, animals and keypoints; one thread, processor time")
        one_thread.compare(table)
    if "reaching" in a.parts:
        out = f"{a.out}.reaching" if a.out else "outputs/reaching"
        subprocess.run([sys.executable, "-m", "bench.reaching", "--threads", str(a.threads), "--out", out], check=True)
    if set(a.parts) - {"targets", *LONG}:
        reference.ready()
        print("baseline: Lightning Pose 2.4.3 from its published wheel")
    if "decode" in a.parts:
        small(table, a.threads)
    if "rendering" in a.parts:
        rendering.compare(table, DATA / "videos/test_vid.mp4", a.threads)
    if set(a.parts) & {"training", "unlabeled", "prediction"}:
        networks(table, a)
    if a.out:
        a.out.write_text(json.dumps(table.rows, indent=1))


def deeplabcut(table: Table, threads: int) -> None:
    """Videos, beside DeepLabCut, where it is installed."""
    if "DLC_REFERENCE_VENV" not in os.environ:
        print("DeepLabCut left out: DLC_REFERENCE_VENV names no environment that has it")
        return
    print("baseline: DeepLabCut's video_inference, batches of 16, its frames decoded and resized by OpenCV")
    with tempfile.TemporaryDirectory() as name:
        large = Path(name) / "large.mp4"
        ours("large_video", large, beside_deeplabcut.FRAMES, threads=threads)
        videos = {"mirror-mouse": DATA / "videos/test_vid.mp4", "1280×1024": large}
        beside_deeplabcut.compare(table, ours, videos, threads, Path(name))


def networks(table: Table, a: argparse.Namespace) -> None:
    """What needs a network, backbone by backbone."""
    with tempfile.TemporaryDirectory() as name:
        large = Path(name) / "large.mp4"
        ours("large_video", large, 60 * 30, threads=a.threads)
        videos = {"mirror-mouse": DATA / "videos/test_vid.mp4", "1280×1024": large}
        for backbone in a.backbones:
            if "training" in a.parts:
                training(table, backbone, a.threads)
            if "unlabeled" in a.parts:
                unlabeled(table, backbone, a.threads)
            if "prediction" in a.parts:
                prediction(table, backbone, a.threads, Path(name), videos)
        if "prediction" in a.parts:
            memory(table, Path(name) / f"ours_{a.backbones[0]}", a.threads, Path(name))


if __name__ == "__main__":
    main()
