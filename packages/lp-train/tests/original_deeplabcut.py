"""Run by the Python of a venv with deeplabcut: make a model directory with its own code, and predict with its own code.

    python original_deeplabcut.py OUT NET HEIGHT WIDTH

OUT/train gets `pytorch_config.yaml` and a snapshot with random weights; OUT/original.npz the frames, and what DeepLabCut
says of them.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
from deeplabcut.pose_estimation_pytorch.apis.utils import get_pose_inference_runner
from deeplabcut.pose_estimation_pytorch.config import PoseConfig
from deeplabcut.pose_estimation_pytorch.models import PoseModel
from ruamel.yaml import YAML

BODYPARTS = ["nose", "left", "right", "tail"]


def config(out, net):
    project = {
        "Task": "t", "scorer": "s", "date": "Jan1", "multianimalproject": False, "identity": False, "project_path": str(out),
        "bodyparts": BODYPARTS, "uniquebodyparts": [], "individuals": ["animal"], "engine": "pytorch", "video_sets": {},
        "TrainingFraction": [0.95], "iteration": 0, "skeleton": [],
    }  # fmt: skip
    folder = out / "train"
    folder.mkdir(parents=True)
    PoseConfig.build(project, folder / "pytorch_config.yaml", net_type=net, top_down=False, save=True)
    yaml = YAML()
    values = yaml.load(folder / "pytorch_config.yaml")
    if padding := values["data"]["inference"].get("auto_padding"):
        padding["position"] = "center"  # the default is random: DeepLabCut then differs from itself
        yaml.dump(values, folder / "pytorch_config.yaml")
    return folder / "pytorch_config.yaml"


def frames(count, height, width):
    generator = torch.Generator().manual_seed(1)
    noise = torch.rand(count, 3, height // 16, width // 16, generator=generator)
    image = torch.nn.functional.interpolate(noise, size=(height, width), mode="bicubic").clamp(0, 1)
    return (255 * image).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def peaky(model, images):
    """Statistics like those of a trained network; scores and offsets of a size that decoding can be wrong about."""
    x = (
        torch.from_numpy(images)
        .permute(0, 3, 1, 2)
        .float()[:, :, : images.shape[1] // 32 * 32, : images.shape[2] // 32 * 32]
    )
    x = (x / 255 - 0.45) / 0.225
    norms = [m for m in model.eval().modules() if isinstance(m, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.momentum = None  # an average of all batches
            torch.nn.Module.train(norm)
        model(x)
        model.eval()
        head = model.heads["bodypart"]
        for layers in (head.heatmap_head, head.locref_head):
            torch.nn.init.normal_(layers.deconv_layers[0].weight, generator=torch.Generator().manual_seed(3))
            layers.deconv_layers[0].weight.div_(layers(model.backbone(x)).std() * 8)


def make(out, net, images):
    path = config(out, net)
    values = YAML(typ="safe").load(path.read_text())
    torch.manual_seed(0)
    model = PoseModel.build(values["model"])
    peaky(model, images)
    torch.save({"model": model.state_dict(), "metadata": {"epoch": 10, "metrics": {"mAP": np.float64(1.0)}}},
               path.parent / "snapshot-best-010.pt")  # fmt: skip
    return path


def predict(out, path, images):
    settings, snapshot = PoseConfig.from_yaml(path), path.parent / "snapshot-best-010.pt"
    runner = get_pose_inference_runner(settings, snapshot, batch_size=len(images), device="cpu")
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        poses = runner.inference(list(images))
        seconds.append(time.perf_counter() - start)
    found = np.stack([pose["bodyparts"][0] for pose in poses])
    np.savez(out / "original.npz", frames=images.transpose(0, 3, 1, 2), keypoints=found[..., :2], confidence=found[..., 2],
             original=np.array(images.shape[1:3]), fps=len(images) / min(seconds))  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)
    out, net = Path(sys.argv[1]), sys.argv[2]
    images = frames(6, int(sys.argv[3]), int(sys.argv[4]))
    predict(out, make(out, net, images), images)
