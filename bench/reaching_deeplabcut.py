"""DeepLabCut trains on its own project; run by the Python of an environment that has it: VERB ORDER.json.

Its published training is called as a user calls it; around it stand a clock and a record of the test frames' errors. Memory
has the format that suits its convolutions on a CPU best, which makes it faster than it is by itself and changes nothing else.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import timm
import torch
from deeplabcut.generate_training_dataset import create_training_dataset
from deeplabcut.pose_estimation_pytorch.apis import train_network
from deeplabcut.pose_estimation_pytorch.models.backbones.base import BACKBONES, BaseBackbone
from deeplabcut.pose_estimation_pytorch.runners.train import PoseTrainingRunner


@BACKBONES.register_module
class Timm(BaseBackbone):
    """Any timm network, added in the way DeepLabCut offers: its `ResNet` hands over an option that others refuse."""

    def __init__(self, model_name: str, output_stride: int, pretrained: bool = False, **kwargs: Any) -> None:
        super().__init__(stride=output_stride, **kwargs)
        self.model = timm.create_model(model_name, output_stride=output_stride, pretrained=pretrained, num_classes=0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model.forward_features(x)


class Record:
    """Seconds of training, and the test error after every `eval_interval` epochs, which the clock leaves out."""

    def __init__(self, out: Path) -> None:
        self.part, self.wall, self.cpu, self.points = out.with_suffix(".part"), 0.0, 0.0, []

    def watch(self) -> None:
        """Put the clock round an epoch of DeepLabCut's runner, and keep the errors of an evaluation."""
        epoch, metrics, record = PoseTrainingRunner._epoch, PoseTrainingRunner._compute_epoch_metrics, self

        def timed(runner: Any, loader: Any, mode: str = "train", **kwargs: Any) -> float:
            runner.model.to(memory_format=torch.channels_last)
            wall, cpu = time.perf_counter(), time.process_time()
            loss = epoch(runner, loader, mode, **kwargs)
            if mode == "train":
                record.wall += time.perf_counter() - wall
                record.cpu += time.process_time() - cpu
            return loss

        def kept(runner: Any) -> dict[str, float]:
            record.add(
                runner.current_epoch, runner._epoch_ground_truth["bodyparts"], runner._epoch_predictions["bodyparts"]
            )
            return metrics(runner)

        PoseTrainingRunner._epoch, PoseTrainingRunner._compute_epoch_metrics = timed, kept

    def add(self, epoch: int, labels: dict[str, np.ndarray], poses: dict[str, np.ndarray]) -> None:
        """Distances in pixels of the files, of every keypoint that is labeled, whatever its confidence."""
        known, found = (np.concatenate([values[name][0] for name in labels]) for values in (labels, poses))
        errors = np.linalg.norm(found[:, :2] - known[:, :2], axis=1)[known[:, 2] > 0]
        self.points.append({"epoch": epoch, "wall_s": self.wall, "cpu_s": self.cpu, "errors": errors.tolist()})
        self.part.write_text(json.dumps(self.points))
        print(
            f"epoch {epoch}: {self.wall:.0f} s, test error {errors.mean():.1f}, median {np.median(errors):.1f}",
            flush=True,
        )


def prepare(config: str, train: list[int], test: list[int]) -> None:
    """Write the training set of shuffle 1, with these rows."""
    create_training_dataset(
        config, Shuffles=[1], trainIndices=[train], testIndices=[test], net_type="resnet_50", userfeedback=False
    )


def train(order: dict[str, Any]) -> None:
    """Train as the order says: `updates` are keys of DeepLabCut's configuration."""
    torch.set_num_threads(order["threads"])
    cv2.setNumThreads(order["threads"])
    record = Record(Path(order["out"]))
    record.watch()
    train_network(order["config"], shuffle=1, device="cpu", pytorch_cfg_updates=order["updates"])
    record.part.rename(order["out"])


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "agg")
    verb, file = sys.argv[1:]
    order = json.loads(Path(file).read_text())
    if verb == "prepare":
        prepare(order["config"], order["train"], order["test"])
    else:
        train(order)
