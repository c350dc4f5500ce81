"""lpose export run=RUN out=FILE.onnx [key=value …]

Writes the trained network as one file that says of itself what it is, with everything inside: uint8 frames in, keypoints
and confidence out. lpose predict run=FILE.onnx and python -m lp_infer FILE.onnx VIDEO OUT.csv run it, both without torch.
The file is run on real frames first, and is not written if its keypoints differ from those of the trained network.

  runtime=onnx           layout of the file; ONNX Runtime and OpenVINO both run it
  precision=float32      or int8: several times faster on many CPUs, a quarter of the size, less exact
  frames=0               real frames to compare (and for int8 to measure ranges on); 0 chooses
  source=VIDEO           where they come from; the labeled frames of the run, those not trained on first, if not given.
                         A network that takes frames as large as they are is exported for frames of this size
  limit=0                input pixels that keypoints may differ by: at most in float32 (0 = 0.05), on average in int8 (0.5)
  checkpoint=FILE        another than the best one
  threads=0              0 chooses
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from lp_core import ConfigError, DataError, LpError

from lp_apps.options import parse

if TYPE_CHECKING:
    from lp_core.tensors import PoseModel

FRAMES = {"float32": 32, "int8": 96}


@dataclass
class Options:
    """What `lpose export` takes."""

    run: str
    out: str
    runtime: str = "onnx"
    precision: str = "float32"
    frames: int = 0
    source: str | None = None
    limit: float = 0.0
    checkpoint: str | None = None
    threads: int = 0


def run(words: list[str]) -> None:
    """Export, and print how far the file is from the network."""
    options = parse(words, Options)
    _check(options)
    from lp_infer.export import ExportOptions, export
    from lp_infer.parity import SURE
    from lp_train import load_model

    how = ExportOptions(
        precision=options.precision, limit=options.limit or None, threads=options.threads, **_notes(Path(options.run))
    )
    model = of_one_size(load_model(options.run, Path(options.checkpoint) if options.checkpoint else None), options)
    report = export(model, options.out, real_frames(model, options), how)
    names = {"onnx": "ONNX Runtime", "openvino": "OpenVINO"}
    share = next(iter(report.parity.values())).counted
    print(f"{report.frames} real frames, against the trained network in float64, input pixels")
    for name, found in report.parity.items():
        print(f"  {names.get(name, name):<14}{found}")
    print(f"  (of keypoints with confidence from {SURE}: {100 * share:.0f} % of them)")
    print(f"{report.precision}, {report.size / 1e6:.1f} MB → {report.out}")


def real_frames(model: "PoseModel", options: Options) -> np.ndarray:
    """(frames, height, width, 3) at input size, from `source` or the labels of the run.

    Raises:
        DataError: they cannot be read.
    """
    count = options.frames or FRAMES[options.precision]
    return (
        _of_video(model, Path(options.source), count) if options.source else _labeled(model, Path(options.run), count)
    )


def _check(options: Options) -> None:
    if Path(options.run).is_file():
        raise ConfigError(f"run={options.run} is a file; give the directory of the run that it was made from.")
    if options.runtime not in ("onnx", "openvino"):
        raise ConfigError(
            f"runtime={options.runtime} reads no files; choose runtime=onnx, whose files openvino reads too."
        )
    if Path(options.out).suffix.lower() != ".onnx":
        raise ConfigError(f"out={options.out} must be the name of a file that ends in .onnx.")
    if options.precision not in FRAMES:
        raise ConfigError(f"precision={options.precision} is not one of {', '.join(FRAMES)}; choose one of these.")
    if options.frames < 0:
        raise ConfigError(f"frames={options.frames} must not be negative; 0 chooses.")


def of_one_size(model: Any, options: Options) -> Any:
    """A network that takes frames as large as they are, for those of `source`; any other as it is."""
    if not getattr(model, "any_size", False):
        return model
    if options.source is None:
        raise ConfigError(f"{options.run} takes frames as large as they are; give a video of their size, source=VIDEO.")
    from lp_infer.inference_copy import at_size
    from lp_io import VideoReader

    with VideoReader(options.source) as reader:
        height, width = reader.original_size
    print(f"for frames of {width} × {height} pixels, to which others will be stretched")
    return at_size(model, (height, width))


def _notes(run: Path) -> dict:
    """What provenance says that belongs into the file."""
    from lp_train import RunDir

    try:
        facts = json.loads(RunDir(run).provenance.read_text())
        skeleton = tuple((a, b) for a, b in facts["skeleton"])
        return {"skeleton": skeleton, "about": {"training_data_sha256": facts["data"]["sha256"]}}
    except (OSError, ValueError, KeyError):
        return {}


def _of_video(model: "PoseModel", video: Path, count: int) -> np.ndarray:
    from lp_io import VideoReader

    with VideoReader(video, model.image_size) as reader:
        if model.context:  # it looks at neighbours
            return reader.clip(0, min(count, reader.frame_count))
        places = np.unique(np.linspace(0, reader.frame_count - 1, count).astype(int))
        return np.concatenate([reader.clip(int(place), 1) for place in places])


def _labeled(model: "PoseModel", run: Path, count: int) -> np.ndarray:
    from lp_train import RunDir, load
    from lp_train.data import load_data

    try:
        data = load_data(load(RunDir(run).config), say=lambda _: None)
    except LpError as e:
        raise DataError(
            f"The labeled frames of {run} cannot be read: {e} Or give real frames with source=VIDEO."
        ) from e
    rows = np.concatenate([data.split.val, data.split.test, data.split.train])
    batch = data.dataset.batch(rows[:count])
    images = batch.images if batch.windows is None else batch.windows.flatten(0, 1)
    return np.ascontiguousarray(images[:count].permute(0, 2, 3, 1).numpy())
