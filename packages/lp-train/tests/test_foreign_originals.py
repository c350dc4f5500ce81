"""Checkpoints made, and predicted with, by the published wheels of Lightning Pose and DeepLabCut.

The wheels live in venvs of their own: LP_REFERENCE_VENV and LP_DLC_VENV. LP_REFERENCE_RUN may name a trained run.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from lp_train.foreign import load_foreign

HERE = Path(__file__).parent
PIXELS = 0.05
TIE = 1e-3  # of confidences: rounding then chooses between the two heads of the context model
LIGHTNING_POSE = [
    "heatmap resnet18 128", "heatmap resnet50 128", "regression resnet18 128", "regression efficientnet_b0 128",
    "heatmap_mhcrnn resnet18 128", "heatmap_mhcrnn vits_dino 128", "heatmap efficientnet_b0 128",
    "heatmap efficientnet_b2 128", "heatmap vits_dino 128", "heatmap vits_dinov2 128", "heatmap vits_dinov3 128",
    "heatmap vitb_imagenet 128", "heatmap vitb_sam 128", "heatmap vitt_sam2 128",
]  # fmt: skip
DEEPLABCUT = ["resnet_50 160 160", "resnet_50 130 171", "resnet_101 130 171", "hrnet_w18 160 160", "hrnet_w32 130 171"]


def original(venv, script, out, *words):
    """Run the published software; what it found."""
    if venv not in os.environ:
        pytest.skip(f"{venv} is not set: a venv with the published wheel (see this file) is needed")
    python = Path(os.environ[venv]) / "bin" / "python"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
    done = subprocess.run([python, HERE / script, out, *words], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return np.load(out / "original.npz")


def compare(net, found, capsys, name):
    """Our keypoints on the same frames, in pixels of the original; prints and bounds the difference."""
    images = torch.from_numpy(found["frames"]).contiguous(memory_format=torch.channels_last)
    original_size = tuple(map(int, found["original"]))
    with torch.inference_mode():
        features = net.get_representations(images)
        keypoints, confidence = net(images)
        tied = ties(net, features)
    rows = slice(net.context, len(images) - net.context)
    keypoints, confidence, tied = keypoints[rows], confidence[rows], tied[rows].numpy()
    if net.model_type != "regression":  # Lightning Pose leaves the output of regression in input pixels
        keypoints = net.resize(original_size).inverse(keypoints)
        assert np.abs(confidence.numpy() - found["confidence"])[~tied].max() < 2e-3
    off = np.abs(keypoints.numpy() - found["keypoints"]).max(-1)[~tied]
    assert tied.mean() < 0.5
    assert found["keypoints"].std(0).max() > 1, "every frame gives the same: the comparison would show nothing"
    with capsys.disabled():
        print(f"\n{name}: largest difference {off.max():.5f} px, median {np.median(off):.5f} px, {off.size} keypoints")
    assert off.max() < PIXELS


def ties(net, features):
    """Keypoints for which both maps of the context model are equally sure."""
    if not net.context:
        return torch.zeros(len(features), len(net.keypoint_names), dtype=torch.bool)
    outputs = net.outputs(features, None)
    decode = net.head.predictor.decoder
    alone, together = decode(outputs)[1], decode({"heatmaps_pred": outputs["heatmaps_context_pred"]})[1]
    return (alone - together).abs() < TIE


@pytest.mark.parametrize("words", LIGHTNING_POSE)
def test_lightning_pose(words, tmp_path, capsys):
    found = original("LP_REFERENCE_VENV", "original_lightning_pose.py", tmp_path, *words.split())
    compare(load_foreign(tmp_path / "run"), found, capsys, words)


def test_a_trained_run_of_lightning_pose(tmp_path, capsys):
    run = os.environ.get("LP_REFERENCE_RUN")
    if not run:
        pytest.skip("LP_REFERENCE_RUN is not set: a run directory trained by Lightning Pose is needed")
    found = original("LP_REFERENCE_VENV", "original_lightning_pose.py", tmp_path, run)
    compare(load_foreign(run), found, capsys, run)


@pytest.mark.parametrize("words", DEEPLABCUT)
def test_deeplabcut(words, tmp_path, capsys):
    found = original("LP_DLC_VENV", "original_deeplabcut.py", tmp_path, *words.split())
    compare(load_foreign(tmp_path), found, capsys, words)
