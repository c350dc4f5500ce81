"""Our side of every comparison; run as `python -m bench.ours VERB …` in a process of its own."""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

SUPERVISED_STEPS = 6  # those of the first epoch, in which losses without labels have no weight yet


def training(data: str, backbone: str, precision: str, threads: int, losses: str = "") -> dict[str, Any]:
    """Seconds per step of 16 images (and a clip of 16 frames for `losses`), everything included; nothing frozen."""
    import pytorch_lightning as pl
    import torch
    from lp_train import compose, fit, train

    torch.set_num_threads(threads)
    times: list[float] = []

    class Clock(pl.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            times.append(time.perf_counter())

    callbacks = fit._callbacks
    fit._callbacks = lambda *a: [*callbacks(*a), Clock()]
    with tempfile.TemporaryDirectory() as folder:
        words = [
            f"data.root={data}", f"out={folder}/run", f"backbone={backbone}", "backbone.pretrained=false",
            "data.image_size=[256,256]", "data.split.seed=42", "training.max_epochs=3", f"training.precision={precision}",
            "training.accelerator=cpu", f"training.steps_per_epoch={SUPERVISED_STEPS}", f"losses=[{losses}]",
            "training.anneal.freeze_until_epoch=0", "clips.sequence_length=16",
        ]  # fmt: skip
        train(compose(words), say=lambda *_: None)
    cycle = statistics.median(b - a for a, b in pairwise(times[SUPERVISED_STEPS if losses else 2 :]))
    return {"images_per_s": 16 / cycle, "step_s": cycle}


def prediction(run: str, video: str, runtime: str, precision: str, threads: int) -> dict[str, Any]:
    """Frames/s of the whole command after loading: decode, network, keypoints, CSV. A run of the reference is one too."""
    import torch
    from lp_infer import PredictOptions, predict_video

    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        model = _network(run, video, precision, folder)
        options = PredictOptions(runtime=runtime, precision=_asked(precision), device="cpu", threads=threads)
        report = predict_video(model, Path(video), Path(folder) / "out.csv", options)
    return {"fps": report.frames_per_second, "frames": report.frames, "peak_mb": _peak()}


def stages(run: str, video: str, runtime: str, precision: str, threads: int) -> dict[str, Any]:
    """Frames/s of decoding alone, of the network alone and of the whole, and what of the slower one is reached."""
    from dataclasses import asdict

    import torch
    from lp_infer import PredictOptions, Runner
    from lp_infer.speed import measure

    torch.set_num_threads(threads)
    options = PredictOptions(runtime=runtime, precision=_asked(precision), device="cpu", threads=threads)
    with tempfile.TemporaryDirectory() as folder:
        speed = measure(Runner.of(_network(run, video, precision, folder), options), Path(video), 5.0)
    return asdict(speed) | {"of_floor": speed.of_floor}


def _network(run: str, video: str, precision: str, folder: str) -> Any:
    """The network of a run; for int8 a file, whatever its error: weights of one epoch say nothing of it."""
    from lp_infer.export import ExportOptions, export
    from lp_io import VideoReader
    from lp_train import load_model

    model = load_model(run)
    if precision != "int8":
        return model
    with VideoReader(video, model.image_size) as reader:
        frames = reader.clip(0, min(64, reader.frame_count))
    export(model, f"{folder}/int8.onnx", frames, ExportOptions(precision="int8", limit=1e6))
    return f"{folder}/int8.onnx"


def _asked(precision: str) -> str:
    return "auto" if precision == "int8" else precision  # the file has it


def as_deeplabcut(
    run: str, video: str, size: int, frames: int, runtime: str, precision: str, threads: int
) -> dict[str, Any]:
    """Frames/s and processor time of the first frames, with a model of DeepLabCut whose configuration resizes."""
    from lp_infer import PredictOptions, Runner
    from lp_infer.chunks import ChunkLog
    from lp_infer.video import about, open_video, predict_spans, write_table

    options = PredictOptions(runtime=runtime, precision=precision, device="cpu", threads=threads)
    runner = Runner.of(_resizing(run, size, threads), options)
    with open_video(runner, video) as reader:
        runner.runtime.start(reader.clip(0, runner.batch_size))[0]()
    with tempfile.TemporaryDirectory() as folder:
        busy, start = time.process_time(), time.perf_counter()
        with open_video(runner, video) as reader:
            log = ChunkLog(Path(folder) / "v.csv", about(runner, reader), len(runner.keypoint_names))
            predict_spans(runner, reader, log, [range(frames)])
            write_table(log, runner)
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
    return {"fps": frames / seconds, "ms": 1000 * busy / frames}


def frames_as_deeplabcut(run: str, video: str, size: int, count: int, file: str) -> dict[str, Any]:
    """The first frames of a video → `file`; their keypoints in its pixels → FILE.ours.npy."""
    import numpy as np
    from lp_infer import PredictOptions, Runner
    from lp_io import VideoReader

    with VideoReader(video, (size, size)) as reader:
        frames = reader.clip(0, count)
    np.save(file, frames)
    points, sure = Runner.of(_resizing(run, size, 1), PredictOptions(runtime="torch", device="cpu")).stills(frames)
    np.save(f"{file}.ours.npy", np.concatenate([points, sure[..., None]], axis=-1))
    return {"frames": count}


def _resizing(run: str, size: int, threads: int) -> Any:
    """DeepLabCut's network for frames of one size: its `resize`, whose pixels are counted from the corner."""
    import torch
    from lp_train import load_model

    torch.set_num_threads(threads)
    model: Any = load_model(run)
    model.any_size, model.corner_pixels, model.image_size = False, True, (size, size)
    return model


def large_video(out: str, frames: int) -> dict[str, Any]:
    """A video of 1280 × 1024 pixels, H.264, 30 frames/s: a moving texture with noise, which does not decode for nothing."""
    import numpy as np
    from lp_io import VideoWriter

    rng = np.random.default_rng(0)
    wide = rng.integers(0, 200, (1024 // 8, 4096 // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    with VideoWriter(Path(out), 30.0, (1024, 1280)) as writer:
        for t in range(frames):
            shift = 2 * t % (4096 - 1280)
            noise = rng.integers(0, 16, (1024, 1280, 1), dtype=np.uint8)
            writer.write(wide[:, shift : shift + 1280] + noise)
    return {"frames": frames}


def decode(threads: int) -> dict[str, Any]:
    """Milliseconds per frame of heatmaps (17 keypoints, 64 × 64) → keypoints."""
    import torch
    from lp_core import predictors

    torch.set_num_threads(threads)
    maps = torch.rand(96, 17, 64, 64)
    maps = maps / maps.sum((-1, -2), keepdim=True)
    decoder = predictors.make("soft_argmax").build(image_size=(256, 256), stride=4)
    with torch.inference_mode():
        return {"ms": _median_ms(lambda: decoder({"heatmaps_pred": maps})) / 96}


def start_up() -> dict[str, Any]:
    """Seconds of `lpose --help`."""
    command = [str(Path(sys.executable).with_name("lpose")), "--help"]
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return {"s": statistics.median(times)}


def longer(video: str, out: str, times: int) -> dict[str, Any]:
    """The video `times` times over, packets copied."""
    import av

    with av.open(video) as source, av.open(out, "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        offset = 0
        for _ in range(times):
            source.seek(0)
            last = 0
            for packet in source.demux(video=0):
                if packet.dts is None:
                    continue
                last = max(last, packet.pts + packet.duration)
                packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                packet.stream = stream
                target.mux(packet)
            offset += last
    return {"out": out}


def _median_ms(function: Any) -> float:
    times = []
    for _ in range(7):
        start = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[1:])


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    verb, *arguments = sys.argv[1:]
    kinds = [int(a) if a.isdigit() else a for a in arguments]
    print("RESULT " + json.dumps(globals()[verb](*kinds)))
