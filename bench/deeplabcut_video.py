"""DeepLabCut's own prediction of a video; run by the Python of an environment that has it.

python -m bench.deeplabcut_video make FOLDER NET SIZE        a model folder with random weights, frames brought to SIZE²
python -m bench.deeplabcut_video frames FOLDER FILE          keypoints of the frames in FILE (npy) → FILE.found.npy
python -m bench.deeplabcut_video video FOLDER VIDEO FRAMES   the first FRAMES frames: frames/s, processor time
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from deeplabcut.pose_estimation_pytorch.apis.utils import get_pose_inference_runner
from deeplabcut.pose_estimation_pytorch.apis.videos import VideoIterator, video_inference
from deeplabcut.pose_estimation_pytorch.config import PoseConfig
from deeplabcut.pose_estimation_pytorch.models import PoseModel
from ruamel.yaml import YAML

BODYPARTS = [f"part{n}" for n in range(17)]
BATCH, WARM_UP = 16, 32
SNAPSHOT, RESIZING = "snapshot-best-010.pt", "resizing.yaml"
SMALL = {"resnet_18": ("resnet18", 512)}  # DeepLabCut has no configuration of its own for it: timm's name, channels


class FirstFrames(VideoIterator):
    """DeepLabCut's own reader, which ends early."""

    frames: int = 0

    def __next__(self) -> np.ndarray:
        if self._index >= self.frames:
            raise StopIteration
        return super().__next__()


def make(folder: Path, net: str, size: str) -> dict[str, Any]:
    """What a training would leave."""
    path = _config(folder, net, int(size))
    torch.manual_seed(0)
    model = PoseModel.build(YAML(typ="safe").load(path.read_text())["model"])
    _enliven(model, int(size))
    torch.save({"model": model.state_dict(), "metadata": {"epoch": 10}}, path.parent / SNAPSHOT)
    return {"folder": str(path.parent)}


def frames(folder: Path, file: str) -> dict[str, Any]:
    """Frames that are there already."""
    poses = _runner(folder).inference(list(np.load(file)))
    np.save(f"{file}.found.npy", _keypoints(poses))
    return {"frames": len(poses)}


def video(folder: Path, file: str, count: str) -> dict[str, Any]:
    """Frames/s of `video_inference` after loading."""
    runner = _runner(folder)
    video_inference(_first(file, WARM_UP), runner)
    busy, start = time.process_time(), time.perf_counter()
    found = len(video_inference(_first(file, int(count)), runner))
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    return {"fps": found / seconds, "ms": 1000 * busy / found, "frames": found}


def _first(file: str, count: int) -> VideoIterator:
    reader = FirstFrames(file)
    reader.frames = count
    return reader


def _runner(folder: Path) -> Any:
    settings = PoseConfig.from_yaml(folder / RESIZING)
    return get_pose_inference_runner(settings, folder / "train" / SNAPSHOT, batch_size=BATCH, device="cpu")


def _keypoints(poses: Iterable[Any]) -> np.ndarray:
    return np.stack([pose["bodyparts"][0] for pose in poses])


def _config(folder: Path, net: str, size: int) -> Path:
    project = {
        "Task": "t", "scorer": "s", "date": "Jan1", "multianimalproject": False, "identity": False, "skeleton": [],
        "project_path": str(folder), "bodyparts": BODYPARTS, "uniquebodyparts": [], "individuals": ["animal"],
        "engine": "pytorch", "video_sets": {}, "TrainingFraction": [0.95], "iteration": 0,
    }  # fmt: skip
    path, yaml = folder / "train/pytorch_config.yaml", YAML()
    path.parent.mkdir(parents=True)
    name, channels = SMALL.get(net, (None, 0))
    PoseConfig.build(project, path, net_type="resnet_50" if name else net, top_down=False, save=True)
    values = yaml.load(path)
    if name:
        values["model"]["backbone"]["model_name"] = name
        values["model"]["backbone_output_channels"] = channels
        for part in ("heatmap_config", "locref_config"):
            values["model"]["heads"]["bodypart"][part]["channels"][0] = channels
    yaml.dump(values, path)  # the network alone takes any size; bench.ours does the same to it
    values["data"]["inference"]["resize"] = {"height": size, "width": size, "keep_ratio": False}
    yaml.dump(values, folder / RESIZING)
    return path


def _enliven(model: Any, size: int) -> None:
    """Statistics like those of a trained network, so that random weights give scores with peaks."""
    coarse = torch.rand(4, 3, size // 16, size // 16, generator=torch.Generator().manual_seed(1))
    images = (torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic") - 0.45) / 0.225
    norms: Iterator[Any] = (m for m in model.eval().modules() if isinstance(m, torch.nn.BatchNorm2d))
    with torch.no_grad():
        for norm in norms:
            norm.momentum = None  # an average of all batches
            torch.nn.Module.train(norm)
        model(images)
        head, features = model.eval().heads["bodypart"], model.backbone(images)
        for layers in (head.heatmap_head, head.locref_head):
            torch.nn.init.normal_(layers.deconv_layers[0].weight, generator=torch.Generator().manual_seed(3))
            layers.deconv_layers[0].weight.div_(layers(features).std() * 8)


if __name__ == "__main__":
    threads = int(os.environ["OMP_NUM_THREADS"])
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    verb, folder, *words = sys.argv[1:]
    print("RESULT " + json.dumps({"make": make, "frames": frames, "video": video}[verb](Path(folder), *words)))
