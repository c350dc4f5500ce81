"""A single-animal DeepLabCut project, half of its frames for training: DeepLabCut's own training beside ours.

python -m bench.reaching [--network mobilenetv2] [--seeds 0 1 2] [--epochs 40] [--out DIR]

Both start from the same weights of the backbone, on the same frames. DeepLabCut stops after so many epochs of its published
training; ours is trained for as many, and for twice as many. Nothing that is finished in DIR is done again. DeepLabCut is that
of the environment `DLC_REFERENCE_VENV`; weights from ImageNet are those in `LP_TEST_WEIGHTS`.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import yaml
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("LP_TEST_DATA", ROOT / "../shared/data")).resolve() / "dlc-reaching"
WEIGHTS = Path(os.environ.get("LP_TEST_WEIGHTS", ROOT / "../shared/weights")).resolve()
IMAGENET = {"mobilenetv2_100": "mobilenetv2_100_imagenet_dequantised.safetensors"}
OURS = {
    "mobilenetv2": "mobilenetv2_100",
    "resnet50": "resnet50_gn",
}  # of DeepLabCut's resnet_50 it is the one with group norm
SHARE, FRAMES = 0.49, 55  # 27 frames train, 28 test
BATCH = 8  # DeepLabCut's
EVALUATIONS = 5  # of the test frames, in the course of a training
PASSES = (1, 2)  # ours is trained for so many times as many epochs
KEEP = {  # freed memory stays, and threads that wait sleep: both sides get this, and both gain from it
    "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "8000000000", "MALLOC_TOP_PAD_": "200000000", "OMP_WAIT_POLICY": "passive",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Arm:
    """One seed of one network, in a folder of its own."""

    folder: Path
    network: str
    seed: int
    epochs: int
    threads: int

    @property
    def project(self) -> Path:
        """The copy of the project in which DeepLabCut works."""
        return self.folder / "project"

    @property
    def every(self) -> int:
        """Epochs between evaluations."""
        return max(1, self.epochs // EVALUATIONS)

    def rows(self) -> tuple[list[int], list[int]]:
        """Rows that train, and rows that test."""
        order = np.random.default_rng(self.seed).permutation(FRAMES).tolist()
        count = int(SHARE * FRAMES) + 1
        return sorted(order[:count]), sorted(order[count:])

    def run(self, python: str, module: str, *words: str) -> None:
        """A module in a process of its own, its output in a file.

        Raises:
            SystemExit: it failed.
        """
        threads = {"OMP_NUM_THREADS": str(self.threads), "MKL_NUM_THREADS": str(self.threads), "MPLBACKEND": "agg"}
        log = self.folder / f"{module.rpartition('.')[2]}.txt"
        with log.open("a") as file:
            done = subprocess.run(
                [python, "-m", module, *words],
                env=os.environ | KEEP | threads,
                cwd=ROOT,
                stdout=file,
                stderr=file,
                check=False,
            )
        if done.returncode:
            sys.exit(f"{module} failed; see {log}.\n{log.read_text()[-2000:]}")

    def order(self, name: str, **content: Any) -> Path:
        """What one side is told, as a file."""
        path = self.folder / f"{name}.order.json"
        path.write_text(json.dumps(content))
        return path


def prepare(arm: Arm, python: str) -> None:
    """The project with DeepLabCut's training set of these rows, and weights to start from."""
    if (arm.folder / "weights.pt").exists():
        return
    shutil.rmtree(arm.folder, ignore_errors=True)
    shutil.copytree(DATA, arm.project)
    path = arm.project / "config.yaml"
    path.chmod(0o644)
    config = yaml.safe_load(path.read_text())
    (crop,) = config["video_sets"].values()
    video = arm.project / "videos" / "reachingvideo1.avi"  # named for its labels; there is none
    config |= {
        "project_path": str(arm.project), "video_sets": {str(video): crop}, "TrainingFraction": [SHARE], "engine": "pytorch",
        "multianimalproject": False,
    }  # fmt: skip
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    train, test = arm.rows()
    order = arm.order("prepare", config=str(path), train=train, test=test)
    arm.run(python, "bench.reaching_deeplabcut", "prepare", str(order))
    save_weights(arm)


def save_weights(arm: Arm) -> None:
    """The backbone's first weights in two files: for us, and as a snapshot for DeepLabCut."""
    torch.manual_seed(arm.seed)
    name = OURS[arm.network]
    state: dict[str, torch.Tensor] = timm.create_model(name, num_classes=0).state_dict()
    if name in IMAGENET:
        known = load_file(WEIGHTS / IMAGENET[name])
        state |= {key: known[key] for key in state if key in known}  # not in the file: how many batches there were
    save_file(state, arm.folder / "weights.safetensors")
    torch.save({"model": {f"backbone.model.{key}": value for key, value in state.items()}}, arm.folder / "weights.pt")


def theirs(arm: Arm, python: str) -> list[dict[str, Any]]:
    """DeepLabCut's `resnet_50` as it comes, stopped after so many epochs; with the network that is asked for."""
    out = arm.folder / f"theirs_{arm.epochs}.json"
    if not out.exists():
        weights = {"snapshot_path": str(arm.folder / "weights.pt"), "with_decoder": False, "memory_replay": False}
        updates: dict[str, Any] = {
            "train_settings.epochs": arm.epochs, "train_settings.seed": arm.seed, "runner.eval_interval": arm.every,
            "train_settings.weight_init": weights,
        }  # fmt: skip
        if arm.network != "resnet50":
            updates |= other_network(OURS[arm.network])
        order = arm.order(
            "theirs", config=str(arm.project / "config.yaml"), threads=arm.threads, out=str(out), updates=updates
        )
        arm.run(python, "bench.reaching_deeplabcut", "train", str(order))
    return json.loads(out.read_text())


def other_network(name: str) -> dict[str, Any]:
    """DeepLabCut's `resnet_50` with another network in its place."""
    channels = timm.create_model(name, num_classes=0).num_features
    backbone = {
        "type": "Timm",
        "model_name": name,
        "output_stride": 16,
        "freeze_bn_stats": False,
        "freeze_bn_weights": False,
    }
    head = "model.heads.bodypart"
    return {
        "model.backbone": backbone, "model.backbone_output_channels": channels,
        f"{head}.heatmap_config.channels": [channels, 5], f"{head}.locref_config.channels": [channels, 10],
    }  # fmt: skip


def ours(arm: Arm, passes: int) -> list[dict[str, Any]]:
    """`lpose train` on the same rows with our defaults, but DeepLabCut's batch; the rate falls at its usual epochs' shares."""
    epochs = passes * arm.epochs
    out = arm.folder / f"ours_{epochs}.json"
    if not out.exists():
        run = arm.folder / f"run_{epochs}"
        shutil.rmtree(run, ignore_errors=True)
        frozen = (
            [] if OURS[arm.network] in IMAGENET else ["training.unfreezing_epoch=0"]
        )  # a file is taken for pretrained
        words = [
            f"data.root={arm.project}", f"out={run}", "data.split.shuffle=1", "data.split.val=0", "backbone=timm",
            f"backbone.model={OURS[arm.network]}", f"backbone.weights={arm.folder / 'weights.safetensors'}",
            f"training.max_epochs={epochs}", f"training.check_val_every_n_epoch={passes * arm.every}",
            f"training.seed={arm.seed}", "training.accelerator=cpu", f"training.batch_size={BATCH}", *frozen,
        ]  # fmt: skip
        order = arm.order("ours", words=words, threads=arm.threads, out=str(out))
        arm.run(sys.executable, "bench.reaching_ours", str(order))
    return json.loads(out.read_text())


def side(points: list[dict[str, Any]], goal: float) -> dict[str, Any]:
    """What a training has reached at its end and on the way, and after how long its error first was `goal` or less."""
    means, last = [float(np.mean(point["errors"])) for point in points], points[-1]
    there = next((point for point, mean in zip(points, means, strict=True) if mean <= goal), None)
    return {
        "epochs": last["epoch"], "error": means[-1], "best": min(means), "median": float(np.median(last["errors"])),
        "wall_s": last["wall_s"], "cpu_s": last["cpu_s"],
        "there_wall_s": there and there["wall_s"], "there_cpu_s": there and there["cpu_s"],
    }  # fmt: skip


def rows_of(arm: Arm, python: str) -> list[dict[str, Any]]:
    """DeepLabCut, then ours."""
    points = theirs(arm, python)
    goal = float(np.mean(points[-1]["errors"]))
    sides = {"DeepLabCut": side(points, goal)}
    for passes in PASSES:
        sides["ours" if passes == 1 else f"ours, {passes}×"] = side(ours(arm, passes), goal)
    return [{"network": arm.network, "seed": arm.seed, "who": who} | found for who, found in sides.items()]


def show(rows: list[dict[str, Any]]) -> None:
    """The table of all seeds, and their means."""
    heads = (
        "epochs",
        "test error, px",
        "best",
        "median",
        "training, s",
        "of processor",
        "as good after, s",
        "of processor",
    )
    keys = ("epochs", "error", "best", "median", "wall_s", "cpu_s", "there_wall_s", "there_cpu_s")
    print(f"{'':<26}" + "".join(f"{head:>17}" for head in heads))
    for who in dict.fromkeys(row["who"] for row in rows):
        own = [row for row in rows if row["who"] == who]
        for row in own:
            values = ("never" if row[key] is None else f"{row[key]:.1f}" for key in keys)
            print(f"{who:<12}{'seed ' + str(row['seed']):<14}" + "".join(f"{value:>17}" for value in values))
        print(f"{who:<12}{'mean':<14}{'':>17}{np.mean([row['error'] for row in own]):>17.1f}", flush=True)


def compare(out: Path, network: str, seeds: list[int], epochs: int, threads: int) -> list[dict[str, Any]]:
    """Every seed, one side after the other, and the table after each."""
    environment = os.environ.get("DLC_REFERENCE_VENV") or sys.exit(
        "DLC_REFERENCE_VENV must name an environment with DeepLabCut."
    )
    python, rows = f"{environment}/bin/python", []
    for seed in seeds:
        arm = Arm((out / f"{network}_{seed}").resolve(), network, seed, epochs, threads)
        prepare(arm, python)
        rows += rows_of(arm, python)
        show(rows)
        (out / f"{network}.json").write_text(json.dumps(rows, indent=1))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=sorted(OURS), default="mobilenetv2")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    compare(a.out, a.network, a.seeds, a.epochs, a.threads)


if __name__ == "__main__":
    main()
